check_PROGRAMS += t/unit/base/base_test
TESTS += t/unit/base/base_test
t_unit_base_base_test_SOURCES = %reldir%/result_test.cc
t_unit_base_base_test_LDADD = $(TEST_LDADD)
