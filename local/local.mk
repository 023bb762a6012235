# local and virtual: delivery into mailboxes. All but the two mains is a library, for the tests.
noinst_LIBRARIES += local/liblocal.a
local_liblocal_a_SOURCES = \
	%reldir%/agent.cc %reldir%/agent.h \
	%reldir%/agent_session.cc %reldir%/agent_session.h \
	%reldir%/alias_expansion.cc %reldir%/alias_expansion.h \
	%reldir%/durable_name.cc %reldir%/durable_name.h \
	%reldir%/forward.cc %reldir%/forward.h \
	%reldir%/local_delivery.cc %reldir%/local_delivery.h \
	%reldir%/mailbox_delivery.cc %reldir%/mailbox_delivery.h \
	%reldir%/mailbox_job.cc %reldir%/mailbox_job.h \
	%reldir%/maildir.cc %reldir%/maildir.h \
	%reldir%/mandate.cc %reldir%/mandate.h \
	%reldir%/mbox.cc %reldir%/mbox.h \
	%reldir%/message_copy.cc %reldir%/message_copy.h \
	%reldir%/message_head.cc %reldir%/message_head.h \
	%reldir%/outcome.h \
	%reldir%/packet.cc %reldir%/packet.h \
	%reldir%/packet_link.cc %reldir%/packet_link.h \
	%reldir%/settings.cc %reldir%/settings.h \
	%reldir%/spawn_protocol.cc %reldir%/spawn_protocol.h \
	%reldir%/spawner.cc %reldir%/spawner.h \
	%reldir%/virtual_delivery.cc %reldir%/virtual_delivery.h \
	%reldir%/worker.cc %reldir%/worker.h \
	%reldir%/worker_pool.cc %reldir%/worker_pool.h

daemon_PROGRAMS += local/local local/virtual
local_local_SOURCES = %reldir%/local.cc
local_local_LDADD = local/liblocal.a $(LDADD)
local_virtual_SOURCES = %reldir%/virtual.cc
local_virtual_LDADD = local/liblocal.a $(LDADD)
