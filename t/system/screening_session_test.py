#!/usr/bin/env python3
"""Screening goes on in a new client's session; how many may wait, and which services screen."""
import re
import socket
import time

import harness
import tls_case
from screening_case import TESTS, ScreeningTestCase


class AfterGreeting(ScreeningTestCase):
    def test_a_client_that_behaves_has_its_mail_taken_in_its_first_session(self):
        post = self.start(TESTS)
        self.mail(self.greeted())
        post.wait_mail("friend")
        self.expect(post, ["PASS NEW 192.0.2.1"], 1)
        self.mail(self.greeted())
        self.expect(post, ["PASS OLD 192.0.2.1"], 3)

    def test_a_client_that_is_refused_for_its_recipient_has_passed_all_the_same(self):
        post = self.start(TESTS + "smtpd_recipient_restrictions = reject\n")
        client = self.greeted()
        self.assertEqual(self.rcpt(client)[0], 554)
        client.command("QUIT")
        post.wait_log(r"PASS NEW \[192\.0\.2\.1\]:4711")

    def test_commands_sent_ahead_are_noticed_and_no_recipient_is_accepted(self):
        post = self.start(TESTS + "smtpd_forbid_unauth_pipelining = no\n")
        client = self.greeted()
        client.send("EHLO client.example\r\nMAIL FROM:<you@example.net>\r\nRCPT TO:<friend@example.com>\r\n")
        self.assertEqual([client.reply()[0] for _ in range(3)], [250, 250, 550])
        client.command("QUIT")
        self.assertIn("COMMAND PIPELINING from 192.0.2.1 after EHLO", self.lines(post))
        self.assertNotIn("PASS", post.log())

    def test_pipelining_after_ehlo_where_it_is_allowed_is_no_fault(self):
        post = self.start(TESTS)
        client = self.greeted()
        client.command("EHLO client.example")
        client.send("MAIL FROM:<you@example.net>\r\nRCPT TO:<friend@example.com>\r\nDATA\r\n")
        self.assertEqual([client.reply()[0] for _ in range(3)], [250, 250, 354])
        post.wait_log("PASS NEW")

    def test_another_protocol_ends_the_session(self):
        post = self.start(TESTS)
        client = self.greeted()
        self.assertEqual(client.command("GET / HTTP/1.1"), (521, ["5.5.1 Protocol error"]))
        self.assertTrue(client.at_end())
        self.expect(post, ["NON-SMTP COMMAND from 192.0.2.1 after CONNECT: GET / HTTP/1.1", "DISCONNECT 192.0.2.1"], 1)

    def test_lines_without_cr_are_noticed_and_punished_as_told(self):
        post = self.start(TESTS + "postscreen_bare_newline_action = enforce\n")
        client = self.greeted()
        client.send("EHLO client.example\n")
        self.assertEqual(client.reply()[0], 250)
        client.send("MAIL FROM:<you@example.net>\n")
        self.assertEqual(client.reply()[0], 250)
        self.assertEqual(client.command("RCPT TO:<friend@example.com>"), (550, ["5.5.1 Protocol error"]))
        self.assertIn("BARE NEWLINE from 192.0.2.1 after CONNECT", self.lines(post))

    def test_a_session_that_leads_nowhere_has_few_commands_and_little_time(self):
        post = self.start("postscreen_greet_action = enforce\npostscreen_command_count_limit = 3\n"
                          "postscreen_command_time_limit = 1s\n")
        client, slow = self.connect(say="NOOP\r\n"), self.connect("192.0.2.2", say="NOOP\r\n")
        for one in (client, slow):
            self.assertEqual([one.reply()[0], one.reply()[0]], [220, 250])
        self.assertEqual([client.command("NOOP")[0] for _ in range(3)], [250, 250, 421])
        self.assertIn("COMMAND COUNT LIMIT from 192.0.2.1 after NOOP", self.lines(post))
        self.assertEqual(slow.reply()[0], 421)
        post.wait_log(r"COMMAND TIME LIMIT from \[192\.0\.2\.2\]:4711 after NOOP")

    def test_a_client_that_goes_away_within_the_tests_is_noted(self):
        post = self.start(TESTS)
        self.greeted().close()
        post.wait_log("DISCONNECT")
        self.expect(post, ["HANGUP after T from 192.0.2.1 in tests after SMTP handshake", "DISCONNECT 192.0.2.1"], 1)

    def test_an_address_where_nobody_can_pass_puts_off_new_clients_only(self):
        post = self.start("postscreen_allowlist_interfaces = !198.51.100.25, static:all\n")
        self.assertEqual(self.rcpt(self.greeted()), (450, ["4.3.2 Service currently unavailable"]))
        self.assertIn("ALLOWLIST VETO 192.0.2.1", self.lines(post))
        self.greeted("2001:db8::7").command("QUIT")
        post.wait_log(r"PASS NEW \[2001:db8::7\]")


