# Messages: envelope, addresses, headers, dates, notifications. Pure: no input or output.
noinst_LIBRARIES += lib/mail/libmail.a
lib_mail_libmail_a_SOURCES = \
	%reldir%/envelope.cc %reldir%/envelope.h
