# smtpd: sessions and restrictions as a library for the tests, and the program.
noinst_LIBRARIES += smtpd/libsmtpd.a
smtpd_libsmtpd_a_SOURCES = \
	%reldir%/access.cc \
	%reldir%/client.cc %reldir%/client.h \
	%reldir%/client_counters.cc %reldir%/client_counters.h \
	%reldir%/cmd_auth.cc \
	%reldir%/cmd_bdat.cc \
	%reldir%/cmd_data.cc \
	%reldir%/cmd_hello.cc \
	%reldir%/cmd_mail.cc \
	%reldir%/cmd_rcpt.cc \
	%reldir%/cmd_simple.cc \
	%reldir%/cmd_starttls.cc \
	%reldir%/cmd_xclient.cc \
	%reldir%/evaluation.cc %reldir%/evaluation.h \
	%reldir%/hostname.cc %reldir%/hostname.h \
	%reldir%/message.cc \
	%reldir%/received.cc %reldir%/received.h \
	%reldir%/restriction_table.cc %reldir%/restrictions.h \
	%reldir%/rules.cc \
	%reldir%/rules_verify.cc \
	%reldir%/sasl_service.cc %reldir%/sasl_service.h \
	%reldir%/sender_owners.cc %reldir%/sender_owners.h \
	%reldir%/server.cc %reldir%/server.h \
	%reldir%/session.cc %reldir%/session.h \
	%reldir%/session_end.cc \
	%reldir%/settings.cc %reldir%/settings.h \
	%reldir%/tls_service.cc %reldir%/tls_service.h \
	%reldir%/transaction.h \
	%reldir%/verdict.cc %reldir%/verdict.h \
	%reldir%/verifier.cc %reldir%/verifier.h

daemon_PROGRAMS += smtpd/smtpd
smtpd_smtpd_SOURCES = %reldir%/smtpd.cc
smtpd_smtpd_LDADD = smtpd/libsmtpd.a $(LDADD)

# pickup: the same intake for local submissions.
noinst_LIBRARIES += smtpd/libpickup.a
smtpd_libpickup_a_SOURCES = %reldir%/pickup_drop.cc %reldir%/pickup_drop.h

daemon_PROGRAMS += smtpd/pickup
smtpd_pickup_SOURCES = %reldir%/pickup.cc
smtpd_pickup_LDADD = smtpd/libpickup.a $(LDADD)
