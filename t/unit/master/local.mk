# master's parts, with shell scripts as the programs that it runs.
check_PROGRAMS += t/unit/master/master_test
TESTS += t/unit/master/master_test
t_unit_master_master_test_SOURCES = \
	%reldir%/child_test.cc \
	%reldir%/fixture.h \
	%reldir%/pid_file_test.cc \
	%reldir%/service_runner_test.cc
t_unit_master_master_test_LDADD = t/support/libcatchmain.a master/libmaster.a $(LDADD) $(CATCH_LIBS)
