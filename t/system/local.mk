# The whole suite, started for each test in a folder of its own.
SYSTEM_TESTS = %reldir%/instance_test.py %reldir%/smtpd_test.py
SYSTEM_TESTS += %reldir%/privilege_test.py
SYSTEM_TESTS += %reldir%/local_test.py
SYSTEM_TESTS += %reldir%/postsuper_test.py
SYSTEM_TESTS += %reldir%/queue_test.py
SYSTEM_TESTS += %reldir%/address_test.py
SYSTEM_TESTS += %reldir%/client_test.py
SYSTEM_TESTS += %reldir%/sendmail_test.py
SYSTEM_TESTS += %reldir%/stop_test.py
SYSTEM_TESTS += %reldir%/postconf_test.py
SYSTEM_TESTS += %reldir%/table_test.py
SYSTEM_TESTS += %reldir%/clients_test.py
SYSTEM_TESTS += %reldir%/check_test.py
SYSTEM_TESTS += %reldir%/fault_away_test.py
SYSTEM_TESTS += %reldir%/fault_damage_test.py
SYSTEM_TESTS += %reldir%/fault_disk_test.py
SYSTEM_TESTS += %reldir%/full_queue_test.py
SYSTEM_TESTS += %reldir%/orphan_test.py
SYSTEM_TESTS += %reldir%/peer_test.py
SYSTEM_TESTS += %reldir%/tls_test.py %reldir%/tls_handshake_test.py %reldir%/tls_files_test.py
SYSTEM_TESTS += %reldir%/sasl_test.py %reldir%/submission_test.py
SYSTEM_TESTS += %reldir%/try_test.py
SYSTEM_TESTS += %reldir%/verify_test.py
TESTS += $(SYSTEM_TESTS)
EXTRA_DIST += $(SYSTEM_TESTS) %reldir%/harness.py %reldir%/certificates.py %reldir%/faults.py %reldir%/inject.py %reldir%/take_over.py \
	%reldir%/tls_case.py %reldir%/dovecot.py %reldir%/sasl_case.py %reldir%/scram.py
