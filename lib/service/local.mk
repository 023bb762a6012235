# What the daemons share.
noinst_LIBRARIES += lib/service/libservice.a
lib_service_libservice_a_SOURCES = \
	%reldir%/command_line.cc %reldir%/command_line.h \
	%reldir%/directories.cc %reldir%/directories.h \
	%reldir%/file_courier.cc %reldir%/file_courier.h \
	%reldir%/listeners.cc %reldir%/listeners.h \
	%reldir%/log_setup.cc %reldir%/log_setup.h \
	%reldir%/peer.cc %reldir%/peer.h \
	%reldir%/privileges.cc %reldir%/privileges.h \
	%reldir%/sandbox.cc %reldir%/sandbox.h \
	%reldir%/service.cc %reldir%/service.h \
	%reldir%/status_protocol.h %reldir%/stop_times.h
