# Addresses, sockets, DNS.
noinst_LIBRARIES += lib/net/libnet.a
lib_net_libnet_a_SOURCES = \
	%reldir%/address.cc %reldir%/address.h \
	%reldir%/resolver.h \
	%reldir%/socket.cc %reldir%/socket.h
