# Logins: the client of Dovecot's auth client protocol.
noinst_LIBRARIES += lib/sasl/libsasl.a
lib_sasl_libsasl_a_SOURCES = \
	%reldir%/auth_client.cc %reldir%/auth_client.h \
	%reldir%/auth_protocol.cc %reldir%/auth_protocol.h
