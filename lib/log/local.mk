# The log.
noinst_LIBRARIES += lib/log/liblog.a
lib_log_liblog_a_SOURCES = %reldir%/log.cc %reldir%/log.h
