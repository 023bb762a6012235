#!/usr/bin/env python3
"""Submission with the real Dovecot: the services of conf/master.cf, who may relay, who may send as whom, and what happens while
Dovecot is restarted, silent or away."""
import os
import re
import smtplib
import time
import unittest

import harness
from sasl_case import PASSWORD, PLAIN, USER, SaslTestCase, b64, trusting_all


class Submission(SaslTestCase):
    def test_ports_587_and_465_as_conf_master_cf_has_them(self):
        """The commented entries of conf/master.cf, with other ports."""
        with open(os.path.join(harness.SOURCE, "conf", "master.cf")) as shipped:
            entries = re.findall(r"^#(submissions? .*\n(?:#    .*\n)+)", shipped.read(), re.M)
        self.assertEqual(len(entries), 2)
        ports = [harness.free_port(), harness.free_port()]
        master_cf = "".join(re.sub(r"^submissions? +inet", "127.0.0.1:%d inet" % port, entry.replace("#", "")).replace(
            " y       -       -       smtpd", " n       -       -       smtpd") for port, entry in zip(ports, entries))
        with harness.SinkServer() as sink, self.instance(
                tls=True, master_cf=master_cf,
                main_cf="relayhost = [127.0.0.1]:%d\nsmtpd_sasl_auth_enable = no\n" % sink.port) as post:
            self.assertEqual(self.offered(post), []) # port 25
            self.assertEqual(self.offered(post, ports[0]), []) # before STARTTLS
            stranger = self.dialogue(post, ports[0])
            self.assertEqual(stranger.command("MAIL FROM:<bob@example.com>")[0], 530)
            with smtplib.SMTP("127.0.0.1", ports[0], timeout=30) as client:
                client.starttls(context=trusting_all())
                client.ehlo("client.example")
                client.mail("bob@example.com")
                # Not even to one of our own domains without a login.
                self.assertGreaterEqual(client.rcpt("friend@example.com")[0], 450)
                client.rset()
                client.login(USER, PASSWORD)
                client.sendmail("bob@example.com", ["far@elsewhere.example"], "Subject: 587\r\n\r\nx\r\n")
            with smtplib.SMTP_SSL("127.0.0.1", ports[1], timeout=30, context=trusting_all()) as client:
                client.login(USER, PASSWORD)
                client.sendmail("bob@example.com", ["far@elsewhere.example"], "Subject: 465\r\n\r\nx\r\n")
            harness.wait_until(lambda: len(sink.messages) == 2, "the next host has both messages")
            post.wait_log(r"posthouse/submission/smtpd\[\d+\]: \w+: client=unknown\[127.0.0.1\], sasl_method=\w+, "
                          r"sasl_username=bob$")
            post.wait_log(r"posthouse/submissions/smtpd\[\d+\]: \w+: client=unknown\[127.0.0.1\], sasl_method=")

    def test_the_page_on_submission_shows_what_is_shipped(self):
        def words(text):
            return " ".join(text.replace("#", "").split())
        with open(os.path.join(harness.SOURCE, "conf", "master.cf")) as shipped:
            entries = re.findall(r"^#(submissions? .*\n(?:#    .*\n)+)", shipped.read(), re.M)
        with open(os.path.join(harness.SOURCE, "doc", "submission.md")) as page:
            text = words(page.read())
        for entry in entries:
            self.assertIn(words(entry), text)

    def test_two_instances_the_second_takes_mail_from_those_who_log_in_at_the_first(self):
        second = harness.Instance(self, name="second", main_cf="smtpd_relay_restrictions = reject_unauth_destination\n")
        with second, self.instance(
                main_cf="relayhost = [127.0.0.1]:%d\nvirtual_mailbox_domains =\n" % second.port) as post:
            client = self.dialogue(post)
            client.command("MAIL FROM:<bob@example.com>")
            self.assertEqual(client.command("RCPT TO:<friend@example.com>")[0], 454)
            client.command("RSET")
            client.command("AUTH PLAIN " + PLAIN)
            client.command("MAIL FROM:<bob@example.com>")
            self.assertEqual(client.command("RCPT TO:<friend@example.com>")[0], 250)
            client.command("DATA")
            self.assertEqual(client.command("Subject: x\r\n\r\nrelayed\r\n.")[0], 250)
            self.assertIn("relayed", second.wait_mail("friend")[0])

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_in_the_chroot_and_the_sandbox_the_socket_is_reached(self):
        with self.instance(privileged=True) as post:
            client = self.dialogue(post)
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 235)


