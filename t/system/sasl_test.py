#!/usr/bin/env python3
"""AUTH at the front door with the real Dovecot behind it: every mechanism that swaks, smtplib and we know of, what is offered,
what is refused, and what is left of a password."""
import os
import smtplib
import subprocess
import time
import unittest

import harness
import scram
from sasl_case import PASSWORD, PLAIN, USER, WRONG, SaslTestCase, b64, trusting_all


def found_in_memory(pids, text):
    """Whether a process has the text anywhere in what it can write to."""
    for pid in pids:
        with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
            for line in maps:
                span, rights = line.split()[:2]
                if rights[1] != "w":
                    continue
                start, end = (int(part, 16) for part in span.split("-"))
                memory.seek(start)
                try:
                    if text.encode() in memory.read(end - start):
                        return True
                except OSError:
                    pass
    return False


class Mechanisms(SaslTestCase):
    def test_plain_login_and_scram_let_a_user_relay_and_a_stranger_is_refused(self):
        with harness.SinkServer() as sink, self.instance(
                main_cf="relayhost = [127.0.0.1]:%d\n" % sink.port) as post:
            stranger = self.dialogue(post)
            stranger.command("MAIL FROM:<bob@elsewhere.example>")
            self.assertEqual(stranger.command("RCPT TO:<far@elsewhere.example>")[0], 454)
            self.assertEqual(self.offered(post), ["AUTH PLAIN LOGIN SCRAM-SHA-256"])
            for method in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
                with post.smtp() as client:
                    client.ehlo("client.example")
                    if method == "SCRAM-SHA-256":
                        scram.login(client, USER, PASSWORD)
                    else:
                        client.user, client.password = USER, PASSWORD
                        code, text = client.auth(method, getattr(client, "auth_" + method.lower()))
                        self.assertEqual((code, text), (235, b"2.7.0 Authentication successful"))
                    client.sendmail("bob@elsewhere.example", ["far@elsewhere.example"], "Subject: x\r\n\r\n%s\r\n" % method)
                post.wait_log(r"smtpd\[\d+\]: \w+: client=unknown\[127.0.0.1\], sasl_method=%s, sasl_username=bob$" % method)
            harness.wait_until(lambda: len(sink.messages) == 3, "the next host has three messages")
            for _, _, text in sink.messages:
                self.assertRegex(text, r"by post.test.example \(\S+\) with ESMTPA id ")
                self.assertNotIn("Authenticated sender", text)
            self.assert_no_secrets(post)

    def test_a_wrong_password_is_refused_with_any_mechanism_and_the_session_goes_on(self):
        with self.instance() as post:
            client = self.dialogue(post)
            self.assertEqual(client.command("AUTH PLAIN " + WRONG),
                             (535, ["5.7.8 Error: authentication failed: (reason unavailable)"]))
            self.assertEqual(client.command("AUTH LOGIN"), (334, ["VXNlcm5hbWU6"]))
            self.assertEqual(client.command(b64(USER)), (334, ["UGFzc3dvcmQ6"]))
            self.assertEqual(client.command(b64("wrong"))[0], 535)
            with post.smtp() as other, self.assertRaises(smtplib.SMTPAuthenticationError):
                other.ehlo("client.example")
                scram.login(other, USER, "wrong")
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 235)
            post.wait_log(r"warning: unknown\[127.0.0.1\]: SASL PLAIN authentication failed: \(reason unavailable\), "
                          r"sasl_username=bob$")
            client.command("QUIT")
            post.wait_log(r"disconnect from unknown\[127.0.0.1\] ehlo=1 auth=1/3 quit=1 commands=3/5$")
            self.assert_no_secrets(post)

    def test_swaks_logs_in_with_plain_and_login_within_tls(self):
        with self.instance(tls=True, main_cf="smtpd_tls_auth_only = yes\nsmtpd_sasl_authenticated_header = yes\n") as post:
            for method in ("PLAIN", "LOGIN"):
                done = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(post.port), "--from", "bob@example.com",
                                       "--to", "friend@example.com", "--tls", "--auth", method, "--auth-user", USER,
                                       "--auth-password", PASSWORD, "--body", method],
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stdout)
            for mail in post.wait_mail("friend", 2):
                self.assertRegex(mail, r"\t\(Authenticated sender: bob\)\n\tby post.test.example \(\S+\) with ESMTPSA id ")

    def test_a_user_name_with_domain_and_a_password_with_a_blank(self):
        with self.instance() as post:
            client = self.dialogue(post)
            self.assertEqual(client.command("AUTH PLAIN " + b64("\0alice@example.com\0wonder land"))[0], 235)

    def test_over_tcp_dovecot_is_reached_as_well(self):
        port = harness.free_port()
        with self.instance(main_cf="smtpd_sasl_path = inet:127.0.0.1:%d\n" % port,
                           dovecot_options={"inet_port": port}) as post:
            client = self.dialogue(post)
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 235)


