# Built from tools; included by the top Makefile.am.

# sendmail, and the set-gid postdrop behind it.
noinst_LIBRARIES += tools/libsubmit.a
tools_libsubmit_a_SOURCES = \
	%reldir%/drop_store.cc %reldir%/drop_store.h \
	%reldir%/postdrop_pipe.cc %reldir%/postdrop_pipe.h \
	%reldir%/sendmail_message.cc %reldir%/sendmail_message.h \
	%reldir%/sendmail_options.cc %reldir%/sendmail_options.h \
	%reldir%/sendmail_smtp.cc %reldir%/sendmail_smtp.h \
	%reldir%/set_gid.cc %reldir%/set_gid.h

sbin_PROGRAMS += tools/sendmail tools/postdrop
tools_sendmail_SOURCES = %reldir%/sendmail.cc
tools_sendmail_LDADD = tools/libsubmit.a $(LDADD)
tools_postdrop_SOURCES = %reldir%/postdrop.cc
tools_postdrop_LDADD = tools/libsubmit.a $(LDADD)

# mailq and postqueue; the queue manager's client also serves postsuper and posthouse.
noinst_LIBRARIES += tools/libqueuetools.a
tools_libqueuetools_a_SOURCES = \
	%reldir%/control_client.cc %reldir%/control_client.h \
	%reldir%/queue_ids.cc %reldir%/queue_ids.h \
	%reldir%/queue_report.cc %reldir%/queue_report.h \
	%reldir%/queue_scan.cc %reldir%/queue_scan.h \
	%reldir%/show_queue.cc %reldir%/show_queue.h

sbin_PROGRAMS += tools/postqueue
tools_postqueue_SOURCES = %reldir%/postqueue.cc
tools_postqueue_LDADD = tools/libqueuetools.a tools/libsubmit.a $(LDADD)
bin_PROGRAMS += tools/mailq
tools_mailq_SOURCES = %reldir%/mailq.cc
tools_mailq_LDADD = tools/libqueuetools.a tools/libsubmit.a $(LDADD)

# postmap, postalias, newaliases.
noinst_LIBRARIES += tools/libtabletools.a
tools_libtabletools_a_SOURCES = \
	%reldir%/table_command.cc %reldir%/table_command.h \
	%reldir%/table_options.cc %reldir%/table_options.h
sbin_PROGRAMS += tools/postmap tools/postalias
tools_postmap_SOURCES = %reldir%/postmap.cc
tools_postmap_LDADD = tools/libtabletools.a $(LDADD)
tools_postalias_SOURCES = %reldir%/postalias.cc
tools_postalias_LDADD = tools/libtabletools.a $(LDADD)
bin_PROGRAMS += tools/newaliases
tools_newaliases_SOURCES = %reldir%/newaliases.cc
tools_newaliases_LDADD = tools/libtabletools.a $(LDADD)

# Starting, stopping and looking after an instance.
sbin_PROGRAMS += tools/posthouse
tools_posthouse_SOURCES = \
	%reldir%/instance_check.cc %reldir%/instance_check.h \
	%reldir%/instance_processes.cc %reldir%/instance_processes.h \
	%reldir%/posthouse.cc \
	%reldir%/settings_check.cc \
	%reldir%/set_permissions.cc %reldir%/set_permissions.h
tools_posthouse_LDADD = tools/libqueuetools.a $(LDADD)

# postsuper and postcat.
sbin_PROGRAMS += tools/postsuper tools/postcat
tools_postsuper_SOURCES = %reldir%/postsuper.cc %reldir%/queue_act.cc %reldir%/queue_act.h
tools_postsuper_LDADD = tools/libqueuetools.a tools/libsubmit.a $(LDADD)
tools_postcat_SOURCES = %reldir%/postcat.cc %reldir%/postcat_drop.cc %reldir%/postcat_drop.h
tools_postcat_LDADD = tools/libqueuetools.a tools/libsubmit.a $(LDADD)

# Showing and changing main.cf and master.cf.
noinst_LIBRARIES += tools/libconfigtools.a
tools_libconfigtools_a_SOURCES = %reldir%/config_edit.cc %reldir%/config_edit.h
sbin_PROGRAMS += tools/postconf
tools_postconf_SOURCES = \
	%reldir%/postconf.cc \
	%reldir%/postconf_edit.cc \
	%reldir%/postconf_options.cc %reldir%/postconf_options.h \
	%reldir%/postconf_show.cc
tools_postconf_LDADD = tools/libconfigtools.a $(LDADD)

# A line for the log.
sbin_PROGRAMS += tools/postlog
tools_postlog_SOURCES = %reldir%/postlog.cc
