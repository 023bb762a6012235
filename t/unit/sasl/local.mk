check_PROGRAMS += t/unit/sasl/sasl_test
TESTS += t/unit/sasl/sasl_test
t_unit_sasl_sasl_test_SOURCES = %reldir%/auth_client_test.cc %reldir%/auth_peer.h %reldir%/auth_protocol_test.cc
t_unit_sasl_sasl_test_LDADD = $(TEST_LDADD)
