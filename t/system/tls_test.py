#!/usr/bin/env python3
"""TLS at the front door as clients meet it: STARTTLS and TLS from the first byte, what is refused, what is logged and what
stands in the Received: header. The clients are real ones: openssl s_client, swaks, smtplib, curl."""
import smtplib
import subprocess

import harness
from tls_case import TlsTestCase, trusting_all


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

    def test_a_large_message_arrives_byte_for_byte_and_a_truncated_one_not_at_all(self):
        lines = "".join("%d %s\r\n" % (number, "x" * (number % 900)) for number in range(9000))
        with self.instance() as post:
            with post.smtp() as client:
                client.starttls(context=trusting_all())
                client.sendmail("you@example.net", ["friend@example.com"], "Subject: large\r\n\r\n" + lines)
            self.assertTrue(post.wait_mail("friend")[0].endswith("\n\n" + lines.replace("\r\n", "\n")))
            client = self.open_tls(post)
            for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>", "DATA"):
                client.command(line)
            client.send("Subject: cut\r\n\r\n" + lines[:50000])
            client.socket.unwrap()  # says that it ends, as an attacker in between could not
            post.wait_log(r"lost connection after DATA \(\d+ bytes\) from unknown")
            post.wait_queue(0)
            self.assertEqual(len(post.mail("friend")), 1)

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
