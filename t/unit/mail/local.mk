# Messages and addresses.
check_PROGRAMS += t/unit/mail/mail_test
TESTS += t/unit/mail/mail_test
t_unit_mail_mail_test_SOURCES = \
	%reldir%/address_list_test.cc \
	%reldir%/address_test.cc \
	%reldir%/dsn_test.cc \
	%reldir%/envelope_test.cc \
	%reldir%/mime_tracker_test.cc \
	%reldir%/seven_bit_test.cc \
	%reldir%/text_test.cc
t_unit_mail_mail_test_LDADD = t/support/libcatchmain.a lib/mail/libmail.a lib/log/liblog.a lib/base/libbase.a \
	$(IDN2_LIBS) $(CATCH_LIBS)
