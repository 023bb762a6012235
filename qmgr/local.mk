# The queue manager. What its tests need as well is a library of its own.
noinst_LIBRARIES += qmgr/libqmgr.a
qmgr_libqmgr_a_SOURCES = \
	%reldir%/agent.cc %reldir%/agent.h \
	%reldir%/concurrency.cc %reldir%/concurrency.h \
	%reldir%/control_desk.cc %reldir%/control_desk.h \
	%reldir%/destination.h \
	%reldir%/dispatch_order.cc %reldir%/dispatch_order.h \
	%reldir%/listing.cc %reldir%/listing.h \
	%reldir%/message.h \
	%reldir%/notice_rules.cc %reldir%/notice_rules.h \
	%reldir%/notice_writer.cc %reldir%/notice_writer.h \
	%reldir%/operator.cc \
	%reldir%/operator_rights.cc %reldir%/operator_rights.h \
	%reldir%/placement.cc \
	%reldir%/probe_desk.cc %reldir%/probe_desk.h \
	%reldir%/results.cc \
	%reldir%/retry_schedule.h \
	%reldir%/route_finder.cc %reldir%/route_finder.h \
	%reldir%/scheduler.cc %reldir%/scheduler.h \
	%reldir%/settings.cc %reldir%/settings.h \
	%reldir%/time_slice.h \
	%reldir%/transport.cc %reldir%/transport.h \
	%reldir%/waiting_index.cc %reldir%/waiting_index.h

daemon_PROGRAMS += qmgr/qmgr
qmgr_qmgr_SOURCES = %reldir%/qmgr.cc
qmgr_qmgr_LDADD = qmgr/libqmgr.a $(LDADD)
