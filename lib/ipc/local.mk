# Messages between the programs.
noinst_LIBRARIES += lib/ipc/libipc.a
lib_ipc_libipc_a_SOURCES = \
	%reldir%/channel.cc %reldir%/channel.h \
	%reldir%/codec.cc %reldir%/codec.h
