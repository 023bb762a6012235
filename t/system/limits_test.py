#!/usr/bin/env python3
"""Limits at the front door: of clients, in all processes of a service together, of users who have logged in and of sender
domains, over restarts; and that fail2ban's own filter finds our lines in the log."""
import os
import re
import shutil
import signal
import subprocess
import unittest

import harness
from sasl_case import PLAIN, WRONG, SaslTestCase

NO_EXCEPTIONS = "smtpd_client_event_limit_exceptions =\n"
LOGIN = "smtpd_authorized_xclient_hosts = 127.0.0.1\n"


class LimitsCase(harness.TestCase):
    def visit(self, post, port=None, login=None):
        client = harness.Dialogue(port or post.port)
        self.addCleanup(client.close)
        client.greeting = client.reply()
        if login:
            self.assertEqual(client.command("XCLIENT LOGIN=" + login)[0], 220)
        if client.greeting[0] == 220:
            client.command("EHLO client.example")
        return client

    def taken_visit(self, post, port=None):
        """A visit, once there is nobody else."""
        return harness.wait_until(lambda: next((visit for visit in [self.visit(post, port)] if visit.greeting[0] == 220), None),
                                  "a client is taken")

    def try_mail(self, client, sender="you@example.net", recipients=("friend@example.com",)):
        """The codes of RCPT, and the last reply's text. The mail is sent when a recipient was accepted."""
        self.assertEqual(client.command("MAIL FROM:<%s>" % sender)[0], 250)
        replies = [client.command("RCPT TO:<%s>" % recipient) for recipient in recipients]
        if any(code == 250 for code, _ in replies):
            self.assertEqual(client.command("DATA")[0], 354)
            self.assertEqual(client.command("Subject: x\r\n\r\nx\r\n.")[0], 250)
        else:
            client.command("RSET")
        return [code for code, _ in replies], replies[-1][1][-1]


class Clients(LimitsCase):
    def test_connections_are_counted_over_all_processes_and_those_of_a_killed_one_are_not(self):
        with harness.Instance(self, main_cf=NO_EXCEPTIONS + "smtpd_client_connection_count_limit = 2\n") as post:
            held = [self.visit(post), self.visit(post)]
            old = set(post.pids("smtpd"))
            post.reload()  # they stay with the process that they have
            refused = harness.wait_until(lambda: self.visit(post), "a new process answers")
            self.assertEqual(refused.greeting[0], 421)
            harness.wait_until(lambda: set(post.pids("smtpd")) - old, "there are two processes")
            self.assertIn("too many connections from 127.0.0.1", refused.greeting[1][0])
            post.wait_log(r"warning: Connection concurrency limit exceeded: 3 from unknown\[127.0.0.1\]$")
            self.assertEqual(held[0].command("NOOP")[0], 250)
            for pid in old & set(post.pids("smtpd")):
                os.kill(pid, signal.SIGKILL)
            self.taken_visit(post)

    def test_rates_are_counted_over_processes_that_come_and_go(self):
        with harness.Instance(self, main_cf=NO_EXCEPTIONS + "smtpd_client_message_rate_limit = 4\n"
                              "smtpd_client_recipient_rate_limit = 6\nanvil_rate_time_unit = 1h\n") as post:
            for how in (None, "reload", "kill"):
                if how == "reload":
                    post.reload()
                elif how == "kill":
                    post.kill("smtpd")
                client = harness.wait_until(lambda: self.visit(post), "smtpd is back")
                self.assertEqual(self.try_mail(client)[0], [250])
            self.assertEqual(self.try_mail(client, recipients=["a@example.com", "b@example.com", "c@example.com", "d@example.com"])[0],
                             [250, 250, 250, 450])
            self.assertEqual(client.command("MAIL FROM:<you@example.net>"),
                             (450, ["4.7.1 Error: too much mail from 127.0.0.1"]))
            post.wait_log(r"warning: Message delivery request rate limit exceeded: 4 from unknown\[127.0.0.1\]$")
            post.wait_log(r"warning: Recipient address rate limit exceeded: 6 from unknown\[127.0.0.1\]$")

    def test_services_count_apart(self):
        submission = harness.free_port()
        with harness.Instance(self, main_cf=NO_EXCEPTIONS + "smtpd_client_connection_count_limit = 1\n",
                              master_cf="127.0.0.1:%d inet n - n - - smtpd" % submission) as post:
            self.taken_visit(post)
            self.assertEqual(self.visit(post).greeting[0], 421)
            self.taken_visit(post, submission)
            self.assertEqual(self.visit(post).greeting[0], 421)

    def test_a_privileged_instance_counts_over_its_processes_too(self):
        if os.geteuid():
            self.skipTest("needs root")
        with harness.Instance(self, privileged=True, main_cf=NO_EXCEPTIONS + "smtpd_client_connection_count_limit = 1\n") as post:
            held = self.taken_visit(post)
            old = set(post.pids("smtpd"))
            post.reload()
            harness.wait_until(lambda: self.visit(post).greeting[0] == 421 and set(post.pids("smtpd")) - old, "a new process refuses")
            self.assertEqual(held.command("NOOP")[0], 250)
            self.assertNotIn("counts its own clients only", post.log())


