# The client against scripted hosts.
check_PROGRAMS += t/unit/delivery/delivery_test
TESTS += t/unit/delivery/delivery_test
t_unit_delivery_delivery_test_SOURCES = \
	%reldir%/agent_test.cc \
	%reldir%/content_test.cc \
	%reldir%/delivery_test.cc \
	%reldir%/host_search_test.cc \
	%reldir%/peer.cc %reldir%/peer.h \
	%reldir%/wire_test.cc
t_unit_delivery_delivery_test_LDADD = t/support/libcatchmain.a smtp/libclient.a lib/queue/libqueue.a \
	lib/smtp/libsmtp.a lib/ipc/libipc.a lib/mail/libmail.a lib/table/libtable.a lib/net/libnet.a lib/config/libconfig.a \
	lib/event/libevent.a lib/log/liblog.a lib/base/libbase.a $(POSTHOUSE_SYSTEM_LIBS) $(CATCH_LIBS)
