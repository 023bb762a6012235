# Messages: envelope, addresses, dates, notifications. Pure: no input or output.
noinst_LIBRARIES += lib/mail/libmail.a
lib_mail_libmail_a_SOURCES = \
	%reldir%/address.cc %reldir%/address.h \
	%reldir%/address_list.cc %reldir%/address_list.h \
	%reldir%/date.cc %reldir%/date.h \
	%reldir%/dsn.cc %reldir%/dsn.h \
	%reldir%/envelope.cc %reldir%/envelope.h \
	%reldir%/idn.cc %reldir%/idn.h \
	%reldir%/mime_boundary.cc %reldir%/mime_boundary.h \
	%reldir%/mime_field.cc %reldir%/mime_field.h \
	%reldir%/mime_tracker.cc %reldir%/mime_tracker.h \
	%reldir%/quoted_printable.cc %reldir%/quoted_printable.h \
	%reldir%/seven_bit.cc %reldir%/seven_bit.h \
	%reldir%/utf8.cc %reldir%/utf8.h \
	%reldir%/xtext.cc %reldir%/xtext.h
