check_PROGRAMS += t/unit/event/event_test
TESTS += t/unit/event/event_test
t_unit_event_event_test_SOURCES = \
	%reldir%/cancel_test.cc \
	%reldir%/compiler_traps_test.cc \
	%reldir%/loop_test.cc \
	%reldir%/stream_test.cc \
	%reldir%/task_test.cc \
	%reldir%/watch_test.cc
t_unit_event_event_test_LDADD = t/support/libcatchmain.a lib/event/libevent.a lib/log/liblog.a lib/base/libbase.a $(EVENT_LIBS) $(CATCH_LIBS)
