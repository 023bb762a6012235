# Fuzz targets. To add fuzz_WHAT: its name in FUZZ_TARGETS, a SOURCES and an LDADD line as below, and a
# corpus of hard cases in corpus/WHAT/. make check replays the corpora; --enable-fuzzers links libFuzzer.
FUZZ_TARGETS =
noinst_LIBRARIES += t/fuzz/libreplay.a
t_fuzz_libreplay_a_SOURCES = %reldir%/replay.cc
if FUZZERS
FUZZ_LDADD = $(LDADD) $(FUZZER_ENGINE)
else
FUZZ_LDADD = t/fuzz/libreplay.a $(LDADD)
endif

# FUZZ_TARGETS += fuzz_example
# check_PROGRAMS += t/fuzz/fuzz_example
# t_fuzz_fuzz_example_SOURCES = %reldir%/fuzz_example.cc
# t_fuzz_fuzz_example_LDADD = $(FUZZ_LDADD)

TESTS += %reldir%/run.sh
EXTRA_DIST += %reldir%/run.sh %reldir%/corpus

FUZZ_TARGETS += fuzz_dns_answer
check_PROGRAMS += t/fuzz/fuzz_dns_answer
t_fuzz_fuzz_dns_answer_SOURCES = %reldir%/fuzz_dns_answer.cc
t_fuzz_fuzz_dns_answer_LDADD = $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_maildrop fuzz_intake
check_PROGRAMS += t/fuzz/fuzz_maildrop t/fuzz/fuzz_intake
t_fuzz_fuzz_maildrop_SOURCES = %reldir%/fuzz_maildrop.cc
t_fuzz_fuzz_maildrop_LDADD = $(FUZZ_LDADD)
t_fuzz_fuzz_intake_SOURCES = %reldir%/fuzz_intake.cc
t_fuzz_fuzz_intake_LDADD = $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_smtpd_session
check_PROGRAMS += t/fuzz/fuzz_smtpd_session
t_fuzz_fuzz_smtpd_session_SOURCES = %reldir%/fuzz_smtpd_session.cc
t_fuzz_fuzz_smtpd_session_LDADD = smtpd/libsmtpd.a $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_smtp_command fuzz_smtp_data fuzz_smtp_reply fuzz_address fuzz_header fuzz_envelope \
	fuzz_seven_bit
check_PROGRAMS += t/fuzz/fuzz_smtp_command t/fuzz/fuzz_smtp_data t/fuzz/fuzz_smtp_reply t/fuzz/fuzz_address \
	t/fuzz/fuzz_header t/fuzz/fuzz_envelope t/fuzz/fuzz_seven_bit
