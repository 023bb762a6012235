# The queue: its files and protocols, and intake (rewriting, routing, expansion, header clean-up).
noinst_LIBRARIES += lib/queue/libqueue.a
lib_queue_libqueue_a_SOURCES = \
	%reldir%/address_text.cc %reldir%/address_text.h \
	%reldir%/content_action.cc %reldir%/content_action.h \
	%reldir%/content_checks.cc %reldir%/content_checks.h \
	%reldir%/content_info.h \
	%reldir%/content_reader.cc %reldir%/content_reader.h \
	%reldir%/control_protocol.cc %reldir%/control_protocol.h \
	%reldir%/delivery_protocol.cc %reldir%/delivery_protocol.h \
	%reldir%/disk.cc %reldir%/disk.h \
	%reldir%/drop_file.cc %reldir%/drop_file.h \
	%reldir%/drop_listing.cc %reldir%/drop_listing.h \
	%reldir%/expansion.cc %reldir%/expansion.h \
	%reldir%/header_scanner.cc %reldir%/header_scanner.h \
	%reldir%/intake.cc %reldir%/intake.h %reldir%/intake_impl.h \
	%reldir%/intake_fields.cc \
	%reldir%/intake_tables.cc %reldir%/intake_tables.h \
	%reldir%/lease_desk.cc %reldir%/lease_desk.h \
	%reldir%/lease_protocol.cc %reldir%/lease_protocol.h \
	%reldir%/local_clients.cc \
	%reldir%/local_domains.cc %reldir%/local_domains.h \
	%reldir%/log_outcome.cc %reldir%/log_outcome.h \
	%reldir%/mark_journal.cc %reldir%/mark_journal.h \
	%reldir%/new_message.h \
	%reldir%/override_options.cc %reldir%/override_options.h \
	%reldir%/own_addresses.cc %reldir%/own_addresses.h \
	%reldir%/protocol_codec.cc %reldir%/protocol_codec.h \
	%reldir%/queue.cc %reldir%/queue.h \
	%reldir%/queue_client.cc %reldir%/queue_client.h \
	%reldir%/queue_file.cc %reldir%/queue_file.h \
	%reldir%/queue_file_format.h %reldir%/queue_file_write.cc \
	%reldir%/queue_id.cc %reldir%/queue_id.h \
	%reldir%/recipient_tables.cc %reldir%/recipient_tables.h \
	%reldir%/rewrite.cc %reldir%/rewrite.h \
	%reldir%/rewrite_header.cc \
	%reldir%/rewriter_impl.h \
	%reldir%/route.cc %reldir%/route.h \
	%reldir%/slot_files.cc %reldir%/slot_files.h \
	%reldir%/slot_message.cc %reldir%/slot_message.h \
	%reldir%/slot_pool.cc %reldir%/slot_pool.h %reldir%/slot_pool_impl.h \
	%reldir%/slot_pool_changes.cc %reldir%/slot_pool_journal.cc \
	%reldir%/slot_pool_scan.cc %reldir%/slot_pool_supply.cc \
	%reldir%/verify_cache.cc %reldir%/verify_cache.h \
	%reldir%/verify_sender.cc %reldir%/verify_sender.h
