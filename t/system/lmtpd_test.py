#!/usr/bin/env python3
"""lmtpd: LMTP (RFC 2033) on UNIX and inet sockets, spoken by hand, by Python's smtplib, by swaks, by our own client and by
Postfix's."""
import os
import smtplib
import subprocess
import unittest

import harness
import peer_test
from tls_case import MX, trusting_all

MAIL = "Subject: %s\r\n\r\nHello.\r\n"
USERS = "virtual_mailbox_maps = inline:{{ friend@example.com=friend/, other@example.com=other/ }}\n"


class Lmtp(harness.TestCase):
    def instance(self, main_cf="", options="", **more):
        self.lmtp_port = harness.free_port()
        post = harness.Instance(self, main_cf=USERS + main_cf, master_cf=(
            "127.0.0.1:%d inet n - n - - lmtpd %s\nlmtpd unix n - n - - lmtpd %s\n" % (self.lmtp_port, options, options)),
            **more)
        self.path = os.path.join(post.spool, "public", "lmtpd")
        return post

    def unix(self):
        return smtplib.LMTP(self.path, local_hostname="client.example")

    def dialogue(self, hello=True):
        client = harness.Dialogue(self.lmtp_port)
        self.addCleanup(client.close)
        client.reply()
        if hello:
            client.command("LHLO client.example")
        return client

    def start_mail(self, client, *users):
        self.assertEqual(client.command("MAIL FROM:<you@example.net>")[0], 250)
        return [client.command("RCPT TO:<%s@example.com>" % user)[0] for user in users]


class Replies(Lmtp):
    def test_each_recipient_that_was_taken_has_a_reply_of_its_own(self):
        with self.instance() as post:
            client = self.dialogue()
            self.assertEqual(self.start_mail(client, "friend", "nobody", "other"), [250, 550, 250])
            client.command("DATA")
            client.send(MAIL % "two" + ".\r\nNOOP\r\n")
            replies = [client.reply() for _ in range(3)]
            self.assertEqual([code for code, _ in replies], [250, 250, 250])
            self.assertEqual([lines[0][:10] for _, lines in replies], ["2.0.0 Ok: ", "2.0.0 Ok: ", "2.0.0 Ok"])
            self.assertIn("by post.test.example (Posthouse) with LMTP id ", post.wait_mail("friend")[0])
            post.wait_mail("other")

    def test_the_same_recipient_twice_has_two_replies_and_one_has_one(self):
        with self.instance():
            client = self.dialogue()
            self.start_mail(client, "friend", "friend")
            client.command("DATA")
            client.send(MAIL % "twice" + ".\r\n")
            self.assertEqual([client.reply()[0], client.reply()[0]], [250, 250])
            self.start_mail(client, "friend")
            client.command("DATA")
            self.assertEqual(client.command(MAIL % "once" + ".")[0], 250)
            self.assertEqual(client.command("QUIT")[0], 221)

    def test_without_a_recipient_there_is_one_reply_to_data(self):
        with self.instance():
            client = self.dialogue()
            self.start_mail(client, "nobody")
            self.assertEqual(client.command("DATA")[0], 554)
            self.assertEqual(client.command("NOOP")[0], 250)

    def test_a_message_that_cannot_be_taken_is_refused_for_each_recipient(self):
        with self.instance(main_cf="message_size_limit = 1000\n"):
            client = self.dialogue()
            self.start_mail(client, "friend", "other")
            client.command("DATA")
            client.send(MAIL % ("x" * 2000) + ".\r\n")
            self.assertEqual([client.reply()[0], client.reply()[0]], [552, 552])
            self.assertEqual(client.command("NOOP")[0], 250)

    def test_with_chunks_only_the_last_has_a_reply_for_each_recipient(self):
        with self.instance() as post:
            client = self.dialogue()
            self.start_mail(client, "friend", "other")
            client.send("BDAT 12\r\nSubject: x\r\n")
            self.assertEqual(client.reply(), (250, ["2.0.0 Ok: 12 bytes"]))
            client.send("BDAT 8 LAST\r\n\r\nHello.NOOP\r\n")
            self.assertEqual([client.reply()[0] for _ in range(3)], [250, 250, 250])
            post.wait_mail("other")

    def test_a_thousand_recipients_have_a_thousand_replies(self):
        with self.instance(main_cf="virtual_mailbox_maps = static:friend/\n"):
            client = self.dialogue()
            client.send("MAIL FROM:<>\r\n" + "".join("RCPT TO:<u%d@example.com>\r\n" % n for n in range(1000)) + "DATA\r\n")
            self.assertEqual({client.reply()[0] for _ in range(1001)}, {250})
            self.assertEqual(client.reply()[0], 354)
            client.send(MAIL % "all" + ".\r\nQUIT\r\n")
            self.assertEqual([client.reply()[0] for _ in range(1001)], [250] * 1000 + [221])


