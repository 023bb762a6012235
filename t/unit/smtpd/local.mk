check_PROGRAMS += t/unit/smtpd/smtpd_test
TESTS += t/unit/smtpd/smtpd_test
t_unit_smtpd_smtpd_test_SOURCES = \
	%reldir%/auth_test.cc t/unit/sasl/auth_peer.h \
	%reldir%/client_test.cc \
	%reldir%/dns_fixture.h \
	%reldir%/counter_table_test.cc \
	%reldir%/dns_test.cc \
	%reldir%/lists_test.cc \
	%reldir%/policy_test.cc \
	t/unit/net/name_server.cc t/unit/net/name_server.h \
	%reldir%/lmtp_test.cc \
	%reldir%/proxy_filter_test.cc \
	%reldir%/reject_text_test.cc \
	%reldir%/relay_test.cc \
	%reldir%/restrictions_test.cc \
	%reldir%/screening_test.cc \
	%reldir%/sending_limits_test.cc \
	%reldir%/session_fixture.h \
	%reldir%/session_test.cc \
	%reldir%/smuggling_test.cc \
	%reldir%/state_test.cc
t_unit_smtpd_smtpd_test_LDADD = smtpd/libsmtpd.a t/support/libcatchmain.a \
	lib/service/libservice.a lib/milter/libmilter.a lib/queue/libqueue.a lib/smtp/libsmtp.a lib/ipc/libipc.a lib/sasl/libsasl.a lib/trust/libtrust.a lib/mail/libmail.a lib/tls/libtls.a \
	lib/table/libtable.a lib/net/libnet.a \
	lib/config/libconfig.a lib/event/libevent.a lib/log/liblog.a lib/base/libbase.a \
	$(POSTHOUSE_SYSTEM_LIBS) $(CATCH_LIBS)

check_PROGRAMS += t/unit/smtpd/pickup_test
TESTS += t/unit/smtpd/pickup_test
t_unit_smtpd_pickup_test_SOURCES = %reldir%/pickup_test.cc
t_unit_smtpd_pickup_test_LDADD = smtpd/libpickup.a smtpd/libsmtpd.a $(TEST_LDADD)
