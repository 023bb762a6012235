# Addresses, sockets and DNS. The resolver's tests start a name server (BIND) of their own, if installed.
check_PROGRAMS += t/unit/net/net_test
TESTS += t/unit/net/net_test
t_unit_net_net_test_SOURCES = \
	%reldir%/address_test.cc \
	%reldir%/dns_answer_test.cc \
	%reldir%/name_server.cc %reldir%/name_server.h \
	%reldir%/proxy_protocol_test.cc \
	%reldir%/resolver_test.cc \
	%reldir%/service_address_test.cc \
	%reldir%/socket_test.cc
t_unit_net_net_test_LDADD = t/support/libcatchmain.a lib/net/libnet.a \
	lib/event/libevent.a lib/log/liblog.a lib/base/libbase.a $(POSTHOUSE_SYSTEM_LIBS) $(CATCH_LIBS)