class Dialogue(SaslTestCase):
    def test_the_command_takes_what_rfc_4954_says_and_no_more(self):
        with self.instance() as post:
            client = self.dialogue(post)
            for line, code, text in (
                    ("AUTH", 501, "5.5.4 Syntax: AUTH mechanism"),
                    ("AUTH PLAIN a b", 501, "5.5.4 Syntax: AUTH mechanism"),
                    ("AUTH PLA\x7fIN", 501, "5.5.4 Syntax: AUTH mechanism"),
                    ("AUTH KERBEROS_V4", 535, "5.7.8 Error: authentication failed: Invalid authentication mechanism"),
                    ("AUTH PLAIN abc", 535, "5.7.8 Error: authentication failed: Invalid base64 data in initial response"),
                    ("AUTH PLAIN =", 535, None),
                    ("AUTH PLAIN", 334, ""), ("*", 501, "5.7.0 Authentication aborted"),
                    ("AUTH PLAIN", 334, ""), ("not base64", 535,
                                              "5.7.8 Error: authentication failed: Invalid base64 data in continued response"),
                    ("AUTH plain", 334, ""), (PLAIN, 235, "2.7.0 Authentication successful"),
                    ("AUTH PLAIN " + PLAIN, 503, "5.5.1 Error: already authenticated")):
                answer = client.command(line)
                self.assertEqual(answer[0], code, line)
                if text is not None:
                    self.assertEqual(answer[1], [text], line)

    def test_not_within_a_transaction(self):
        with self.instance() as post:
            client = self.dialogue(post)
            client.command("MAIL FROM:<bob@example.com>")
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN), (503, ["5.5.1 Error: MAIL transaction in progress"]))
            client.command("RSET")
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 235)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to look into another process")
    @unittest.skipIf(harness.SANITIZED, "the sanitizer keeps what was freed, and more memory than can be read")
    def test_no_password_stays_in_memory(self):
        passwords = {"bob": "correct-horse-battery", "eve": "staple-troubador-three"}
        with self.instance(tls=True, dovecot_options={"users": passwords}) as post:
            for tls in (False, True):
                for user, given, code in (("bob", passwords["bob"], 235), ("eve", "wrong-" + passwords["eve"], 535)):
                    with self.subTest(user=user, tls=tls):
                        client = self.dialogue(post, tls=tls)
                        text = b64("\0%s\0%s" % (user, given))
                        self.assertEqual(client.command("AUTH PLAIN " + text)[0], code)
                        self.assert_gone(post, text)
                        client = self.dialogue(post, tls=tls)
                        client.command("AUTH LOGIN")
                        client.command(b64(user))
                        text = b64(given)
                        # In pieces, as a slow network has it.
                        for piece in (text[:9], text[9:] + "\r\n"):
                            client.send(piece)
                            time.sleep(0.05)
                        self.assertEqual(client.reply()[0], code)
                        self.assert_gone(post, text)

    def assert_gone(self, post, text):
        self.assertTrue(found_in_memory(post.pids("smtpd"), "private/auth"), "the search works")
        # Its end, over which little else would be written.
        self.assertFalse(found_in_memory(post.pids("smtpd"), text[-16:-4]), text)

    def test_a_response_may_be_as_long_as_smtpd_sasl_response_limit_and_no_longer(self):
        with self.instance(main_cf="smtpd_sasl_response_limit = 5000\n") as post:
            client = self.dialogue(post)
            client.command("AUTH PLAIN")
            self.assertEqual(client.command("A" * 5000)[0], 535)
            client.command("AUTH PLAIN")
            self.assertEqual(client.command("A" * 5001)[0], 500)
            client.command("AUTH PLAIN")
            self.assertEqual(client.command("A" * 50000)[0], 500)
            self.assertEqual(client.command("AUTH PLAIN " + "A" * 3000)[0], 500) # line_length_limit
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 235)

    def test_what_follows_a_refused_auth_is_not_shown_in_the_log(self):
        with self.instance() as post:
            client = self.dialogue(post)
            # A client that does not look at the reply goes on with its password; this one begins with no letter.
            password = b64("\u043f\u0430\u0440\u043e\u043b\u044c")
            client.send("AUTH FOO\r\n")
            client.reply()
            self.assertEqual(client.command(password)[0], 221)
            post.wait_log(r"non-SMTP command from unknown\[127.0.0.1\]: \(not shown: it follows AUTH\)$")
            self.assertNotIn(password[:8], post.log())

    def test_auth_of_mail_is_kept_for_a_user_and_dropped_for_a_stranger(self):
        with self.instance() as post:
            for login in (True, False):
                client = self.dialogue(post)
                if login:
                    client.command("AUTH PLAIN " + PLAIN)
                self.assertEqual(client.command("MAIL FROM:<bob@example.com> AUTH=boss+40example.com")[0], 250)
                client.command("RCPT TO:<friend@example.com>")
                client.command("DATA")
                self.assertEqual(client.command("Subject: x\r\n\r\nx\r\n.")[0], 250)
            post.wait_mail("friend", 2)
            post.wait_log(r"client=unknown\[127.0.0.1\], sasl_method=PLAIN, sasl_username=bob, sasl_sender=boss@example.com$")
            self.assertEqual(post.log().count("sasl_sender="), 1)

    def test_failures_are_answered_later_and_later_and_end_the_session(self):
        with self.instance(main_cf="smtpd_error_sleep_time = 1s\nsmtpd_hard_error_limit = 3\n") as post:
            times = []
            client = self.dialogue(post)
            for _ in range(3):
                began = time.monotonic()
                self.assertEqual(client.command("AUTH PLAIN " + WRONG)[0], 535)
                times.append(time.monotonic() - began)
            self.assertEqual(client.reply(), (421, ["4.7.0 post.test.example Error: too many errors"]))
            for at, least in enumerate((1, 2, 4)):
                self.assertGreaterEqual(times[at], least - 0.05)
            # A new connection of the same client does not begin anew; another success costs nothing.
            client = self.dialogue(post)
            began = time.monotonic()
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 235)
            self.assertLess(time.monotonic() - began, 1)

    def test_auth_commands_are_limited_by_client(self):
        with self.instance(main_cf="smtpd_client_auth_rate_limit = 2\n") as post:
            client = self.dialogue(post)
            for code in (535, 535, 450):
                self.assertEqual(client.command("AUTH PLAIN " + WRONG)[0], code)
            post.wait_log(r"AUTH command rate limit exceeded: 2 from unknown\[127.0.0.1\]")