class Trouble(SaslTestCase):
    def test_dovecot_is_restarted_and_sessions_go_on(self):
        with self.instance(main_cf="smtpd_sasl_connection_time = 1s\n") as post:
            before = self.dialogue(post)
            user = self.dialogue(post)
            self.assertEqual(user.command("AUTH PLAIN " + PLAIN)[0], 235)
            middle = self.dialogue(post)
            middle.command("AUTH LOGIN")
            self.dovecot.stop()
            self.dovecot.set_users({USER: "new secret"})
            self.dovecot.start()
            # Dovecot's old process is there for the login that is under way, and for nobody else.
            self.assertEqual(middle.command(b64(USER))[0], 334)
            middle.command(b64("new secret"))
            new = b64("\0%s\0new secret" % USER)
            harness.wait_until(lambda: before.command("AUTH PLAIN " + new)[0] in (235, 503), "the new Dovecot is asked")
            user.command("MAIL FROM:<bob@example.com>")
            self.assertEqual(user.command("RCPT TO:<far@elsewhere.example>")[0], 250)

    def test_dovecot_dies_and_sessions_go_on(self):
        with self.instance() as post:
            before, middle = self.dialogue(post), self.dialogue(post)
            middle.command("AUTH LOGIN")
            self.dovecot.kill()
            # Under way: lost, and told so.
            self.assertEqual(middle.command(b64(USER)),
                             (454, ["4.7.0 Temporary authentication failure: Connection lost to authentication server"]))
            self.dovecot.start()
            harness.wait_until(lambda: self.offered(post), "AUTH is offered again")
            self.assertEqual(middle.command("AUTH PLAIN " + PLAIN)[0], 235)
            self.assertEqual(before.command("AUTH PLAIN " + PLAIN)[0], 235)

    def test_dovecot_is_away_auth_is_not_offered_and_mail_comes_in(self):
        with self.instance(start_dovecot=False) as post:
            self.assertEqual(self.offered(post), [])
            client = self.dialogue(post)
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN),
                             (454, ["4.7.0 Temporary authentication failure: Connection lost to authentication server"]))
            post.wait_log(r"warning: SASL: Connect to private/auth failed: .*No such file or directory$")
            post.send("you@example.net", ["friend@example.com"], "Hello.")
            self.dovecot.start()
            harness.wait_until(lambda: self.offered(post), "AUTH is offered again")
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 235)

    def test_a_silent_dovecot_costs_its_time_and_no_other_session(self):
        with self.instance(main_cf="smtpd_sasl_timeout = 2s\n") as post:
            client, other = self.dialogue(post), self.dialogue(post)
            self.dovecot.freeze()
            self.addCleanup(self.dovecot.thaw)
            client.send("AUTH PLAIN %s\r\n" % PLAIN)
            began = time.monotonic()
            self.assertEqual(other.command("NOOP")[0], 250)
            self.assertLess(time.monotonic() - began, 1)
            self.assertEqual(client.reply()[0], 454)


class SenderOwners(SaslTestCase):
    MAPS = "smtpd_sender_login_maps = inline:{{ bob@example.com=bob, {{ shared@example.com = alice, bob }}, " \
           "boss@example.com=boss }}\n"

    def sender_reply(self, post, sender, login):
        client = self.dialogue(post)
        if login:
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 235)
        client.command("MAIL FROM:<%s>" % sender)
        return client.command("RCPT TO:<friend@example.com>")

    def test_each_restriction_looks_at_whom_its_name_says(self):
        mine, others, nobodys, shared = ("bob@example.com", "boss@example.com", "free@example.com", "shared@example.com")
        not_mine = (553, ["5.7.1 <%s>: Sender address rejected: not owned by user bob"])
        stranger = (553, ["5.7.1 <%s>: Sender address rejected: not logged in"])
        cases = {
            "reject_sender_login_mismatch": {(mine, True): None, (shared, True): None, (others, True): not_mine,
                                             (nobodys, True): not_mine, (mine, False): stranger, (nobodys, False): None,
                                             ("", True): None, ("BOB@Example.COM", True): None},
            "reject_authenticated_sender_login_mismatch": {(others, True): not_mine, (nobodys, True): not_mine,
                                                           (mine, False): None},
            "reject_unauthenticated_sender_login_mismatch": {(others, True): None, (mine, False): stranger,
                                                             (nobodys, False): None},
            "reject_known_sender_login_mismatch": {(others, True): not_mine, (nobodys, True): None,
                                                   (mine, False): stranger, (nobodys, False): None},
        }
        for restriction, expectations in cases.items():
            with self.subTest(restriction), self.instance(
                    main_cf=self.MAPS + "smtpd_sender_restrictions = %s\n" % restriction) as post:
                for (sender, login), refusal in expectations.items():
                    answer = self.sender_reply(post, sender, login)
                    expected = (refusal[0], [refusal[1][0] % sender]) if refusal else (250, ["2.1.5 Ok"])
                    self.assertEqual(answer, expected, (restriction, sender, login))

    def test_check_sasl_access_knows_a_user_by_name(self):
        with self.instance(main_cf="smtpd_sender_restrictions = check_sasl_access inline:{{ {{ bob = REJECT Not you }} }}\n") as post:
            self.assertEqual(self.sender_reply(post, "a@example.com", True),
                             (554, ["5.7.1 <bob>: SASL login name rejected: Not you"]))
            self.assertEqual(self.sender_reply(post, "a@example.com", False)[0], 250)


if __name__ == "__main__":
    harness.main()