class Protocol(Lmtp):
    def test_lhlo_offers_what_rfc_2033_asks_for_and_helo_and_ehlo_are_unknown(self):
        with self.instance(main_cf="smtpd_discard_ehlo_keywords = pipelining enhancedstatuscodes\n") as post:
            client = self.dialogue(hello=False)
            self.assertEqual(client.command("EHLO client.example")[0], 502)
            self.assertEqual(client.command("HELO client.example")[0], 502)
            self.assertEqual(client.command("LHLO"), (501, ["Syntax: LHLO hostname"]))
            offers = client.command("LHLO client.example")[1]
            self.assertEqual(offers[0], "post.test.example")
            self.assertLessEqual({"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "CHUNKING"}, set(offers))
            self.assertEqual(client.command("ETRN example.com")[0], 502)
            client.close()
            post.wait_log(r"posthouse/lmtpd\[\d+\]: disconnect from unknown\[127.0.0.1\] lhlo=1/2 unknown=0/3 commands=1/5$")

    def test_a_client_on_the_unix_socket_is_this_host(self):
        with self.instance() as post:
            with self.unix() as client:
                self.assertEqual(client.sendmail("you@example.net", ["friend@example.com"], MAIL % "unix"), {})
            post.wait_log(r"posthouse/lmtpd\[\d+\]: \w+: client=localhost\[127.0.0.1\]$")
            self.assertIn("Received: from client.example (localhost [127.0.0.1])\n\tby ", post.wait_mail("friend")[0])

    def test_lmtp_is_no_way_around_the_restrictions_on_relaying(self):
        """A stranger over TCP; and over the UNIX socket, where nobody but us may relay."""
        with self.instance(options="-o mynetworks=192.0.2.1 -o smtpd_relay_restrictions=permit_mynetworks,"
                                   "reject_unauth_destination"):
            client = self.dialogue()
            client.command("MAIL FROM:<you@example.net>")
            self.assertEqual(client.command("RCPT TO:<far@elsewhere.example>")[0], 554)
            with self.unix() as local:
                local.ehlo_or_helo_if_needed()
                local.mail("you@example.net")
                self.assertEqual(local.rcpt("far@elsewhere.example")[0], 554)

    def test_within_tls_and_after_starttls(self):
        post = self.instance(main_cf="smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {etc}/chain.pem\n")
        post.write("chain.pem", MX)
        with post:
            client = smtplib.SMTP("127.0.0.1", self.lmtp_port, local_hostname="client.example")
            client.ehlo_msg = "lhlo"
            client.does_esmtp = True
            client.ehlo()
            client.starttls(context=trusting_all())
            client.ehlo()
            self.assertTrue(client.has_extn("requiretls"))
            client.sendmail("you@example.net", ["friend@example.com"], MAIL % "tls")
            client.quit()
            self.assertIn(" with LMTPS id ", post.wait_mail("friend")[0])

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_in_the_chroot_as_master_cf_may_have_it(self):
        post = harness.Instance(self, privileged=True, main_cf=USERS, master_cf="lmtpd unix n - y - - lmtpd\n")
        with post:
            with smtplib.LMTP(os.path.join(post.spool, "public", "lmtpd"), local_hostname="client.example") as client:
                client.sendmail("you@example.net", ["friend@example.com"], MAIL % "chroot")
            post.wait_mail("friend")


class Clients(Lmtp):
    def test_python_over_unix_and_inet(self):
        with self.instance() as post:
            for client in (self.unix(), smtplib.LMTP("127.0.0.1", self.lmtp_port, local_hostname="client.example")):
                with client:
                    refused = client.sendmail("you@example.net", ["friend@example.com", "nobody@example.com"], MAIL % "py")
                    self.assertEqual({name: code for name, (code, _) in refused.items()}, {"nobody@example.com": 550})
            self.assertEqual(len(post.wait_mail("friend", 2)), 2)

    def test_swaks_over_inet_and_unix(self):
        with self.instance() as post:
            for place in (["--server", "127.0.0.1", "--port", str(self.lmtp_port)], ["--socket", self.path]):
                done = subprocess.run(["swaks", "--protocol", "LMTP", *place, "--from", "you@example.net", "--to",
                                       "friend@example.com,other@example.com", "--helo", "client.example"],
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stdout)
            post.wait_mail("friend", 2)
            post.wait_mail("other", 2)

    def test_our_own_client_hands_a_mail_with_good_and_bad_recipients_over(self):
        with self.instance() as post:
            for place in ("inet:127.0.0.1:%d" % self.lmtp_port, "unix:" + self.path):
                first = harness.Instance(self, name="first", main_cf=(
                    "virtual_transport = lmtp:%s\nvirtual_mailbox_maps = static:x\n" % place))
                with self.subTest(place), first:
                    have = len(post.mail("friend"))
                    first.send("you@example.com", ["friend@example.com", "nobody@example.com", "other@example.com"], "x")
                    post.wait_mail("friend", have + 1)
                    first.wait_log(r"to=<nobody@example.com>.* status=bounced .*550 5\.1\.1 <nobody@example.com>")
                    first.wait_log(r"to=<other@example.com>.* dsn=2\.0\.0, status=sent \(250 2\.0\.0 Ok: queued as")

    @unittest.skipIf(peer_test.Postfix.why_not, peer_test.Postfix.why_not)
    def test_postfix_hands_over_by_its_own_lmtp_client(self):
        with self.instance() as post:
            postfix = peer_test.Postfix(1)
            with open(os.path.join(postfix.etc, "main.cf"), "a") as main:
                main.write("relayhost =\ndefault_transport = lmtp:inet:127.0.0.1:%d\n" % self.lmtp_port)
            with open(os.path.join(postfix.etc, "master.cf"), "a") as master:
                master.write("lmtp unix - - n - - lmtp\n")
            with postfix, smtplib.SMTP("127.0.0.1", postfix.port) as client:
                client.sendmail("", ["friend@example.com", "nobody@example.com", "other@example.com"], MAIL % "postfix")
                post.wait_mail("friend")
                post.wait_mail("other")
                harness.wait_until(lambda: "550 5.1.1 <nobody@example.com>" in postfix.log(), "Postfix knows who is not here")
                self.assertEqual(postfix.log().count("status=sent (250 2.0.0 Ok: queued as"), 2)


if __name__ == "__main__":
    harness.main()
