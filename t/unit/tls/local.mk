check_PROGRAMS += t/unit/tls/tls_test
TESTS += t/unit/tls/tls_test
t_unit_tls_tls_test_SOURCES = \
	%reldir%/certificates.cc %reldir%/certificates.h \
	%reldir%/chain_test.cc \
	%reldir%/client_test.cc \
	%reldir%/settings_test.cc \
	%reldir%/stream_fixture.h \
	%reldir%/stream_test.cc \
	%reldir%/ticket_test.cc
t_unit_tls_tls_test_LDADD = t/support/libcatchmain.a lib/tls/libtls.a lib/table/libtable.a lib/net/libnet.a \
	lib/config/libconfig.a lib/event/libevent.a lib/log/liblog.a lib/base/libbase.a $(POSTHOUSE_SYSTEM_LIBS) $(CATCH_LIBS)
