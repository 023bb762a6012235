# Whom to believe: DNS lists.
noinst_LIBRARIES += lib/trust/libtrust.a
lib_trust_libtrust_a_SOURCES = \
	%reldir%/dns_list.cc %reldir%/dns_list.h
