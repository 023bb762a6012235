# The supervisor.
daemon_PROGRAMS += master/master
master_master_SOURCES = \
	%reldir%/child.cc %reldir%/child.h \
	%reldir%/listeners.cc %reldir%/listeners.h \
	%reldir%/master.cc \
	%reldir%/pid_file.cc %reldir%/pid_file.h \
	%reldir%/service_runner.cc %reldir%/service_runner.h \
	%reldir%/supervisor.cc %reldir%/supervisor.h
