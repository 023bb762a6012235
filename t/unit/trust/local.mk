# DNS lists, asked of a name server (BIND) of the test's own, if installed.
check_PROGRAMS += t/unit/trust/trust_test
TESTS += t/unit/trust/trust_test
t_unit_trust_trust_test_SOURCES = \
	%reldir%/dns_list_test.cc \
	t/unit/net/name_server.cc t/unit/net/name_server.h
t_unit_trust_trust_test_LDADD = t/support/libcatchmain.a lib/trust/libtrust.a lib/net/libnet.a \
	lib/event/libevent.a lib/log/liblog.a lib/base/libbase.a $(POSTHOUSE_SYSTEM_LIBS) $(CATCH_LIBS)
