check_PROGRAMS += t/unit/service/service_test
TESTS += t/unit/service/service_test
t_unit_service_service_test_SOURCES = \
	%reldir%/listeners_test.cc \
	%reldir%/sandbox_test.cc \
	%reldir%/stop_times_test.cc
t_unit_service_service_test_LDADD = $(TEST_LDADD)
