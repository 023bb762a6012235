#!/usr/bin/env python3
"""TLS handshakes: those that do not come to their end, the versions and ciphers that are spoken, and what is refused."""
import re
import ssl
import subprocess
import time

import certificates
import harness
from tls_case import MX, RSA, TlsTestCase, trusting_all


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

    def test_plain_diffie_hellman_takes_the_parameters_of_the_library_or_of_a_file(self):
        dhe = trusting_all(maximum_version=ssl.TLSVersion.TLSv1_2)
        dhe.set_ciphers("DHE-RSA-AES256-GCM-SHA384")
        parameters = certificates.openssl("genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe3072")
        for value in ("", "auto", "{etc}/dh.pem"):
            post = self.instance(pem=RSA)
            post.write("dh.pem", parameters)
            with open(post.main_cf_path, "a") as out:
                out.write("smtpd_tls_dh1024_param_file = %s\n" % value.format(etc=post.etc))
            with post:
                self.assertEqual(self.open_tls(post, dhe).socket.cipher()[0], "DHE-RSA-AES256-GCM-SHA384")
                said = self.s_client(post.port, "-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384")
                self.assertIn("Server Temp Key: DH, %d bits" % (3072 if "dh.pem" in value else 2048), said)

    def test_the_parameters_with_a_file_each_serve_two_kinds_of_keys(self):
        post = harness.Instance(self)
        for name, pem in (("rsa", RSA), ("ec", MX)):
            for kind, text in zip(("key", "cert"), certificates.parts(pem)):
                post.write("%s.%s" % (name, kind), text)
        post.configure("smtpd_tls_security_level = may\nsmtpd_tls_protocols = TLSv1.2\n"
                       + "".join("smtpd_tls_%s_file = %s/%s\n" % (parameter, post.etc, file) for parameter, file in (
                           ("cert", "rsa.cert"), ("key", "rsa.key"), ("eccert", "ec.cert"), ("eckey", "ec.key"))))
        with post:
            for list in ("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"):
                context = trusting_all()
                context.set_ciphers(list)
                self.assertEqual(self.open_tls(post, context).socket.cipher()[0], list)

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


if __name__ == "__main__":
    harness.main()
