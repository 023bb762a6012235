# Mail filters: the milter protocol, the mail server's side.
noinst_LIBRARIES += lib/milter/libmilter.a
lib_milter_libmilter_a_SOURCES = \
	%reldir%/chain.cc %reldir%/chain.h \
	%reldir%/filter.cc %reldir%/filter.h %reldir%/filter_event.h \
	%reldir%/filter_message.cc \
	%reldir%/headers.cc %reldir%/headers.h \
	%reldir%/protocol.cc %reldir%/protocol.h \
	%reldir%/settings.cc %reldir%/settings.h