t_fuzz_fuzz_smtp_command_SOURCES = %reldir%/fuzz_smtp_command.cc
t_fuzz_fuzz_smtp_command_LDADD = $(FUZZ_LDADD)
t_fuzz_fuzz_smtp_data_SOURCES = %reldir%/fuzz_smtp_data.cc
t_fuzz_fuzz_smtp_data_LDADD = $(FUZZ_LDADD)
t_fuzz_fuzz_smtp_reply_SOURCES = %reldir%/fuzz_smtp_reply.cc
t_fuzz_fuzz_smtp_reply_LDADD = $(FUZZ_LDADD)
t_fuzz_fuzz_address_SOURCES = %reldir%/fuzz_address.cc
t_fuzz_fuzz_address_LDADD = $(FUZZ_LDADD)
t_fuzz_fuzz_header_SOURCES = %reldir%/fuzz_header.cc
t_fuzz_fuzz_header_LDADD = $(FUZZ_LDADD)
t_fuzz_fuzz_envelope_SOURCES = %reldir%/fuzz_envelope.cc
t_fuzz_fuzz_envelope_LDADD = $(FUZZ_LDADD)
t_fuzz_fuzz_seven_bit_SOURCES = %reldir%/fuzz_seven_bit.cc
t_fuzz_fuzz_seven_bit_LDADD = $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_queue_file fuzz_queue_protocol
check_PROGRAMS += t/fuzz/fuzz_queue_file t/fuzz/fuzz_queue_protocol
t_fuzz_fuzz_queue_file_SOURCES = %reldir%/fuzz_queue_file.cc
t_fuzz_fuzz_queue_file_LDADD = $(FUZZ_LDADD)
t_fuzz_fuzz_queue_protocol_SOURCES = %reldir%/fuzz_queue_protocol.cc
t_fuzz_fuzz_queue_protocol_LDADD = $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_alias fuzz_table_text
check_PROGRAMS += t/fuzz/fuzz_alias t/fuzz/fuzz_table_text
t_fuzz_fuzz_alias_SOURCES = %reldir%/fuzz_alias.cc
t_fuzz_fuzz_alias_LDADD = $(FUZZ_LDADD)
t_fuzz_fuzz_table_text_SOURCES = %reldir%/fuzz_table_text.cc
t_fuzz_fuzz_table_text_LDADD = $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_ipc
check_PROGRAMS += t/fuzz/fuzz_ipc
t_fuzz_fuzz_ipc_SOURCES = %reldir%/fuzz_ipc.cc
t_fuzz_fuzz_ipc_LDADD = $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_main_cf fuzz_master_cf
check_PROGRAMS += t/fuzz/fuzz_main_cf t/fuzz/fuzz_master_cf
t_fuzz_fuzz_main_cf_SOURCES = %reldir%/fuzz_main_cf.cc
t_fuzz_fuzz_main_cf_LDADD = tools/libconfigtools.a $(FUZZ_LDADD)
t_fuzz_fuzz_master_cf_SOURCES = %reldir%/fuzz_master_cf.cc
t_fuzz_fuzz_master_cf_LDADD = tools/libconfigtools.a $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_host_text fuzz_local_protocol fuzz_sendmail_options
check_PROGRAMS += t/fuzz/fuzz_host_text t/fuzz/fuzz_local_protocol t/fuzz/fuzz_sendmail_options
t_fuzz_fuzz_host_text_SOURCES = %reldir%/fuzz_host_text.cc
t_fuzz_fuzz_host_text_LDADD = smtp/libclient.a $(FUZZ_LDADD)
t_fuzz_fuzz_local_protocol_SOURCES = %reldir%/fuzz_local_protocol.cc
t_fuzz_fuzz_local_protocol_LDADD = local/liblocal.a $(FUZZ_LDADD)
t_fuzz_fuzz_sendmail_options_SOURCES = %reldir%/fuzz_sendmail_options.cc
t_fuzz_fuzz_sendmail_options_LDADD = tools/libsubmit.a $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_server_name
check_PROGRAMS += t/fuzz/fuzz_server_name
t_fuzz_fuzz_server_name_SOURCES = %reldir%/fuzz_server_name.cc
t_fuzz_fuzz_server_name_LDADD = $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_sasl_protocol
check_PROGRAMS += t/fuzz/fuzz_sasl_protocol
t_fuzz_fuzz_sasl_protocol_SOURCES = %reldir%/fuzz_sasl_protocol.cc
t_fuzz_fuzz_sasl_protocol_LDADD = $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_access
check_PROGRAMS += t/fuzz/fuzz_access
t_fuzz_fuzz_access_SOURCES = %reldir%/fuzz_access.cc
t_fuzz_fuzz_access_LDADD = smtpd/libsmtpd.a $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_policy_protocol
check_PROGRAMS += t/fuzz/fuzz_policy_protocol
t_fuzz_fuzz_policy_protocol_SOURCES = %reldir%/fuzz_policy_protocol.cc
t_fuzz_fuzz_policy_protocol_LDADD = smtpd/libsmtpd.a $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_milter
check_PROGRAMS += t/fuzz/fuzz_milter
t_fuzz_fuzz_milter_SOURCES = %reldir%/fuzz_milter.cc
t_fuzz_fuzz_milter_LDADD = $(FUZZ_LDADD)

FUZZ_TARGETS += fuzz_proxy_protocol
check_PROGRAMS += t/fuzz/fuzz_proxy_protocol
t_fuzz_fuzz_proxy_protocol_SOURCES = %reldir%/fuzz_proxy_protocol.cc
t_fuzz_fuzz_proxy_protocol_LDADD = $(FUZZ_LDADD)
FUZZ_TARGETS += fuzz_content
check_PROGRAMS += t/fuzz/fuzz_content
t_fuzz_fuzz_content_SOURCES = %reldir%/fuzz_content.cc
t_fuzz_fuzz_content_LDADD = $(FUZZ_LDADD)
