check_PROGRAMS += t/unit/base/base_test
TESTS += t/unit/base/base_test
t_unit_base_base_test_SOURCES = %reldir%/crc32c_test.cc %reldir%/file_set_test.cc %reldir%/log_test.cc %reldir%/result_test.cc
t_unit_base_base_test_LDADD = t/support/libcatchmain.a lib/log/liblog.a lib/base/libbase.a $(CATCH_LIBS)
