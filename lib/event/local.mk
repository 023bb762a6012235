# The loop, tasks, streams and the thread pool.
noinst_LIBRARIES += lib/event/libevent.a
lib_event_libevent_a_SOURCES = \
	%reldir%/byte_stream.cc %reldir%/byte_stream.h \
	%reldir%/libevent.h \
	%reldir%/loop.cc %reldir%/loop.h \
	%reldir%/notify.cc %reldir%/notify.h \
	%reldir%/task.cc %reldir%/task.h \
	%reldir%/task_group.cc %reldir%/task_group.h \
	%reldir%/thread_pool.cc %reldir%/thread_pool.h
