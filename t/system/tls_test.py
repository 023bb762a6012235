#!/usr/bin/env python3
"""TLS at the front door as clients meet it: STARTTLS and TLS from the first byte, what is refused, what is logged and what
stands in the Received: header. The clients are real ones: openssl s_client, swaks, smtplib, curl."""
import os
import re
import smtplib
import socket
import ssl
import subprocess
import time

import certificates
import harness

MX = certificates.self_signed("mx.test.example")
RSA = certificates.self_signed("mx.test.example", kind="rsa")


def trusting_all(**options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    for name, value in options.items():
        setattr(context, name, value)
    return context


class TlsTestCase(harness.TestCase):
    def instance(self, main_cf="", pem=MX, level="may", **options):
        """An instance with a certificate."""
        post = harness.Instance(self, **options)
        post.write("chain.pem", pem)
        post.configure(main_cf="smtpd_tls_security_level = %s\nsmtpd_tls_chain_files = %s/chain.pem\n"
                               "smtpd_tls_loglevel = 1\n%s" % (level, post.etc, main_cf),
                       master_cf=options.get("master_cf", ""))
        if post.drops:
            os.chown(post.main_cf_path, post.user.pw_uid, post.user.pw_gid)
        return post

    def open_tls(self, post, context=None, name=None):
        """A Dialogue within TLS, after EHLO and STARTTLS."""
        client = harness.Dialogue(post.port)
        self.addCleanup(client.close)
        client.reply()
        self.assertEqual(client.command("EHLO client.example")[0], 250)
        self.assertEqual(client.command("STARTTLS"), (220, ["2.0.0 Ready to start TLS"]))
        client.socket = (context or trusting_all()).wrap_socket(client.socket, server_hostname=name)
        client.file = client.socket.makefile("rb")
        return client

    def assert_left_after_a_second(self, client):
        begun = time.monotonic()
        self.assertEqual(client.line(), "")
        self.assertGreater(time.monotonic() - begun, 0.9)
        self.assertLess(time.monotonic() - begun, 5)

    def s_client(self, port, *arguments, input="QUIT\r\n", starttls=True):
        return subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % port]
                              + (["-starttls", "smtp"] if starttls else []) + list(arguments),
                              input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30,
                              errors="replace").stdout


