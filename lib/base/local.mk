# Vocabulary of the whole project: results, errors, descriptors, text, time.
noinst_LIBRARIES += lib/base/libbase.a
lib_base_libbase_a_SOURCES = \
	%reldir%/ascii.cc %reldir%/ascii.h \
	%reldir%/cat.h \
	%reldir%/crc32c.cc %reldir%/crc32c.h \
	%reldir%/error.cc %reldir%/error.h \
	%reldir%/file.cc %reldir%/file.h \
	%reldir%/file_set.cc %reldir%/file_set.h \
	%reldir%/owned_file.cc %reldir%/owned_file.h \
	%reldir%/random.cc %reldir%/random.h \
	%reldir%/result.h \
	%reldir%/secret.cc %reldir%/secret.h \
	%reldir%/sip_hash.cc %reldir%/sip_hash.h \
	%reldir%/time.cc %reldir%/time.h \
	%reldir%/unique_fd.h