class Limits(ScreeningTestCase):
    def test_more_clients_than_may_wait_are_put_off(self):
        post = self.start("postscreen_pre_queue_limit = 2\n", wait="30s")
        waiting = [self.connect("192.0.2.%d" % number) for number in (1, 2)]
        for client in waiting:
            self.assertEqual(client.line()[:4], "220-")
        self.assertEqual(self.connect("192.0.2.3").reply(), (421, ["4.3.2 post.test.example Error: too many connections"]))
        self.assertIn("NOQUEUE: reject: CONNECT from 192.0.2.3: all screening ports busy", self.lines(post, "192.0.2.3"))

    def test_one_client_has_no_more_connections_than_its_limit(self):
        post = self.start("postscreen_client_connection_count_limit = 2\n", wait="30s")
        for _ in range(2):
            self.assertEqual(self.connect().line()[:4], "220-")
        self.assertEqual(self.connect().reply(), (421, ["4.7.0 post.test.example Error: too many connections"]))
        self.assertIn("NOQUEUE: reject: CONNECT from 192.0.2.1: too many connections", self.lines(post))
        self.assertEqual(self.connect("192.0.2.2").line()[:4], "220-")

    def test_clients_that_wait_cost_little_and_nobody_elses_mail_waits(self):
        held = 1000
        post = self.start("postscreen_client_connection_count_limit = 0\npostscreen_greet_banner =\ndefault_process_limit = 1\n"
                          "postscreen_access_list = inline:{{203.0.113.1=permit}}\n", wait="300s")
        self.mail(self.greeted("203.0.113.1"))
        pid = int(re.search(r"smtpd\[(\d+)\]: ALLOWLISTED", post.log())[1])
        before = self.anonymous_memory(pid)
        clients = [self.connect("10.%d.%d.%d" % (n >> 16, n >> 8 & 255, n & 255)) for n in range(held)]
        self.wait_until(lambda: len(re.findall(r": CONNECT from \[", post.log())) == held + 1, "all wait")
        limit = 30 if harness.SANITIZED else 10
        self.assertLess((self.anonymous_memory(pid) - before) / held, limit, "KB for a client that waits")
        begun = time.monotonic()
        for _ in range(20):
            self.mail(self.greeted("203.0.113.1"))
        self.assertLess(time.monotonic() - begun, 10)
        post.wait_mail("friend", 21)
        for client in clients:
            client.close()

    @staticmethod
    def anonymous_memory(pid):
        """In KB."""
        with open("/proc/%d/status" % pid) as status:
            return int(re.search(r"RssAnon:\s+(\d+)", status.read())[1])


class Services(ScreeningTestCase):
    def test_the_options_of_the_smtpd_behind_postscreen_hold_and_smtpd_can_screen_by_itself(self):
        screened, own = harness.free_port(), harness.free_port()
        post = harness.Instance(self, main_cf="postscreen_greet_wait = 1s\npostscreen_access_list =\n",
                                master_cf="127.0.0.1:%d inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n"
                                          "  -o { smtpd_banner = behind }\n127.0.0.1:%d inet n - n - - smtpd\n"
                                          "  -o smtpd_screening_enable=yes -o postscreen_cache_map=\n" % (screened, own))
        self.addCleanup(post.close)
        post.start()
        for port, banner in ((screened, "220 behind"), (own, "220 post.test.example ESMTP Posthouse")):
            with harness.Dialogue(port) as client:
                self.assertTrue(client.line().startswith("220-"))
                self.assertEqual(client.line(), banner)
        self.assertEqual(len(re.findall(r"PASS (NEW|OLD) \[127\.0\.0\.1\]", post.log())), 2)
        check = post.tool("posthouse", "-c", post.etc, "check", check=False)
        self.assertRegex(check.stdout + check.stderr, "not started, .*smtpd")
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)


class Tls(ScreeningTestCase, tls_case.TlsTestCase):
    def test_screening_stands_before_both_kinds_of_tls(self):
        wrapped = harness.free_port()

        def make(settings, lines):
            return self.instance(main_cf=settings, master_cf=lines + "127.0.0.1:%d inet n - n - - smtpd\n"
                                 "  -o smtpd_screening_enable=yes -o smtpd_tls_wrappermode=yes -o postscreen_access_list=\n"
                                 "  -o postscreen_greet_action=drop\n" % wrapped)

        post = self.start(TESTS, instance=make)
        client = self.greeted()
        client.command("EHLO client.example")
        self.assertEqual(client.command("STARTTLS")[0], 220)
        client.socket = tls_case.trusting_all().wrap_socket(client.socket)
        client.file = client.socket.makefile("rb")
        self.mail(client)
        post.wait_log(r"PASS NEW \[192\.0\.2\.1\]")
        # There a client speaks first, and has to.
        plain = socket.create_connection(("127.0.0.1", wrapped), timeout=15)
        with tls_case.trusting_all().wrap_socket(plain) as tls:
            self.assertEqual(tls.recv(4), b"220 ")
        self.assertNotIn("PREGREET", post.log())


if __name__ == "__main__":
    harness.main()
