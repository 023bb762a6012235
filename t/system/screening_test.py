#!/usr/bin/env python3
"""Clients are looked at before they are greeted, as Postfix's postscreen does it. They come by way of a PROXY header, so
that each can have an address of its own."""
import os
import re
import socket
import time
import unittest

import harness
import name_server
import tls_case

SCREENED = """127.0.0.1:{port} inet n - {chroot} - 1 postscreen
  -o postscreen_upstream_proxy_protocol=haproxy
  {options}
smtpd pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
"""


class ScreeningTestCase(harness.TestCase):
    def start(self, main_cf="", options="", wait="1s", instance=None, privileged=False):
        self.port = harness.free_port()
        settings = "postscreen_greet_wait = %s\n%s" % (wait, main_cf)
        lines = SCREENED.format(port=self.port, options=options, chroot="y" if privileged else "n")
        post = instance(settings, lines) if instance else harness.Instance(self, main_cf=settings, master_cf=lines,
                                                                             privileged=privileged)
        self.addCleanup(post.close)
        return post.start()

    def connect(self, address="192.0.2.1", say=""):
        client = harness.Dialogue(self.port)
        self.addCleanup(client.close)
        client.send("PROXY TCP%d %s %s 4711 25\r\n%s" % ((6, address, "2001:db8::25", say) if ":" in address
                                                       else (4, address, "198.51.100.25", say)))
        return client

    def greeted(self, address="192.0.2.1", say=""):
        """A client that has waited for its greeting."""
        client = self.connect(address, say)
        self.assertEqual(client.reply()[0], 220)
        return client

    def rcpt(self, client, recipient="friend@example.com"):
        """The reply to the first recipient."""
        self.assertEqual(client.command("EHLO client.example")[0], 250)
        self.assertEqual(client.command("MAIL FROM:<you@example.net>")[0], 250)
        return client.command("RCPT TO:<%s>" % recipient)

    def mail(self, client):
        self.assertEqual(self.rcpt(client)[0], 250)
        self.assertEqual(client.command("DATA")[0], 354)
        self.assertEqual(client.command("Subject: x\r\n\r\nx\r\n.")[0], 250)
        self.assertEqual(client.command("QUIT")[0], 221)

    def lines(self, post, address="192.0.2.1"):
        """What screening says of a client in the log, without port and times."""
        found = re.findall(r"smtpd\[\d+\]: ([A-Z][A-Z -]+:? .*\[%s\]:.*)" % re.escape(address), post.log())
        return [re.sub(r"after [0-9.]+ ", "after T ", re.sub(r"\[(\S+)\]:\d+", r"\1", line)) for line in found]


