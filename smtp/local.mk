# The SMTP and LMTP client: a library for the tests, and the program under both names.
noinst_LIBRARIES += smtp/libclient.a
smtp_libclient_a_SOURCES = \
	%reldir%/agent.cc %reldir%/agent.h \
	%reldir%/commands.cc \
	%reldir%/content_sender.cc %reldir%/content_sender.h \
	%reldir%/delivery.cc %reldir%/delivery.h \
	%reldir%/destination.cc %reldir%/destination.h \
	%reldir%/host_search.cc %reldir%/host_search.h \
	%reldir%/results.cc %reldir%/results.h \
	%reldir%/session.cc %reldir%/session.h \
	%reldir%/session_cache.cc %reldir%/session_cache.h \
	%reldir%/settings.cc %reldir%/settings.h \
	%reldir%/transaction.cc %reldir%/transaction.h \
	%reldir%/trouble.cc %reldir%/trouble.h

daemon_PROGRAMS += smtp/smtp smtp/lmtp
smtp_smtp_SOURCES = %reldir%/smtp.cc
smtp_smtp_LDADD = smtp/libclient.a $(LDADD)
smtp_lmtp_SOURCES = %reldir%/smtp.cc
smtp_lmtp_LDADD = smtp/libclient.a $(LDADD)
