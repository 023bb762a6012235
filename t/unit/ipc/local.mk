check_PROGRAMS += t/unit/ipc/ipc_test
TESTS += t/unit/ipc/ipc_test
t_unit_ipc_ipc_test_SOURCES = %reldir%/channel_test.cc
t_unit_ipc_ipc_test_LDADD = $(TEST_LDADD)
