# Lookup tables.
noinst_LIBRARIES += lib/table/libtable.a
lib_table_libtable_a_SOURCES = \
	%reldir%/lmdb.h \
	%reldir%/lmdb_table.cc %reldir%/lmdb_table.h \
	%reldir%/maps.cc %reldir%/maps.h \
	%reldir%/match_list.cc %reldir%/match_list.h \
	%reldir%/simple_tables.cc %reldir%/simple_tables.h \
	%reldir%/table.cc %reldir%/table.h \
	%reldir%/text_file.cc %reldir%/text_file.h
