# Tests of qmgr/ and of the commands that show the queue.
check_PROGRAMS += t/unit/qmgr/qmgr_test
TESTS += t/unit/qmgr/qmgr_test
t_unit_qmgr_qmgr_test_SOURCES = \
	%reldir%/bench.h \
	%reldir%/concurrency_test.cc \
	%reldir%/dispatch_order_test.cc \
	%reldir%/fake_agents.h \
	%reldir%/notice_rules_test.cc \
	%reldir%/queue_report_test.cc \
	%reldir%/retry_schedule_test.cc \
	%reldir%/scheduler_notice_test.cc \
	%reldir%/scheduler_order_test.cc \
	%reldir%/scheduler_test.cc \
	%reldir%/transport_test.cc \
	%reldir%/waiting_index_test.cc
t_unit_qmgr_qmgr_test_LDADD = qmgr/libqmgr.a tools/libqueuetools.a $(TEST_LDADD)
