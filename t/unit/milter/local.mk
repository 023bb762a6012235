check_PROGRAMS += t/unit/milter/milter_test
TESTS += t/unit/milter/milter_test
t_unit_milter_milter_test_SOURCES = %reldir%/headers_test.cc %reldir%/protocol_test.cc %reldir%/settings_test.cc
t_unit_milter_milter_test_LDADD = $(TEST_LDADD)