class Users(LimitsCase):
    def test_a_user_is_limited_whatever_the_connection_and_process_and_hears_by_what(self):
        with harness.Instance(self, main_cf=LOGIN + "smtpd_user_rate_limits = messages:3/1h recipients:5/1d\n") as post:
            client = self.visit(post, login="bob")
            self.assertEqual(self.try_mail(client)[0], [250])
            self.assertEqual(self.try_mail(self.visit(post, login="BOB"))[0], [250])
            post.stop()
            post.start()
            client = self.visit(post, login="bob")
            codes, text = self.try_mail(client, recipients=["%s@example.com" % name for name in "abcd"])
            self.assertEqual(codes, [250, 250, 250, 450])
            self.assertEqual(text, "4.7.1 Error: too much mail from user bob: the limit is 5 recipients in 1d")
            self.assertEqual(self.try_mail(client), ([450], "4.7.1 Error: too much mail from user bob: the limit is 3 messages in 1h"))
            post.wait_log(r"NOQUEUE: reject: RCPT from unknown\[127.0.0.1\]: 450 4.7.1 Error: too much mail from user bob: the limit "
                          r"is 3 messages in 1h; from=<you@example.net> to=<friend@example.com> proto=ESMTP helo=<client.example>$")
            self.assertEqual(self.try_mail(self.visit(post, login="alice"))[0], [250])
            self.assertEqual(self.try_mail(self.visit(post))[0], [250])

    def test_a_table_gives_users_limits_of_their_own_or_none(self):
        with harness.Instance(self, main_cf=LOGIN + "smtpd_user_rate_limits = messages:1/1h\n"
                              "smtpd_user_rate_limit_maps = inline:{{ robot=none, alice=messages:2/1h, odd=many }}\n") as post:
            for user, accepted in (("robot", 5), ("alice", 2), ("bob", 1), ("odd", 1)):
                client = self.visit(post, login=user)
                codes = [self.try_mail(client)[0][0] for _ in range(5)]
                self.assertEqual(codes, [250] * accepted + [450] * (5 - accepted), user)
            post.wait_log(r"warning: smtpd_user_rate_limit_maps: user odd: expected limits such as messages:100/1h .*, not \"many\"$")

    def test_mail_refused_for_another_reason_costs_a_user_nothing(self):
        with harness.Instance(self, main_cf=LOGIN + "smtpd_user_rate_limits = messages:1/1h recipients:2/1h\n") as post:
            client = self.visit(post, login="bob")
            for _ in range(3):
                self.assertEqual(self.try_mail(client, recipients=["NoSuch User@example.com"])[0], [501])
            self.assertEqual(self.try_mail(client, recipients=["a@example.com", "b@example.com", "c@example.com"])[0], [250, 250, 450])

    def test_a_sender_domain_is_limited_and_the_null_sender_is_not(self):
        with harness.Instance(self, main_cf="smtpd_sender_domain_rate_limits = messages:2/1h\n"
                              "smtpd_sender_domain_rate_limit_maps = inline:{{ big.example=none }}\n") as post:
            client = self.visit(post)
            self.assertEqual([self.try_mail(client, "%s@Shop.example" % user)[0][0] for user in "abc"], [250, 250, 450])
            self.assertEqual([self.try_mail(client, "a@big.example")[0][0] for _ in range(4)], [250] * 4)
            self.assertEqual([self.try_mail(client, "")[0][0] for _ in range(4)], [250] * 4)
            post.wait_log("too much mail from domain shop.example: the limit is 2 messages in 1h;")

    def test_mail_beyond_a_limit_is_put_on_hold_where_the_administrator_wants_to_see_it(self):
        with harness.Instance(self, main_cf=LOGIN + "smtpd_user_rate_limits = messages:2/1h\nsmtpd_rate_limit_action = hold\n") as post:
            client = self.visit(post, login="bob")
            for _ in range(4):
                self.assertEqual(self.try_mail(client)[0], [250])
            self.assertEqual(self.try_mail(self.visit(post, login="alice"))[0], [250])
            self.assertEqual(len(post.wait_mail("friend", 3)), 3)
            held = [entry for entry in post.queue() if entry["queue_name"] == "hold"]
            self.assertEqual(len(held), 2)
            self.assertEqual(len(re.findall(r"NOQUEUE: hold: RCPT from unknown\[127.0.0.1\]: too much mail from user bob: the limit is 2 "
                                            r"messages in 1h; from=<you@example.net> to=<friend@example.com>", post.log())), 2)
            self.assertEqual(len(re.findall("warning: too much mail from user bob: .*: what it sends is put on hold until", post.log())), 1)

    def test_a_damaged_file_of_counts_is_no_error_for_anybody(self):
        with harness.Instance(self, main_cf=LOGIN + "smtpd_user_rate_limits = messages:2/1h\n") as post:
            client = self.visit(post, login="bob")
            self.assertEqual(self.try_mail(client)[0], [250])
            path = os.path.join(post.folder, "data", "rate_limits.cache")
            size = os.path.getsize(path)
            for damage in (0, 100, None):
                if damage is None:
                    with open(path, "r+b") as file:
                        file.write(os.urandom(size))
                else:
                    os.truncate(path, damage)
                self.assertEqual([self.try_mail(client)[0][0] for _ in range(3)], [250, 250, 450])
                post.reload()
                harness.wait_until(lambda: self.visit(post), "a new process has opened it")
            self.assertNotRegex(post.log(), r"signal|panic|fatal")

    def test_a_removed_file_of_counts_is_made_again(self):
        with harness.Instance(self, main_cf=LOGIN + "smtpd_user_rate_limits = messages:2/1h\n") as post:
            self.assertEqual(self.try_mail(self.visit(post, login="bob"))[0], [250])
            path = os.path.join(post.folder, "data", "rate_limits.cache")
            os.remove(path)
            harness.wait_until(lambda: self.visit(post).greeting[0] and os.path.exists(path), "it is there again")

    def test_wrong_limits_are_found_by_check_and_do_not_start(self):
        post = harness.Instance(self, main_cf="smtpd_user_rate_limits = messages:100\n")
        done = post.tool("posthouse", "-c", post.etc, "check", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('smtpd_user_rate_limits: expected limits such as messages:100/1h', done.stdout + done.stderr)
        post.close()


class Logins(SaslTestCase):
    def test_the_limit_is_that_of_who_has_logged_in(self):
        with self.instance(main_cf="smtpd_user_rate_limits = messages:1/1h\n") as post:
            for code in (250, 450):
                client = self.dialogue(post)
                self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 235)
                self.assertEqual(client.command("MAIL FROM:<bob@elsewhere.example>")[0], 250)
                self.assertEqual(client.command("RCPT TO:<friend@example.com>")[0], code)

    def test_auth_commands_of_a_client_are_limited_whatever_the_connection(self):
        with self.instance(main_cf="smtpd_client_auth_rate_limit = 3\nanvil_rate_time_unit = 1h\n") as post:
            codes = []
            for _ in range(4):
                client = self.dialogue(post)
                codes.append(client.command("AUTH PLAIN " + WRONG)[0])
                client.close()
            self.assertEqual(codes, [535, 535, 535, 450])


