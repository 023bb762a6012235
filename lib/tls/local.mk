# TLS on OpenSSL: contexts of servers and clients, and sessions as byte streams.
noinst_LIBRARIES += lib/tls/libtls.a
lib_tls_libtls_a_SOURCES = \
	%reldir%/chain.cc %reldir%/chain.h \
	%reldir%/ciphers.cc %reldir%/ciphers.h \
	%reldir%/client_context.cc %reldir%/client_context.h \
	%reldir%/context_parts.cc %reldir%/context_parts.h \
	%reldir%/context_settings.h \
	%reldir%/library_settings.cc %reldir%/library_settings.h \
	%reldir%/openssl.cc %reldir%/openssl.h \
	%reldir%/protocols.cc %reldir%/protocols.h \
	%reldir%/read_session.h \
	%reldir%/server_context.cc %reldir%/server_context.h \
	%reldir%/server_name.cc %reldir%/server_name.h \
	%reldir%/session_info.cc %reldir%/session_info.h \
	%reldir%/sni_map.cc %reldir%/sni_map.h \
	%reldir%/socket_bio.cc %reldir%/socket_bio.h \
	%reldir%/stream.cc %reldir%/stream.h \
	%reldir%/ticket_keys.cc %reldir%/ticket_keys.h
