# Lookup tables. The program is its own data maker: it writes tables into a scratch directory.
check_PROGRAMS += t/unit/table/table_test
TESTS += t/unit/table/table_test
t_unit_table_table_test_SOURCES = \
	%reldir%/aliases_test.cc \
	%reldir%/cache_test.cc \
	%reldir%/fixture.h \
	%reldir%/lmdb_test.cc \
	%reldir%/maps_test.cc \
	%reldir%/match_list_test.cc \
	%reldir%/pattern_tables_test.cc \
	%reldir%/simple_tables_test.cc
t_unit_table_table_test_LDADD = t/support/libcatchmain.a lib/table/libtable.a lib/net/libnet.a \
	lib/event/libevent.a lib/log/liblog.a lib/base/libbase.a $(POSTHOUSE_SYSTEM_LIBS) $(CATCH_LIBS)
