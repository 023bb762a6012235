# Delivery into mailboxes. The agent's tests fork real workers; as root they deliver as another user.
check_PROGRAMS += t/unit/local/local_test
TESTS += t/unit/local/local_test
t_unit_local_local_test_SOURCES = \
	%reldir%/agent_test.cc \
	%reldir%/alias_expansion_test.cc \
	%reldir%/fixture.h \
	%reldir%/mailbox_test.cc \
	%reldir%/spawner_test.cc \
	%reldir%/text_test.cc
t_unit_local_local_test_LDADD = local/liblocal.a $(TEST_LDADD)
