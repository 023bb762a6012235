check_PROGRAMS += t/unit/tools/sendmail_test
TESTS += t/unit/tools/sendmail_test
t_unit_tools_sendmail_test_SOURCES = %reldir%/sendmail_test.cc
t_unit_tools_sendmail_test_LDADD = tools/libsubmit.a $(TEST_LDADD)
