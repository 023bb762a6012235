# Lookup tables.
noinst_LIBRARIES += lib/table/libtable.a
lib_table_libtable_a_SOURCES = \
	%reldir%/aliases.cc %reldir%/aliases.h \
	%reldir%/arrival_watch.cc %reldir%/arrival_watch.h \
	%reldir%/cache.cc %reldir%/cache.h \
	%reldir%/combined_tables.cc %reldir%/combined_tables.h \
	%reldir%/context.cc \
	%reldir%/lmdb.h \
	%reldir%/lmdb_build.cc %reldir%/lmdb_build.h \
	%reldir%/lmdb_table.cc %reldir%/lmdb_table.h \
	%reldir%/maps.cc %reldir%/maps.h \
	%reldir%/list_items.cc %reldir%/list_items.h \
	%reldir%/match_list.cc %reldir%/match_list.h \
	%reldir%/pattern_file.cc %reldir%/pattern_file.h \
	%reldir%/pattern_tables.cc %reldir%/pattern_tables.h \
	%reldir%/pcre.cc %reldir%/pcre.h \
	%reldir%/simple_tables.cc %reldir%/simple_tables.h \
	%reldir%/table.cc %reldir%/table.h \
	%reldir%/text_file.cc %reldir%/text_file.h \
	%reldir%/text_records.cc %reldir%/text_records.h \
	%reldir%/unix_table.cc %reldir%/unix_table.h