class Greeting(ScreeningTestCase):
    def test_a_client_that_keeps_silent_is_greeted_after_the_wait_and_known_from_then_on(self):
        post = self.start()
        begun = time.monotonic()
        self.mail(self.greeted())
        self.assertGreater(time.monotonic() - begun, 0.9)
        self.assertEqual(self.lines(post), ["CONNECT from 192.0.2.1 to 198.51.100.25", "PASS NEW 192.0.2.1"])
        begun = time.monotonic()
        self.mail(self.greeted())
        self.assertLess(time.monotonic() - begun, 0.9)
        self.assertEqual(self.lines(post)[2:], ["CONNECT from 192.0.2.1 to 198.51.100.25", "PASS OLD 192.0.2.1"])
        post.wait_mail("friend", 2)

    def test_who_passed_is_known_to_other_processes_and_after_a_restart(self):
        post = self.start()
        self.greeted("2001:db8::1").command("QUIT")
        post.stop()
        post.start()
        begun = time.monotonic()
        self.greeted("2001:db8::1").command("QUIT")
        self.assertLess(time.monotonic() - begun, 0.9)
        self.assertEqual([line.split()[1] for line in self.lines(post, "2001:db8::1") if "PASS" in line], ["NEW", "OLD"])

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_who_passed_is_known_in_a_changed_root_directory_and_a_sandbox_too(self):
        names = name_server.NameServer(self, DnsLists.ZONES)
        post = self.start("dns_servers = %s\n%s" % (names.address, DnsLists.SITES), privileged=True)
        for expected in ("NEW", "OLD"):
            self.mail(self.greeted())
            post.wait_log(r"PASS %s \[192\.0\.2\.1\]" % expected)
        post.wait_mail("friend", 2)

    def test_a_pass_holds_as_long_as_it_should(self):
        post = self.start("postscreen_greet_ttl = 2s\n")
        self.greeted().command("QUIT")
        time.sleep(2.1)
        begun = time.monotonic()
        self.greeted().command("QUIT")
        self.assertGreater(time.monotonic() - begun, 0.9)
        # It is tested again, and no stranger.
        self.assertEqual([line for line in self.lines(post) if "PASS" in line], ["PASS NEW 192.0.2.1", "PASS OLD 192.0.2.1"])

    def test_the_first_half_of_the_greeting_comes_at_once(self):
        self.start()
        client = self.connect()
        begun = time.monotonic()
        self.assertEqual(client.line(), "220-post.test.example ESMTP Posthouse")
        self.assertLess(time.monotonic() - begun, 0.9)
        self.assertEqual(client.line(), "220 post.test.example ESMTP Posthouse")

    def test_there_is_no_first_half_without_a_text_for_it(self):
        self.start("postscreen_greet_banner =\n")
        self.assertEqual(self.connect().line(), "220 post.test.example ESMTP Posthouse")

    def test_who_speaks_first_is_noted_and_tested_again_the_next_time(self):
        post = self.start()
        for _ in range(2):
            client = self.greeted(say="EHLO early.example\r\n")
            self.assertEqual(client.reply()[0], 250)
            self.assertEqual(client.command("QUIT")[0], 221)
        self.assertEqual(self.lines(post), ["CONNECT from 192.0.2.1 to 198.51.100.25",
                                            "PREGREET 20 after T from 192.0.2.1: EHLO early.example\\r\\n"] * 2)

    def test_who_speaks_first_has_no_recipient_accepted_when_that_is_enforced(self):
        post = self.start("postscreen_greet_action = enforce\n")
        client = self.greeted(say="EHLO early.example\r\n")
        client.reply()
        client.command("MAIL FROM:<you@example.net>")
        for _ in range(2):
            self.assertEqual(client.command("RCPT TO:<friend@example.com>"), (550, ["5.5.1 Protocol error"]))
        self.assertEqual(client.command("DATA")[0], 554)
        client.command("QUIT")
        post.wait_log(r"NOQUEUE: reject: RCPT from unknown\[192\.0\.2\.1\]: 550 5\.5\.1 Protocol error; from=<you@example.net> "
                      r"to=<friend@example.com> proto=ESMTP helo=<early.example>")
        post.wait_log(r"DISCONNECT \[192\.0\.2\.1\]:4711")
        self.assertNotIn("PASS", post.log())

    def test_who_speaks_first_is_left_when_it_is_to_be_dropped(self):
        post = self.start("postscreen_greet_action = drop\n", wait="30s")
        client = self.connect(say="EHLO early.example\r\n")
        self.assertEqual(client.line()[:4], "220-")
        self.assertEqual(client.reply(), (521, ["5.5.1 Protocol error"]))
        self.assertTrue(client.at_end())
        self.assertEqual(self.lines(post)[1:], ["PREGREET 20 after T from 192.0.2.1: EHLO early.example\\r\\n", "DISCONNECT 192.0.2.1"])

    def test_a_client_that_goes_away_before_its_greeting_is_noted(self):
        post = self.start(wait="30s")
        client = self.connect()
        client.line()
        client.close()
        post.wait_log("DISCONNECT")
        self.assertEqual(self.lines(post)[1:], ["HANGUP after T from 192.0.2.1 in tests before SMTP handshake", "DISCONNECT 192.0.2.1"])

    def test_a_stop_does_not_wait_for_those_who_wait(self):
        post = self.start(wait="300s")
        clients = [self.connect("192.0.2.%d" % number) for number in range(3)]
        for client in clients:
            client.line()
        begun = time.monotonic()
        post.stop()
        self.assertLess(time.monotonic() - begun, 5)
        for client in clients:
            self.assertEqual(client.reply(), (421, ["4.3.2 post.test.example Service is shutting down"]))


