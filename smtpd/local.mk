# smtpd: sessions and restrictions as a library for the tests, and the program.
noinst_LIBRARIES += smtpd/libsmtpd.a
smtpd_libsmtpd_a_SOURCES = \
	%reldir%/access.cc \
	%reldir%/client.cc %reldir%/client.h \
	%reldir%/client_counters.cc %reldir%/client_counters.h \
	%reldir%/cmd_auth.cc \
	%reldir%/cmd_bdat.cc \
	%reldir%/cmd_data.cc \
	%reldir%/cmd_etrn.cc \
	%reldir%/cmd_hello.cc \
	%reldir%/cmd_mail.cc \
	%reldir%/cmd_rcpt.cc \
	%reldir%/cmd_simple.cc \
	%reldir%/cmd_starttls.cc \
	%reldir%/cmd_xclient.cc \
	%reldir%/command_filter.cc \
	%reldir%/counter_table.cc %reldir%/counter_table.h \
	%reldir%/early_tests.cc %reldir%/early_tests.h \
	%reldir%/evaluation.cc %reldir%/evaluation.h \
	%reldir%/greylist.cc %reldir%/greylist.h \
	%reldir%/hostname.cc %reldir%/hostname.h \
	%reldir%/message.cc \
	%reldir%/policy_client.cc %reldir%/policy_client.h \
	%reldir%/policy_protocol.cc %reldir%/policy_protocol.h \
	%reldir%/milter_content.cc %reldir%/milter_content.h \
	%reldir%/milter_service.cc %reldir%/milter_service.h \
	%reldir%/milter_spool.cc %reldir%/milter_spool.h \
	%reldir%/proxied_mail.cc \
	%reldir%/proxy_filter.cc %reldir%/proxy_filter.h \
	%reldir%/rate_limits.cc %reldir%/rate_limits.h \
	%reldir%/reject_text.cc %reldir%/reject_text.h \
	%reldir%/received.cc %reldir%/received.h \
	%reldir%/reply_text.cc %reldir%/reply_text.h \
	%reldir%/restriction_table.cc %reldir%/restrictions.h \
	%reldir%/rules.cc \
	%reldir%/rules_dns.cc \
	%reldir%/rules_lists.cc \
	%reldir%/rules_policy.cc \
	%reldir%/rules_servers.cc \
	%reldir%/rules_verify.cc \
	%reldir%/sasl_service.cc %reldir%/sasl_service.h \
	%reldir%/screened_client.cc %reldir%/screened_client.h \
	%reldir%/screening.cc %reldir%/screening.h \
	%reldir%/screening_access.cc %reldir%/screening_access.h \
	%reldir%/screening_record.cc %reldir%/screening_record.h \
	%reldir%/sender_owners.cc %reldir%/sender_owners.h \
	%reldir%/sending_limits.cc %reldir%/sending_limits.h \
	%reldir%/server.cc %reldir%/server.h \
	%reldir%/session.cc %reldir%/session.h \
	%reldir%/session_end.cc \
	%reldir%/session_milters.cc \
	%reldir%/session_screening.cc \
	%reldir%/settings.cc %reldir%/settings.h \
	%reldir%/tls_service.cc %reldir%/tls_service.h \
	%reldir%/transaction.h \
	%reldir%/upstream_proxy.cc %reldir%/upstream_proxy.h \
	%reldir%/verdict.cc %reldir%/verdict.h \
	%reldir%/verifier.cc %reldir%/verifier.h

daemon_PROGRAMS += smtpd/smtpd
smtpd_smtpd_SOURCES = %reldir%/smtpd.cc
smtpd_smtpd_LDADD = smtpd/libsmtpd.a $(LDADD)

# lmtpd: the same by another name.
daemon_PROGRAMS += smtpd/lmtpd
smtpd_lmtpd_SOURCES = %reldir%/smtpd.cc
smtpd_lmtpd_LDADD = smtpd/libsmtpd.a $(LDADD)

# pickup: the same intake for local submissions.
noinst_LIBRARIES += smtpd/libpickup.a
smtpd_libpickup_a_SOURCES = \
	%reldir%/pickup_drop.cc %reldir%/pickup_drop.h \
	%reldir%/pickup_milters.cc %reldir%/pickup_milters.h

daemon_PROGRAMS += smtpd/pickup
smtpd_pickup_SOURCES = %reldir%/pickup.cc
smtpd_pickup_LDADD = smtpd/libpickup.a smtpd/libsmtpd.a $(LDADD)
