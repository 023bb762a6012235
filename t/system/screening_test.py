#!/usr/bin/env python3
"""Clients are looked at before they are greeted, as Postfix's postscreen does it."""
import os
import socket
import time
import unittest

import harness
import name_server
from screening_case import TESTS, ScreeningTestCase


class Greeting(ScreeningTestCase):
    def test_a_client_that_keeps_silent_is_greeted_after_the_wait_and_known_from_then_on(self):
        post = self.start()
        begun = time.monotonic()
        self.mail(self.greeted())
        self.assertGreater(time.monotonic() - begun, 0.9)
        self.expect(post, ["CONNECT from 192.0.2.1 to 198.51.100.25", "PASS NEW 192.0.2.1"], 0)
        begun = time.monotonic()
        self.mail(self.greeted())
        self.assertLess(time.monotonic() - begun, 0.9)
        self.expect(post, ["CONNECT from 192.0.2.1 to 198.51.100.25", "PASS OLD 192.0.2.1"], 2)
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
        self.expect(post, ["CONNECT from 192.0.2.1 to 198.51.100.25",
                                            "PREGREET 20 after T from 192.0.2.1: EHLO early.example\\r\\n"] * 2, 0)

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

    def test_a_password_that_comes_too_early_is_in_no_log(self):
        post = self.start(TESTS)
        early = self.connect(say="EHLO early.example\r\nauth PLAIN c2VjcmV0\r\n")
        client = self.greeted("192.0.2.2")
        for line in ("EHLO client.example", "AUTH LOGIN", "GET c2VjcmV0"):
            client.send(line + "\r\n")
            client.reply()
        self.assertTrue(early.at_end())
        self.assertIn(r"EHLO early.example\r\nauth" + "\n", post.log())
        self.assertIn("NON-SMTP COMMAND from 192.0.2.2 after AUTH: (not shown: it follows AUTH)", self.lines(post, "192.0.2.2"))
        self.assertNotIn("c2VjcmV0", post.log())

    def test_who_speaks_first_is_left_when_it_is_to_be_dropped(self):
        post = self.start("postscreen_greet_action = drop\n", wait="30s")
        client = self.connect(say="EHLO early.example\r\n")
        self.assertEqual(client.line()[:4], "220-")
        self.assertEqual(client.reply(), (521, ["5.5.1 Protocol error"]))
        self.assertTrue(client.at_end())
        self.expect(post, ["PREGREET 20 after T from 192.0.2.1: EHLO early.example\\r\\n", "DISCONNECT 192.0.2.1"], 1)

    def test_a_client_that_goes_away_before_its_greeting_is_noted(self):
        post = self.start(wait="30s")
        client = self.connect()
        client.line()
        client.close()
        post.wait_log("DISCONNECT")
        self.expect(post, ["HANGUP after T from 192.0.2.1 in tests before SMTP handshake", "DISCONNECT 192.0.2.1"], 1)

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
            self.expect(post, ["ALLOWLISTED " + address], 1, address=address)
        client = self.connect("192.0.2.9")
        self.assertEqual(client.reply(), (521, ["5.3.2 Service currently unavailable"]))
        self.expect(post, ["DENYLISTED 192.0.2.9", "DISCONNECT 192.0.2.9"], 1, address="192.0.2.9")

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
    """192.0.2.2 is in bad.test, as 127.0.0.4 and .10; 192.0.2.3 in worse.test; 192.0.2.4 and .6 in good.test; .5 in all."""
    ZONES = {"bad.test": "2.2.0.192 A 127.0.0.4\n2.2.0.192 A 127.0.0.10\n5.2.0.192 A 127.0.0.4\n",
             "worse.test": "3.2.0.192 A 127.0.0.2\n5.2.0.192 A 127.0.0.2\n",
             "good.test": "4.2.0.192 A 127.0.5.1\n5.2.0.192 A 127.0.5.1\n6.2.0.192 A 127.0.5.1\n"}
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
        self.expect(post, ["DNSBL rank 2 for 192.0.2.2", "DISCONNECT 192.0.2.2"], 1, address="192.0.2.2")

    def test_a_client_of_good_standing_need_not_wait_and_stays_out_where_it_is_shut_out(self):
        post = self.start_with_lists("postscreen_dnsbl_allowlist_threshold = -2\npostscreen_denylist_action = enforce\n"
                                     "postscreen_access_list = inline:{{192.0.2.6=reject}}\n", wait="30s")
        self.assertEqual(self.rcpt(self.greeted("192.0.2.6")), (550, ["5.3.2 Service currently unavailable"]))
        begun = time.monotonic()
        self.mail(self.greeted("192.0.2.4"))
        self.assertLess(time.monotonic() - begun, 10)
        self.expect(post, ["PASS NEW 192.0.2.4"], 1, address="192.0.2.4")

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


if __name__ == "__main__":
    harness.main()