class AccessList(ScreeningTestCase):
    def test_the_access_list_lets_in_at_once_or_shuts_out(self):
        post = self.start("postscreen_access_list = permit_mynetworks, cidr:{etc}/access.cidr\nmynetworks = 203.0.113.0/24\n"
                          "postscreen_denylist_action = drop\n", wait="30s",
                          instance=self.with_access_table("192.0.2.1/32 permit\n192.0.2.0/24 reject\n"))
        for address in ("203.0.113.5", "192.0.2.1"):
            client = self.connect(address)
            self.assertEqual(client.line()[:4], "220 ")
            self.assertEqual(self.lines(post, address)[1:], ["ALLOWLISTED " + address])
        client = self.connect("192.0.2.9")
        self.assertEqual(client.reply(), (521, ["5.3.2 Service currently unavailable"]))
        self.assertEqual(self.lines(post, "192.0.2.9")[1:], ["DENYLISTED 192.0.2.9", "DISCONNECT 192.0.2.9"])

    def with_access_table(self, text):
        def make(settings, lines):
            post = harness.Instance(self)
            post.write("access.cidr", text)
            post.configure(main_cf=settings, master_cf=lines)
            if post.drops:
                os.chown(post.main_cf_path, post.user.pw_uid, post.user.pw_gid)
            return post
        return make

    def test_who_is_shut_out_may_be_heard_and_refused(self):
        self.start("postscreen_access_list = inline:{{192.0.2.1=reject}}\npostscreen_denylist_action = enforce\n")
        self.assertEqual(self.rcpt(self.greeted()), (550, ["5.3.2 Service currently unavailable"]))


class DnsLists(ScreeningTestCase):
    """192.0.2.2 is in bad.test, as 127.0.0.4 and .10; 192.0.2.3 in worse.test; 192.0.2.4 in good.test; .5 in all."""
    ZONES = {"bad.test": "2.2.0.192 A 127.0.0.4\n2.2.0.192 A 127.0.0.10\n5.2.0.192 A 127.0.0.4\n",
             "worse.test": "3.2.0.192 A 127.0.0.2\n5.2.0.192 A 127.0.0.2\n",
             "good.test": "4.2.0.192 A 127.0.5.1\n5.2.0.192 A 127.0.5.1\n"}
    SITES = "postscreen_dnsbl_sites = bad.test=127.0.0.[2..8]*2, worse.test*3, good.test=127.0.[0..255].1*-4\n"

    def start_with_lists(self, main_cf="", **options):
        names = name_server.NameServer(self, self.ZONES)
        return self.start("dns_servers = %s\n%s%s" % (names.address, self.SITES, main_cf), **options)

    def test_weights_are_added_and_from_the_threshold_on_recipients_are_refused(self):
        post = self.start_with_lists("postscreen_dnsbl_threshold = 3\npostscreen_dnsbl_action = enforce\n"
                                     "postscreen_dnsbl_reply_map = inline:{{worse.test=that.example}}\n")
        clients = [self.connect("192.0.2.%d" % number) for number in range(1, 6)]
        for client in clients:
            self.assertEqual(client.reply()[0], 220)
        self.assertEqual([self.rcpt(client)[0] for client in clients], [250, 250, 550, 250, 250])
        self.assertIn("DNSBL rank 3 for 192.0.2.3", self.lines(post, "192.0.2.3"))
        self.assertRegex(post.log(), r"reject: RCPT from unknown\[192\.0\.2\.3\]: 550 5\.7\.1 Service unavailable; "
                                     r"client \[192\.0\.2\.3\] blocked using that\.example; from=")
        self.assertIn("addr 192.0.2.2 listed by domain bad.test as 127.0.0.4", post.log())
        self.assertNotIn("127.0.0.10", post.log())

    def test_a_client_over_the_threshold_can_be_dropped_after_the_wait(self):
        post = self.start_with_lists("postscreen_dnsbl_threshold = 2\npostscreen_dnsbl_action = drop\n")
        client = self.connect("192.0.2.2")
        self.assertEqual(client.line()[:4], "220-")
        self.assertEqual(client.reply(), (521, ["5.7.1 Service unavailable; client [192.0.2.2] blocked using bad.test"]))
        self.assertEqual(self.lines(post, "192.0.2.2")[1:], ["DNSBL rank 2 for 192.0.2.2", "DISCONNECT 192.0.2.2"])

    def test_a_client_of_good_standing_need_not_wait(self):
        post = self.start_with_lists("postscreen_dnsbl_allowlist_threshold = -2\n", wait="30s")
        begun = time.monotonic()
        self.mail(self.greeted("192.0.2.4"))
        self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual(self.lines(post, "192.0.2.4")[1:], ["PASS NEW 192.0.2.4"])

    def test_lists_that_do_not_answer_delay_a_client_and_shut_nobody_out(self):
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        post = self.start("dns_servers = 127.0.0.1:%d\n%spostscreen_dnsbl_timeout = 2s\npostscreen_dnsbl_action = drop\n"
                          % (silent.getsockname()[1], self.SITES))
        begun = time.monotonic()
        self.assertEqual(self.rcpt(self.greeted())[0], 250)
        self.assertGreater(time.monotonic() - begun, 1.9)
        self.assertLess(time.monotonic() - begun, 6)
        post.wait_log("warning: DNS list bad.test gave no answer about 192.0.2.1")


