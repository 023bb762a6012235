# Shared by the tests. A unit test is one program for each folder under test: see t/unit/base/local.mk.
check_LIBRARIES += t/support/libcatchmain.a
t_support_libcatchmain_a_SOURCES = %reldir%/support/catch_main.cc %reldir%/support/catch.h %reldir%/support/mime_items.h %reldir%/support/run_task.h %reldir%/support/seven_bit.h %reldir%/support/temp_queue.h
TEST_LDADD = t/support/libcatchmain.a $(LDADD) $(CATCH_LIBS)
