# The supervisor.
noinst_LIBRARIES += master/libmaster.a
master_libmaster_a_SOURCES = \
	%reldir%/child.cc %reldir%/child.h \
	%reldir%/pid_file.cc %reldir%/pid_file.h \
	%reldir%/service_runner.cc %reldir%/service_runner.h \
	%reldir%/supervisor.cc %reldir%/supervisor.h

daemon_PROGRAMS += master/master
master_master_SOURCES = %reldir%/master.cc
master_master_LDADD = master/libmaster.a $(LDADD)