@unittest.skipUnless(shutil.which("fail2ban-regex"), "fail2ban is not installed")
class Fail2ban(SaslTestCase):
    # Its filter knows the programs of "postfix"; this is what a jail says for another name.
    DAEMON = r'_daemon="posthouse/\w+"'
    # As in doc/limits.md.
    TOO_MUCH = r"^.*/smtpd\[\d+\]: NOQUEUE: (?:reject|hold): RCPT from [^[]*\[<HOST>\]: .*too much mail from "

    def found(self, post, rule):
        done = subprocess.run(["fail2ban-regex", "--out", "ip", os.path.join(post.folder, "mail.log"), rule],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        return done.stdout.split()

    def test_its_own_postfix_filter_finds_failed_logins_and_refusals(self):
        with self.instance(main_cf="smtpd_user_rate_limits = messages:1/1h\nsmtpd_hard_error_limit = 3\n"
                           "smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination\n"
                           "virtual_mailbox_maps = inline:{{ friend@example.com=friend/ }}\n") as post:
            self.assertEqual(self.found(post, "postfix[mode=extra, %s]" % self.DAEMON), [])
            client = self.dialogue(post)
            self.assertEqual(client.command("AUTH PLAIN " + WRONG)[0], 535)
            client.command("QUIT")
            self.assertEqual(self.found(post, "postfix[mode=auth, %s]" % self.DAEMON), ["127.0.0.1"])
            client = self.dialogue(post)
            client.command("MAIL FROM:<you@example.net>")
            self.assertEqual(client.command("RCPT TO:<far@elsewhere.example>")[0], 554)
            self.assertEqual(client.command("RCPT TO:<nobody@example.com>")[0], 550)
            client.command("JUNK")
            post.wait_log("too many errors after")
            self.assertEqual(self.found(post, "postfix[mode=more, %s]" % self.DAEMON), ["127.0.0.1"] * 3)
            self.assertEqual(self.found(post, "postfix[mode=errors, %s]" % self.DAEMON), ["127.0.0.1"])
            client = self.dialogue(post)
            client.command("AUTH PLAIN " + PLAIN)
            client.command("MAIL FROM:<bob@elsewhere.example>")
            self.assertEqual([client.command("RCPT TO:<friend@example.com>")[0], client.command("RSET")[0],
                              client.command("MAIL FROM:<bob@elsewhere.example>")[0],
                              client.command("RCPT TO:<friend@example.com>")[0]], [250, 250, 250, 450])
            self.assertEqual(self.found(post, self.TOO_MUCH), ["127.0.0.1"])

    def test_with_the_name_postfix_in_the_log_its_filter_needs_nothing(self):
        with self.instance(main_cf="syslog_name = postfix\n") as post:
            self.dialogue(post).command("AUTH PLAIN " + WRONG)
            post.wait_log("authentication failed")
            self.assertEqual(self.found(post, "postfix[mode=auth]"), ["127.0.0.1"])


if __name__ == "__main__":
    harness.main()
