# SMTP and LMTP, both sides: grammar, replies, lines and content.
noinst_LIBRARIES += lib/smtp/libsmtp.a
lib_smtp_libsmtp_a_SOURCES = \
	%reldir%/chat.cc %reldir%/chat.h \
	%reldir%/client_commands.cc %reldir%/client_commands.h \
	%reldir%/command.cc %reldir%/command.h \
	%reldir%/content_facts.cc %reldir%/content_facts.h \
	%reldir%/data_reader.cc %reldir%/data_reader.h \
	%reldir%/data_writer.cc %reldir%/data_writer.h \
	%reldir%/features.cc %reldir%/features.h \
	%reldir%/reply.cc %reldir%/reply.h
