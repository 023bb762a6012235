#!/usr/bin/env python3
"""Greylisting at the front door: strangers' mail is put off once, and nobody else's."""
import os
import time

import harness

GREYLIST = ("smtpd_greylist_enable = yes\nsmtpd_greylist_delay = 1s\nsmtpd_error_sleep_time = 0\nsmtpd_hard_error_limit = 1000\nmynetworks = 192.0.2.0/24\n"
            "smtpd_authorized_xclient_hosts = 127.0.0.1\n")


class Greylisting(harness.TestCase):
    def visit(self, post, address="203.0.113.7", name="[UNAVAILABLE]", login=None):
        client = harness.Dialogue(post.port)
        self.addCleanup(client.close)
        client.reply()
        self.assertEqual(client.command("XCLIENT ADDR=%s NAME=%s PORT=1234%s" % (address, name, " LOGIN=" + login if login else ""))[0],
                         220)
        client.command("EHLO client.example")
        return client

    def rcpt(self, client, sender="you@example.net", recipient="friend@example.com"):
        client.command("RSET")
        self.assertEqual(client.command("MAIL FROM:<%s>" % sender)[0], 250)
        return client.command("RCPT TO:<%s>" % recipient)

    def test_a_stranger_is_put_off_once_and_its_network_is_known_then_over_restarts(self):
        with harness.Instance(self, main_cf=GREYLIST) as post:
            client = self.visit(post)
            self.assertEqual(self.rcpt(client), (450, ["4.2.0 <friend@example.com>: Recipient address rejected: Greylisted, try again "
                                                       "in 1 seconds"]))
            self.assertEqual(self.rcpt(client)[0], 450)
            post.wait_log(r"NOQUEUE: reject: RCPT from unknown\[203.0.113.7\]: 450 4.2.0 <friend@example.com>: Recipient address rejected: "
                          r"Greylisted, try again in 1 seconds; from=<you@example.net> to=<friend@example.com> proto=ESMTP helo=<client.example>$")
            post.wait_log(r"greylist: action=greylist, reason=new, client_name=unknown, client_address=203.0.113.7, "
                          r"sender=you@example.net, recipient=friend@example.com$")
            post.stop()
            post.start()
            neighbour = harness.wait_until(lambda: time.sleep(0.3) or self.visit(post, "203.0.113.99"), "it is back")
            harness.wait_until(lambda: self.rcpt(neighbour, "other@example.net")[0] == 250, "it is taken")
            post.wait_log(r"greylist: action=pass, reason=triplet found, delay=\d+, client_name=unknown, client_address=203.0.113.99, "
                          r"sender=other@example.net, recipient=friend@example.com$")
            self.assertEqual(self.rcpt(neighbour)[0], 250)
            for stranger in ("203.0.114.7", "IPv6:2001:db8::1"):
                self.assertEqual(self.rcpt(self.visit(post, stranger))[0], 450)
            self.assertEqual(self.rcpt(neighbour, "you@example.org")[0], 450)
            self.assertEqual(self.rcpt(neighbour, recipient="other@example.com")[0], 450)

    def test_what_would_be_refused_for_good_is_refused_and_not_put_off(self):
        with harness.Instance(self, main_cf=GREYLIST + "virtual_mailbox_maps = inline:{{ friend@example.com=friend/ }}\n") as post:
            client = self.visit(post)
            self.assertEqual(self.rcpt(client, recipient="nobody@example.com")[0], 550)
            self.assertEqual(self.rcpt(client, recipient="far@elsewhere.example")[0], 454)
            self.assertNotIn("greylist", post.log())

    def test_users_own_networks_and_exceptions_are_never_put_off(self):
        with harness.Instance(self, main_cf=GREYLIST + "smtpd_greylist_client_exceptions = 198.51.100.0/24, .friendly.example\n"
                              "smtpd_greylist_recipient_exceptions = postmaster@, vip@example.com, open.example\n"
                              "virtual_mailbox_domains = example.com open.example\nvirtual_mailbox_maps =\n") as post:
            for options in ({"login": "bob"}, {"address": "192.0.2.9"}, {"address": "198.51.100.3"},
                            {"name": "mx.friendly.example"}):
                self.assertEqual(self.rcpt(self.visit(post, **options))[0], 250, options)
            client = self.visit(post)
            for recipient in ("postmaster@example.com", "Postmaster@open.example", "VIP@Example.com", "anybody@open.example"):
                self.assertEqual(self.rcpt(client, recipient=recipient)[0], 250, recipient)
            self.assertEqual(self.rcpt(client, recipient="vip2@example.com")[0], 450)

    def test_a_network_that_came_again_for_several_is_not_put_off_any_more(self):
        with harness.Instance(self, main_cf=GREYLIST + "smtpd_greylist_auto_allow_count = 2\n") as post:
            client = self.visit(post)
            for sender in ("a@one.example", "a@two.example"):
                self.assertEqual(self.rcpt(client, sender)[0], 450)
            for sender in ("a@one.example", "a@two.example"):
                harness.wait_until(lambda: self.rcpt(client, sender)[0] == 250, "it is taken")
            self.assertEqual(self.rcpt(client, "a@three.example")[0], 250)
            post.wait_log("greylist: action=pass, reason=client AWL, client_name=unknown, client_address=203.0.113.7, "
                          "sender=a@three.example")

    def test_a_real_mail_server_comes_again_and_delivers(self):
        with harness.Instance(self, name="mx", main_cf=GREYLIST + "mynetworks = 192.0.2.1\n") as mx, \
                harness.Instance(self, name="sender", main_cf="virtual_mailbox_domains =\nrelayhost = [127.0.0.1]:%d\n" % mx.port) as sender:
            sender.send("you@example.net", ["friend@example.com"], "Hello.")
            self.assertIn("Hello.", mx.wait_mail("friend")[0])
            sender.wait_log(r"status=deferred \(host 127.0.0.1\[127.0.0.1\]:?\d* said: 450 4.2.0 <friend@example.com>: .*Greylisted")

    def test_a_damaged_memory_puts_nobody_off_for_ever(self):
        with harness.Instance(self, main_cf=GREYLIST) as post:
            client = self.visit(post)
            self.assertEqual(self.rcpt(client)[0], 450)
            path = os.path.join(post.folder, "data", "greylist.cache")
            with open(path, "r+b") as file:
                file.write(os.urandom(1 << 20))
            os.truncate(path, 1 << 19)
            harness.wait_until(lambda: self.rcpt(client)[0] == 250, "it is taken")
            self.assertNotRegex(post.log(), r"signal|panic|fatal")

    def test_a_memory_that_cannot_be_opened_leaves_the_service_without_greylisting(self):
        post = harness.Instance(self, main_cf=GREYLIST)
        os.mkdir(os.path.join(post.folder, "data", "greylist.cache"))
        with post:
            self.assertEqual(self.rcpt(self.visit(post))[0], 250)
            post.wait_log("error: smtpd_greylist_map: .*: nobody is greylisted$")


if __name__ == "__main__":
    harness.main()
