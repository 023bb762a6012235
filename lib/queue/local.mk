# The queue: its files and protocols, and intake (rewriting, routing, expansion, header clean-up).
noinst_LIBRARIES += lib/queue/libqueue.a
lib_queue_libqueue_a_SOURCES = \
	%reldir%/address_text.cc %reldir%/address_text.h \
	%reldir%/expansion.cc %reldir%/expansion.h \
	%reldir%/header_scanner.cc %reldir%/header_scanner.h \
	%reldir%/intake.cc %reldir%/intake.h \
	%reldir%/intake_tables.cc %reldir%/intake_tables.h \
	%reldir%/local_domains.cc %reldir%/local_domains.h \
	%reldir%/new_message.h \
	%reldir%/own_addresses.cc %reldir%/own_addresses.h \
	%reldir%/recipient_tables.cc %reldir%/recipient_tables.h \
	%reldir%/rewrite.cc %reldir%/rewrite.h \
	%reldir%/rewriter_impl.h \
	%reldir%/route.cc %reldir%/route.h
