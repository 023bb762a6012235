# Built from t/unit/queue; included by the top Makefile.am.

check_PROGRAMS += t/unit/queue/intake_test
TESTS += t/unit/queue/intake_test
t_unit_queue_intake_test_SOURCES = \
	%reldir%/content_checks_test.cc \
	%reldir%/drop_file_test.cc \
	%reldir%/expansion_test.cc \
	%reldir%/header_scanner_test.cc \
	%reldir%/intake_fixture.h \
	%reldir%/intake_test.cc \
	%reldir%/rewrite_test.cc \
	%reldir%/route_test.cc
t_unit_queue_intake_test_LDADD = $(TEST_LDADD)

check_PROGRAMS += t/unit/queue/queue_test
TESTS += t/unit/queue/queue_test
t_unit_queue_queue_test_SOURCES = \
	%reldir%/content_reader_test.cc \
	%reldir%/crash_replay_test.cc \
	%reldir%/hostile_holder_test.cc \
	%reldir%/pool_fixture.h \
	%reldir%/protocol_test.cc \
	%reldir%/queue_client_test.cc \
	%reldir%/queue_file_test.cc \
	%reldir%/queue_id_test.cc \
	%reldir%/slot_pool_test.cc \
	%reldir%/slot_trouble_test.cc \
	%reldir%/verify_test.cc
t_unit_queue_queue_test_LDADD = $(TEST_LDADD)