class AfterGreeting(ScreeningTestCase):
    TESTS = "".join("postscreen_%s_enable = yes\n" % test for test in ("pipelining", "non_smtp_command", "bare_newline"))

    def test_a_client_that_behaves_has_its_mail_taken_in_its_first_session(self):
        post = self.start(self.TESTS)
        self.mail(self.greeted())
        post.wait_mail("friend")
        self.assertEqual(self.lines(post)[1:], ["PASS NEW 192.0.2.1"])
        self.mail(self.greeted())
        self.assertEqual(self.lines(post)[3:], ["PASS OLD 192.0.2.1"])

    def test_a_client_that_is_refused_for_its_recipient_has_passed_all_the_same(self):
        post = self.start(self.TESTS + "smtpd_recipient_restrictions = reject\n")
        client = self.greeted()
        self.assertEqual(self.rcpt(client)[0], 554)
        client.command("QUIT")
        post.wait_log(r"PASS NEW \[192\.0\.2\.1\]:4711")

    def test_commands_sent_ahead_are_noticed_and_no_recipient_is_accepted(self):
        post = self.start(self.TESTS + "smtpd_forbid_unauth_pipelining = no\n")
        client = self.greeted()
        client.send("EHLO client.example\r\nMAIL FROM:<you@example.net>\r\nRCPT TO:<friend@example.com>\r\n")
        self.assertEqual([client.reply()[0] for _ in range(3)], [250, 250, 550])
        client.command("QUIT")
        self.assertEqual(self.lines(post)[1:2], ["COMMAND PIPELINING from 192.0.2.1 after EHLO"])
        self.assertNotIn("PASS", post.log())

    def test_pipelining_after_ehlo_where_it_is_allowed_is_no_fault(self):
        post = self.start(self.TESTS)
        client = self.greeted()
        client.command("EHLO client.example")
        client.send("MAIL FROM:<you@example.net>\r\nRCPT TO:<friend@example.com>\r\nDATA\r\n")
        self.assertEqual([client.reply()[0] for _ in range(3)], [250, 250, 354])
        post.wait_log("PASS NEW")

    def test_another_protocol_ends_the_session(self):
        post = self.start(self.TESTS)
        client = self.greeted()
        self.assertEqual(client.command("GET / HTTP/1.1"), (521, ["5.5.1 Protocol error"]))
        self.assertTrue(client.at_end())
        self.assertEqual(self.lines(post)[1:], ["NON-SMTP COMMAND from 192.0.2.1 after CONNECT: GET / HTTP/1.1", "DISCONNECT 192.0.2.1"])

    def test_lines_without_cr_are_noticed_and_punished_as_told(self):
        post = self.start(self.TESTS + "postscreen_bare_newline_action = enforce\n")
        client = self.greeted()
        client.send("EHLO client.example\n")
        self.assertEqual(client.reply()[0], 250)
        client.send("MAIL FROM:<you@example.net>\n")
        self.assertEqual(client.reply()[0], 250)
        self.assertEqual(client.command("RCPT TO:<friend@example.com>"), (550, ["5.5.1 Protocol error"]))
        self.assertEqual(self.lines(post)[1:2], ["BARE NEWLINE from 192.0.2.1 after CONNECT"])

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
        post = self.start(self.TESTS)
        self.greeted().close()
        post.wait_log("DISCONNECT")
        self.assertEqual(self.lines(post)[1:], ["HANGUP after T from 192.0.2.1 in tests after SMTP handshake", "DISCONNECT 192.0.2.1"])

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
        self.assertLess((self.anonymous_memory(pid) - before) / held, 10, "KB for a client that waits")
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
        self.assertIn("what is set here holds for the entry of postscreen", check.stdout + check.stderr)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)


class Tls(ScreeningTestCase, tls_case.TlsTestCase):
    def test_screening_stands_before_both_kinds_of_tls(self):
        wrapped = harness.free_port()

        def make(settings, lines):
            return self.instance(main_cf=settings, master_cf=lines + "127.0.0.1:%d inet n - n - - smtpd\n"
                                 "  -o smtpd_screening_enable=yes -o smtpd_tls_wrappermode=yes -o postscreen_access_list=\n"
                                 "  -o postscreen_greet_action=drop\n" % wrapped)

        post = self.start(AfterGreeting.TESTS, instance=make)
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