class Offers(SaslTestCase):
    def test_before_tls_nothing_is_offered_or_taken_where_smtpd_tls_auth_only_is_set(self):
        with self.instance(tls=True, main_cf="smtpd_tls_auth_only = yes\n") as post:
            self.assertEqual(self.offered(post), [])
            client = self.dialogue(post)
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN),
                             (538, ["5.7.0 Encryption required for requested authentication mechanism"]))
            with post.smtp() as secured:
                secured.starttls(context=trusting_all())
                secured.login(USER, PASSWORD)

    def test_a_login_is_forgotten_at_starttls(self):
        with self.instance(tls=True) as post:
            client = self.dialogue(post)
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 235)
            self.start_tls(client)
            client.command("MAIL FROM:<bob@example.com>")
            self.assertEqual(client.command("RCPT TO:<far@elsewhere.example>")[0], 454)
            client.command("RSET")
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 235)

    def test_options_filters_and_exceptions_decide_what_is_offered(self):
        lines = [
            ("smtpd_sasl_security_options = noplaintext, noanonymous\n", ["AUTH SCRAM-SHA-256"]),
            ("smtpd_sasl_security_options = mutual_auth\n", ["AUTH SCRAM-SHA-256"]),
            ("smtpd_sasl_mechanism_filter = plain, login\n", ["AUTH PLAIN LOGIN"]),
            ("smtpd_sasl_mechanism_filter = !login, static:rest\nbroken_sasl_auth_clients = yes\n",
             ["AUTH PLAIN SCRAM-SHA-256", "AUTH=PLAIN SCRAM-SHA-256"]),
            ("smtpd_sasl_exceptions_networks = !10.0.0.0/8, 127.0.0.0/8\n", []),
            ("smtpd_discard_ehlo_keywords = auth\n", []),
            ("smtpd_sasl_auth_enable = no\n", []),
        ]
        for main_cf, expected in lines:
            with self.subTest(main_cf), self.instance(main_cf=main_cf) as post:
                self.assertEqual(self.offered(post), expected)
                client = self.dialogue(post)
                if not expected:
                    self.assertEqual(client.command("AUTH PLAIN " + PLAIN), (503, ["5.5.1 Error: authentication not enabled"]))
                elif "PLAIN" not in expected[0]:
                    self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 535)

    def test_a_type_that_is_not_there_is_named_by_posthouse_check(self):
        post = self.instance(main_cf="smtpd_sasl_type = cyrus\n", start_dovecot=False)
        self.addCleanup(post.close)
        done = post.tool("posthouse", "-c", post.etc, "check", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("smtpd_sasl_type: there is no cyrus here", done.stdout + done.stderr)


if __name__ == "__main__":
    harness.main()
