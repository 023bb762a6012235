# Addresses, sockets, DNS.
noinst_LIBRARIES += lib/net/libnet.a
lib_net_libnet_a_SOURCES = \
	%reldir%/address.cc %reldir%/address.h \
	%reldir%/dns_answer.cc %reldir%/dns_answer.h \
	%reldir%/dns_client.cc %reldir%/dns_client.h \
	%reldir%/hosts_file.cc %reldir%/hosts_file.h \
	%reldir%/proxy_protocol.cc %reldir%/proxy_protocol.h \
	%reldir%/resolver.cc %reldir%/resolver.h \
	%reldir%/service_address.cc %reldir%/service_address.h \
	%reldir%/socket.cc %reldir%/socket.h
