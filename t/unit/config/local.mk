check_PROGRAMS += t/unit/config/config_test
TESTS += t/unit/config/config_test
t_unit_config_config_test_SOURCES = \
	%reldir%/edit_test.cc \
	%reldir%/expand_test.cc \
	%reldir%/main_cf_test.cc \
	%reldir%/master_cf_test.cc \
	%reldir%/nearest_test.cc
t_unit_config_config_test_LDADD = t/support/libcatchmain.a tools/libconfigtools.a lib/config/libconfig.a lib/log/liblog.a lib/base/libbase.a $(CATCH_LIBS)
