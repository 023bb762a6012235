# Built from tools; included by the top Makefile.am.

# sendmail, and the set-gid postdrop behind it.
noinst_LIBRARIES += tools/libsubmit.a
tools_libsubmit_a_SOURCES = \
	%reldir%/drop_store.cc %reldir%/drop_store.h \
	%reldir%/postdrop_pipe.cc %reldir%/postdrop_pipe.h \
	%reldir%/sendmail_message.cc %reldir%/sendmail_message.h \
	%reldir%/sendmail_options.cc %reldir%/sendmail_options.h \
	%reldir%/set_gid.cc %reldir%/set_gid.h

sbin_PROGRAMS += tools/sendmail tools/postdrop
tools_sendmail_SOURCES = %reldir%/sendmail.cc
tools_sendmail_LDADD = tools/libsubmit.a $(LDADD)
tools_postdrop_SOURCES = %reldir%/postdrop.cc
tools_postdrop_LDADD = tools/libsubmit.a $(LDADD)
