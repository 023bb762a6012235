check_PROGRAMS += t/unit/smtp/smtp_test
TESTS += t/unit/smtp/smtp_test
t_unit_smtp_smtp_test_SOURCES = \
	%reldir%/chat_test.cc \
	%reldir%/command_test.cc \
	%reldir%/content_facts_test.cc \
	%reldir%/data_reader_test.cc \
	%reldir%/data_writer_test.cc \
	%reldir%/reply_test.cc \
	t/support/memory_stream.h
t_unit_smtp_smtp_test_LDADD = t/support/libcatchmain.a lib/smtp/libsmtp.a lib/mail/libmail.a lib/event/libevent.a \
	lib/log/liblog.a lib/base/libbase.a $(IDN2_LIBS) $(EVENT_LIBS) $(CATCH_LIBS)