class StartTls(TlsTestCase):
    def test_a_message_comes_in_through_starttls_and_the_log_tells_of_the_session(self):
        with self.instance(main_cf="smtpd_tls_received_header = yes\n") as post:
            with post.smtp() as client:
                client.starttls(context=trusting_all())
                client.sendmail("you@example.net", ["friend@example.com"], "Subject: x\r\n\r\nhello\r\n")
            mail = post.wait_mail("friend")[0]
            self.assertRegex(mail, r"Received: from \S+ \(unknown \[127.0.0.1\]\)\n"
                                   r"\t\(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 \(256/256 bits\)\n"
                                   r"\t key-exchange X25519 server-signature ECDSA \(prime256v1\) server-digest SHA256\)\n"
                                   r"\t\(No client certificate requested\)\n"
                                   r"\tby post.test.example \(\S+\) with ESMTPS id ")
            post.wait_log(r"smtpd\[\d+\]: Anonymous TLS connection established from unknown\[127.0.0.1\]: TLSv1.3 with "
                          r"cipher TLS_AES_256_GCM_SHA384 \(256/256 bits\) key-exchange X25519 server-signature ECDSA "
                          r"\(prime256v1\) server-digest SHA256$")
            post.wait_log(r"disconnect from unknown\[127.0.0.1\] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7$")

    def test_without_smtpd_tls_received_header_only_the_s_of_esmtps_tells_of_tls(self):
        with self.instance() as post:
            with post.smtp() as client:
                client.starttls(context=trusting_all())
                client.sendmail("you@example.net", ["friend@example.com"], "Subject: x\r\n\r\nhello\r\n")
            mail = post.wait_mail("friend")[0]
            self.assertIn(" with ESMTPS id ", mail)
            self.assertNotIn("using TLS", mail)

    def test_starttls_is_offered_once_and_everything_said_before_is_forgotten(self):
        with self.instance() as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                self.assertIn("STARTTLS", client.command("EHLO client.example")[1])
                self.assertEqual(client.command("MAIL FROM:<you@example.net>")[0], 250)
                self.assertEqual(client.command("STARTTLS please"), (501, ["5.5.4 Syntax: STARTTLS"]))
                self.assertEqual(client.command("STARTTLS")[0], 220)
                client.socket = trusting_all().wrap_socket(client.socket)
                client.file = client.socket.makefile("rb")
                # Neither the mail nor the name of the client is known any more (RFC 3207 section 4.2).
                self.assertEqual(client.command("RCPT TO:<friend@example.com>")[0], 503)
                self.assertNotIn("STARTTLS", " ".join(client.command("EHLO client.example")[1]))
                self.assertEqual(client.command("STARTTLS"), (554, ["5.5.1 Error: TLS already active"]))
                self.assertEqual(client.command("QUIT")[0], 221)

    def test_without_a_level_there_is_no_starttls(self):
        with self.instance(level="none") as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                self.assertNotIn("STARTTLS", " ".join(client.command("EHLO client.example")[1]))
                self.assertEqual(client.command("STARTTLS")[0], 502)

    def test_at_level_encrypt_nothing_but_hello_and_goodbye_comes_before_starttls(self):
        with self.instance(level="encrypt") as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                for line, code in (("EHLO client.example", 250), ("NOOP", 250), ("MAIL FROM:<you@example.net>", 530),
                                   ("RSET", 530), ("VRFY postmaster", 530), ("QUIT", 221)):
                    self.assertEqual(client.command(line)[0], code, line)
            client = self.open_tls(post)
            client.command("EHLO client.example")
            self.assertEqual(client.command("MAIL FROM:<you@example.net>")[0], 250)
            post.wait_log("disconnect from unknown.* mail=0/1")

    def test_the_old_parameters_count_where_there_is_no_level(self):
        with self.instance(level="", main_cf="smtpd_use_tls = yes\n") as post:
            self.open_tls(post)

    def test_a_keyword_that_is_discarded_is_neither_offered_nor_taken(self):
        with self.instance(main_cf="smtpd_discard_ehlo_keywords = starttls, silent-discard\n") as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                self.assertNotIn("STARTTLS", " ".join(client.command("EHLO client.example")[1]))
                self.assertEqual(client.command("STARTTLS")[0], 502)

    def test_reject_plaintext_session_lets_tls_pass(self):
        with self.instance(main_cf="smtpd_sender_restrictions = reject_plaintext_session\n"
                                   "smtpd_delay_reject = no\n") as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                client.command("EHLO client.example")
                self.assertEqual(client.command("MAIL FROM:<you@example.net>")[0], 450)
            client = self.open_tls(post)
            client.command("EHLO client.example")
            self.assertEqual(client.command("MAIL FROM:<you@example.net>")[0], 250)


class Injection(TlsTestCase):
    """CVE-2011-0411: what somebody has put behind STARTTLS in the clear must not count as said within TLS."""

    def test_commands_in_one_segment_with_starttls_end_the_session(self):
        with self.instance() as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                client.command("EHLO client.example")
                client.send("STARTTLS\r\nMAIL FROM:<evil@example.net>\r\n")
                self.assertEqual(client.reply()[0], 554)
                self.assertEqual(client.reply()[0], 0)
            post.wait_log(r"improper command pipelining after STARTTLS from unknown\[127.0.0.1\]")

    def test_where_pipelining_is_let_pass_they_are_forgotten(self):
        with self.instance(main_cf="smtpd_forbid_unauth_pipelining = no\n") as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                client.command("EHLO client.example")
                client.send("STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@example.net>\r\n")
                self.assertEqual(client.reply(), (220, ["2.0.0 Ready to start TLS"]))
                client.socket = trusting_all().wrap_socket(client.socket)
                client.file = client.socket.makefile("rb")
                self.assertEqual(client.command("RCPT TO:<friend@example.com>")[0], 503)
                self.assertEqual(client.command("EHLO client.example")[0], 250)
                self.assertEqual(client.command("MAIL FROM:<you@example.net>")[0], 250)
            post.wait_log(r"discarded 49 bytes after STARTTLS")

    def test_a_command_in_the_clear_after_the_220_is_no_command(self):
        with self.instance() as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                client.command("EHLO client.example")
                self.assertEqual(client.command("STARTTLS")[0], 220)
                client.send("MAIL FROM:<evil@example.net>\r\n")
                self.assertNotIn("250", client.line())
            post.wait_log(r"SSL_accept error from unknown\[127.0.0.1\]: -1\n(.*\n)*.*TLS library problem: error:\w+:SSL "
                          r"routines::wrong version number:")
            post.wait_log(r"lost connection after STARTTLS from unknown\[127.0.0.1\]")
            post.wait_log(r"disconnect from unknown\[127.0.0.1\] ehlo=1 starttls=0/1 commands=1/2$")


