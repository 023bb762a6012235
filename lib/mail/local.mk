# Messages: envelope, addresses, headers, dates, notifications. Pure: no input or output.
noinst_LIBRARIES += lib/mail/libmail.a
lib_mail_libmail_a_SOURCES = \
	%reldir%/address.cc %reldir%/address.h \
	%reldir%/envelope.cc %reldir%/envelope.h \
	%reldir%/utf8.cc %reldir%/utf8.h \
	%reldir%/xtext.cc %reldir%/xtext.h