class Handshake(TlsTestCase):
    def test_a_client_that_says_nothing_is_left_at_the_deadline(self):
        with self.instance(main_cf="smtpd_starttls_timeout = 1s\n") as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                client.command("EHLO client.example")
                client.command("STARTTLS")
                self.assert_left_after_a_second(client)
            post.wait_log(r"SSL_accept error from unknown\[127.0.0.1\]: Connection timed out")
            post.wait_log(r"timeout after STARTTLS from unknown\[127.0.0.1\]")

    def test_a_client_that_sends_its_hello_byte_by_byte_gets_no_more_time(self):
        hello = ssl.MemoryBIO(), ssl.MemoryBIO()
        talk = trusting_all().wrap_bio(*hello)
        self.assertRaises(ssl.SSLWantReadError, talk.do_handshake)
        with self.instance(main_cf="smtpd_starttls_timeout = 1s\n") as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                client.command("EHLO client.example")
                client.command("STARTTLS")
                begun = time.monotonic()
                try:
                    for byte in hello[1].read():
                        client.send(bytes([byte]))
                        time.sleep(0.03)
                except OSError:
                    pass
                self.assertEqual(client.line(), "")
                self.assertLess(time.monotonic() - begun, 4)

    def test_a_client_that_closes_in_the_middle_costs_nothing_and_is_logged(self):
        hello = ssl.MemoryBIO(), ssl.MemoryBIO()
        talk = trusting_all().wrap_bio(*hello)
        self.assertRaises(ssl.SSLWantReadError, talk.do_handshake)
        first = hello[1].read()
        with self.instance() as post:
            for count in (0, 1, 5, 100, len(first)):
                with harness.Dialogue(post.port) as client:
                    client.reply()
                    client.command("EHLO client.example")
                    client.command("STARTTLS")
                    client.send(first[:count])
            self.wait_until(lambda: len(re.findall(r"SSL_accept error from unknown\[127.0.0.1\]: lost connection",
                                                   post.log())) == 5, "five broken handshakes in the log")
            [pid] = post.pids("smtpd")
            before = harness.cpu_ticks(pid)
            time.sleep(0.5)
            self.assertLessEqual(harness.cpu_ticks(pid) - before, 1)
            self.open_tls(post)

    def test_hundreds_of_clients_that_stay_in_the_middle_hold_up_nobody(self):
        with self.instance() as post:
            [pid] = post.pids("smtpd")
            stuck = []
            for _ in range(300):
                client = harness.Dialogue(post.port)
                self.addCleanup(client.close)
                client.reply()
                client.send("EHLO client.example\r\n")
                client.reply()
                client.send("STARTTLS\r\n")
                client.reply()
                client.send(b"\x16\x03\x01")
                stuck.append(client)
            begun, before = time.monotonic(), harness.cpu_ticks(pid)
            with post.smtp() as client:
                client.starttls(context=trusting_all())
                client.sendmail("you@example.net", ["friend@example.com"], "Subject: x\r\n\r\nhello\r\n")
            self.assertLess(time.monotonic() - begun, 2)
            self.assertLess(harness.cpu_ticks(pid) - before, 20)
            post.wait_mail("friend")

    def test_an_idle_session_within_tls_costs_no_processor_time_and_ends_at_its_deadline(self):
        with self.instance(main_cf="smtpd_timeout = 2s\n") as post:
            client = self.open_tls(post)
            client.command("EHLO client.example")
            [pid] = post.pids("smtpd")
            before = harness.cpu_ticks(pid)
            self.assertEqual(client.reply(), (421, ["4.4.2 post.test.example Error: timeout exceeded"]))
            self.assertLessEqual(harness.cpu_ticks(pid) - before, 2)
            post.wait_log("timeout after EHLO from unknown")

    def test_renegotiation_is_refused(self):
        with self.instance(pem=RSA) as post:
            client = subprocess.Popen(["openssl", "s_client", "-connect", "127.0.0.1:%d" % post.port, "-starttls", "smtp",
                                       "-tls1_2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, bufsize=0)
            said = ""
            for ending, answer in (("250 CHUNKING\n", "EHLO client.example\r\n"), ("250 CHUNKING\n", "R\n")):
                while not said.endswith(ending):
                    said += client.stdout.readline()
                said += "--\n"
                client.stdin.write(answer)
            said += client.communicate(timeout=20)[0]
            self.assertRegex(said, r"RENEGOTIATING(\n.*)*\n.*no renegotiation")

    def test_only_the_versions_that_the_parameter_names_are_spoken(self):
        with self.instance(main_cf="smtpd_tls_protocols = >=TLSv1.2, !TLSv1.3\n") as post:
            self.assertEqual(self.open_tls(post).socket.version(), "TLSv1.2")
            with self.assertRaises(ssl.SSLError):
                self.open_tls(post, trusting_all(minimum_version=ssl.TLSVersion.TLSv1_3))
            with self.assertRaises(ssl.SSLError):
                self.open_tls(post, trusting_all(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1))
            post.wait_log("TLS library problem: error:.*:unsupported protocol:")

    def test_a_client_has_so_many_new_sessions_in_a_while_and_any_number_of_resumed_ones(self):
        with self.instance(main_cf="smtpd_client_new_tls_session_rate_limit = 2\n"
                                   "smtpd_client_event_limit_exceptions =\nsmtpd_tls_protocols = TLSv1.2\n") as post:
            context = trusting_all()
            session = self.open_tls(post, context).socket.session
            for _ in range(3):
                with harness.Dialogue(post.port) as client:
                    client.reply()
                    client.command("EHLO client.example")
                    client.command("STARTTLS")
                    with context.wrap_socket(client.socket, session=session) as tls:
                        self.assertTrue(tls.session_reused)
            self.open_tls(post, context)
            with harness.Dialogue(post.port) as client:
                client.reply()
                client.command("EHLO client.example")
                self.assertEqual(client.command("STARTTLS"), (421, ["4.7.0 post.test.example Error: too many new TLS "
                                                                    "sessions from 127.0.0.1"]))
            post.wait_log("warning: New TLS session rate limit exceeded: 2 from unknown.127.0.0.1.")

    def test_old_versions_are_spoken_where_they_are_allowed(self):
        with self.instance(pem=RSA, main_cf="smtpd_tls_protocols = >=TLSv1\n") as post:
            old = trusting_all(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1)
            self.assertEqual(self.open_tls(post, old).socket.version(), "TLSv1")

    def test_ciphers_are_limited_by_grade_and_exclusions_and_more_so_where_tls_is_required(self):
        main_cf = ("smtpd_tls_protocols = !TLSv1.3\nsmtpd_tls_mandatory_protocols = !TLSv1.3\n"
                   "smtpd_tls_exclude_ciphers = kRSA\nsmtpd_tls_mandatory_exclude_ciphers = AES128, CAMELLIA128, ARIA128\n")
        with self.instance(pem=RSA, main_cf=main_cf) as post:
            for list, good in (("AES128-SHA", False), ("ECDHE-RSA-AES128-GCM-SHA256", True)):
                context = trusting_all()
                context.set_ciphers(list + ":@SECLEVEL=0")
                if good:
                    self.assertEqual(self.open_tls(post, context).socket.cipher()[0], list)
                else:
                    self.assertRaises(ssl.SSLError, self.open_tls, post, context)
        with self.instance(pem=RSA, level="encrypt", main_cf=main_cf) as post:
            context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0")
            self.assertRaises(ssl.SSLError, self.open_tls, post, context)
            self.assertIn("AES256", self.open_tls(post).socket.cipher()[0])

    def test_a_browser_that_was_led_here_gets_no_handshake(self):
        with self.instance() as post:
            context = trusting_all()
            context.set_alpn_protocols(["h2", "http/1.1"])
            self.assertRaises(ssl.SSLError, self.open_tls, post, context)
            context.set_alpn_protocols(["smtp"])
            self.assertEqual(self.open_tls(post, context).socket.selected_alpn_protocol(), "smtp")

    def test_an_rsa_and_an_ecdsa_certificate_serve_side_by_side(self):
        with self.instance(pem=RSA + MX, main_cf="smtpd_tls_protocols = !TLSv1.3\n") as post:
            for list in ("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"):
                context = trusting_all()
                context.set_ciphers(list)
                self.assertEqual(self.open_tls(post, context).socket.cipher()[0], list)


class Wrapper(TlsTestCase):
    def instance(self, main_cf="", **options):
        self.wrapped = harness.free_port()
        options["master_cf"] = "127.0.0.1:%d inet n - n - - smtpd\n -o smtpd_tls_wrappermode=yes\n" % self.wrapped
        return super().instance(main_cf=main_cf, **options)

    def test_tls_comes_first_and_mail_passes(self):
        with self.instance() as post:
            with smtplib.SMTP_SSL("127.0.0.1", self.wrapped, context=trusting_all(), timeout=20) as client:
                self.assertNotIn("starttls", client.ehlo()[1].decode().lower())
                self.assertEqual(client.docmd("STARTTLS")[0], 554)
                client.sendmail("you@example.net", ["friend@example.com"], "Subject: x\r\n\r\nhello\r\n")
            self.assertIn("with ESMTPS id", post.wait_mail("friend")[0])

    def test_plain_text_gets_no_answer_in_plain_text_and_is_logged(self):
        with self.instance() as post:
            with harness.Dialogue(self.wrapped) as client:
                client.send("EHLO client.example\r\n")
                self.assertNotRegex(client.line(), "^[2-5]")
            post.wait_log(r"SSL_accept error from unknown\[127.0.0.1\]: -1")
            post.wait_log(r"lost connection after CONNECT from unknown\[127.0.0.1\]")

    def test_a_client_that_waits_for_a_greeting_is_left_at_the_deadline(self):
        with self.instance(main_cf="smtpd_starttls_timeout = 1s\n") as post:
            with harness.Dialogue(self.wrapped) as client:
                self.assert_left_after_a_second(client)

    def test_without_a_usable_certificate_the_connection_ends_and_the_service_lives(self):
        with self.instance(pem="nothing\n") as post:
            for _ in range(2):
                with harness.Dialogue(self.wrapped) as client:
                    self.assertEqual(client.line(), "")
            post.wait_log("warning: TLS with unknown.127.0.0.1.: there is no certificate to be shown")

    def test_who_comes_too_often_costs_no_handshake(self):
        with self.instance(main_cf="smtpd_client_connection_count_limit = 2\nsmtpd_client_event_limit_exceptions =\n"
                                   "smtpd_starttls_timeout = 20s\n") as post:
            guests = [harness.Dialogue(self.wrapped) for _ in range(2)]
            for guest in guests:
                self.addCleanup(guest.close)
            with harness.Dialogue(self.wrapped) as client:
                self.assertEqual(client.line(), "")
            post.wait_log("Connection concurrency limit exceeded: 3 from unknown.127.0.0.1.")

    def test_a_stop_says_421_within_tls(self):
        with self.instance() as post:
            with smtplib.SMTP_SSL("127.0.0.1", self.wrapped, context=trusting_all(), timeout=20) as client:
                client.ehlo()
                post.stop()
                self.assertEqual(client.getreply()[0], 421)

    def test_real_clients_submit_mail(self):
        with self.instance() as post:
            common = ["swaks", "--from", "you@example.net", "--to", "friend@example.com", "--server", "127.0.0.1"]
            for number, options in enumerate((["--port", str(post.port), "--tls"],
                                              ["--port", str(self.wrapped), "--tls-on-connect"]), 1):
                done = subprocess.run(common + options, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                self.assertEqual(done.returncode, 0, done.stdout)
                post.wait_mail("friend", number)
            for number, url in enumerate(("smtp://127.0.0.1:%d" % post.port, "smtps://127.0.0.1:%d" % self.wrapped), 3):
                done = subprocess.run(["curl", "-sS", "-k", "--ssl-reqd", url, "--mail-from", "you@example.net",
                                       "--mail-rcpt", "friend@example.com", "-T", "-"], input="Subject: x\n\nhello\n",
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                self.assertEqual(done.returncode, 0, done.stdout)
                post.wait_mail("friend", number)
            said = self.s_client(self.wrapped, "-quiet", starttls=False)
            self.assertIn("221 2.0.0 Bye", said)
            for mail in post.mail("friend"):
                self.assertIn("with ESMTPS id", mail)


if __name__ == "__main__":
    harness.main()
