#!/usr/bin/env python3
"""Local submission: sendmail, postdrop, pickup."""
import os
import pwd
import re
import signal
import subprocess
import unittest

import harness


def received_once(messages, numbers):
    """How often each number of "message N" was delivered."""
    counts = dict.fromkeys(numbers, 0)
    for message in messages:
        counts[int(re.search(r"^message (\d+)$", message, re.M)[1])] += 1
    return counts


class Submission(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.post = harness.Instance(cls)
        try:
            cls.post.start()
        except BaseException:
            cls.post.close(failed=True)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.post.close()

    def sendmail(self, *arguments, input="Subject: test\n\nbody\n", **options):
        return self.post.tool("sendmail", *arguments, input=input, **options)

    def test_crons_command_line_delivers(self):
        self.sendmail("-FCronDaemon", "-i", "-B8BITMIME", "-oem", "cron@example.com",
                      input="From: root (Cron Daemon)\nTo: cron\nContent-Type: text/plain\n\n.\nend\n")
        message, = self.post.wait_mail("cron")
        self.assertIn("\n.\nend\n", message.replace("\r", ""))
        self.assertRegex(message, r"Received: by post\.test\.example \(Posthouse, from userid \d+\)")
        self.assertIn("From: root@post.test.example (Cron Daemon)", message)
        self.assertRegex(message, r"Message-Id: <\d{14}\.\w+@post\.test\.example>")
        self.assertRegex(self.post.log(), r"pickup\[\d+\]: \w+: uid=\d+ from=<")

    def test_recipients_come_from_the_header_with_t_and_bcc_is_not_shown(self):
        self.sendmail("-t", "-i", "-fwww@example.org",
                      input="To: \"A, B\" <to1@example.com>\nCc: to2@example.com\nBcc: hidden@example.com\n"
                            "Subject: s\n\nTo: body\n")
        for user in ("to1", "to2", "hidden"):
            message, = self.post.wait_mail(user)
            self.assertNotIn("hidden@example.com", message.split("Subject:")[1])
            self.assertNotIn("Bcc", message)
            self.assertIn("Return-Path: <www@example.org>", message)

    def test_a_line_with_a_dot_ends_the_message_without_i(self):
        self.sendmail("dot@example.com", input="Subject: s\n\nbefore\n.\nafter\n")
        message, = self.post.wait_mail("dot")
        self.assertIn("before", message)
        self.assertNotIn("after", message)

    def test_unknown_options_are_swallowed(self):
        self.sendmail("-odb", "-oem", "-om", "-Ac", "-L", "tag", "-Z", "-oY", "odd@example.com")
        self.post.wait_mail("odd")

    def test_eight_bit_text_and_crlf_lines_arrive_as_they_are(self):
        self.sendmail("eight@example.com", input="Subject: s\r\n\r\nGr\u00fc\u00dfe\r\n".encode())
        message, = self.post.wait_mail("eight")
        self.assertIn("Gr\u00fc\u00dfe", message)

    def test_smtp_on_standard_input(self):
        done = self.sendmail("-bs", input="EHLO me\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<bs@example.com>\r\nDATA\r\n"
                                          "Subject: s\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
        self.assertRegex(done.stdout, r"250 2\.0\.0 Ok: queued\r?\n221 ")
        message, = self.post.wait_mail("bs")
        self.assertIn("\n.dot", message)

    def test_a_caller_that_ignores_its_children_gets_the_proper_status(self):
        command = [os.path.join(self.post.programs, "commands", "sendmail"), "-i", "ignored@example.com"]
        done = subprocess.run(command, input=b"Subject: s\n\nx\n", env=dict(os.environ, MAIL_CONFIG=self.post.etc),
                              preexec_fn=self.ignore_children, timeout=60)
        self.assertEqual(done.returncode, 0)
        self.post.wait_mail("ignored")

    def ignore_children(self):
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        if self.post.drops:
            self.post.become_user()

    def test_exit_codes_are_those_of_sysexits(self):
        self.assertEqual(64, self.sendmail(check=False).returncode)
        self.assertEqual(64, self.sendmail("-f", check=False).returncode)
        self.assertEqual(65, self.sendmail("-t", check=False).returncode)
        self.assertEqual(69, self.sendmail("x@example.com", input="x" * 11000000, check=False).returncode)
        self.assertEqual(75, self.sendmail("-C", "/nowhere", "x@example.com", check=False).returncode)

    def test_a_recipient_that_looks_like_an_option_is_no_option(self):
        self.sendmail("--", "-fevil@example.com")
        self.post.wait_log(r"to=<-fevil@example\.com>")

    def test_mailq_by_its_name_lists_the_queue(self):
        self.assertRegex(self.post.tool("mailq").stdout, "Mail queue is empty|Queue ID")

    def test_what_is_no_drop_goes_to_corrupt_and_the_others_go_on(self):
        bad = os.path.join(self.post.spool, "maildrop", "bad")
        with open(bad, "w") as out:
            out.write("From: me\n\nnot the right form\n")
        if self.post.drops:
            os.chown(bad, self.post.user.pw_uid, self.post.user.pw_gid)
        os.chmod(bad, 0o700)
        self.sendmail("good@example.com")
        self.post.wait_mail("good")
        self.wait_until(lambda: os.path.exists(os.path.join(self.post.spool, "corrupt", "bad")), "bad in corrupt/")
        self.assertFalse(os.path.exists(bad))


class Help(harness.TestCase):
    def test_each_program_and_command_has_help_and_needs_no_configuration_for_it(self):
        programs = harness.Programs.prepare()
        for folder in ("commands", "daemons"):
            for name in sorted(os.listdir(os.path.join(programs, folder))):
                with self.subTest(name):
                    done = subprocess.run([os.path.join(programs, folder, name), "--help"], stdin=subprocess.DEVNULL, text=True,
                                          capture_output=True, env=dict(os.environ, MAIL_CONFIG="/nonexistent"), timeout=30)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertIn(name if name not in harness.COMMAND_LINKS else "usage", done.stdout)

    def test_a_daemon_run_by_hand_says_who_starts_it(self):
        programs = harness.Programs.prepare()
        done = subprocess.run([os.path.join(programs, "daemons", "smtpd")], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("started by master", done.stderr)


class Failure(harness.TestCase):
    def test_mail_submitted_while_nothing_runs_is_delivered_later(self):
        with harness.Instance(self) as post:
            post.stop()
            for number in range(5):
                post.tool("sendmail", "-i", "late@example.com", input="Subject: s\n\nmessage %d\n" % number)
            self.assertEqual(5, len(os.listdir(os.path.join(post.spool, "maildrop"))))
            post.start()
            counts = received_once(post.wait_mail("late", 5), range(5))
            self.assertEqual({1}, set(counts.values()))
            self.assertEqual([], os.listdir(os.path.join(post.spool, "maildrop")))

    def test_postcat_shows_a_drop_that_no_daemon_has_seen(self):
        post = harness.Instance(self)
        self.addCleanup(post.close)
        os.makedirs(os.path.join(post.spool, "maildrop"), 0o700)
        if post.drops:
            os.chown(os.path.join(post.spool, "maildrop"), post.user.pw_uid, post.user.pw_gid)
        post.tool("sendmail", "-t", "-i", "-fme@example.org", "-N", "never",
                  input="To: a@example.com, b@example.com\nSubject: s\n\nbody\n")
        name, = os.listdir(os.path.join(post.spool, "maildrop"))
        path = os.path.join(post.spool, "maildrop", name)
        text = post.tool("postcat", path).stdout
        for line in ("*** ENVELOPE RECORDS %s ***" % path, "sender: me@example.org", "recipient: a@example.com",
                     "recipient: b@example.com", "named_attribute: notify_flags=1", "Subject: s", "body"):
            self.assertIn(line + "\n", text)
        self.assertEqual(post.tool("postcat", "-b", path).stdout, "\nbody\n")
        self.assertEqual(post.tool("postcat", "-h", path).stdout, "To: a@example.com, b@example.com\nSubject: s\n")
        os.truncate(path, os.path.getsize(path) - 8)
        done = post.tool("postcat", path, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the end is missing", done.stderr)

    def test_a_missing_main_cf_is_told_once(self):
        post = harness.Instance(self)
        self.addCleanup(post.close)
        for words in (("postalias", "-c", "/nonexistent", "/etc/aliases"), ("postmap", "-c", "/nonexistent", "x"),
                      ("newaliases", "-c", "/nonexistent")):
            done = post.tool(*words, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertIn("open /nonexistent/main.cf: No such file or directory; name its directory with -c", done.stderr)

    def test_no_message_is_lost_when_pickup_is_killed_again_and_again(self):
        with harness.Instance(self) as post:
            numbers = range(60)
            for number in numbers:
                post.tool("sendmail", "-i", "many@example.com", input="Subject: s\n\nmessage %d\n" % number)
                if number % 7 == 3:
                    post.kill("pickup")
            complete = lambda: len(set(re.findall(r"^message (\d+)$", "\n".join(post.mail("many")), re.M))) == len(numbers)
            self.wait_until(complete, "all messages delivered", 4 * harness.PATIENCE)
            counts = received_once(post.mail("many"), numbers)
            # A kill between commit and unlink delivers twice; each kill has twenty drops in hand at most.
            self.assertLess(sum(counts.values()) - len(numbers), len(numbers))

    def test_a_queue_directory_that_is_away_is_a_temporary_failure(self):
        post = harness.Instance(self, main_cf="queue_directory = /nonexistent\n")
        try:
            done = post.tool("sendmail", "x@example.com", input="x", check=False)
            self.assertEqual(75, done.returncode)
        finally:
            post.close()

    def test_a_user_who_may_not_submit_is_told(self):
        with harness.Instance(self, main_cf="authorized_submit_users = !nobody, !root, !%s, static:all\n"
                              % pwd.getpwuid(os.geteuid()).pw_name) as post:
            done = post.tool("sendmail", "x@example.com", input="x", check=False)
            self.assertEqual(77, done.returncode)
            self.assertIn("not allowed", done.stderr)


@unittest.skipIf(os.geteuid(), "only root can give privileges away")
class Privileged(harness.TestCase):
    def test_a_drop_cannot_be_seen_by_other_users_and_is_delivered(self):
        with harness.Instance(self, privileged=True) as post:
            post.stop()
            post.tool("sendmail", "seen@example.com", input="Subject: s\n\nsecret\n")
            maildrop = os.path.join(post.spool, "maildrop")
            name, = os.listdir(maildrop)
            for command in (["ls", maildrop], ["cat", os.path.join(maildrop, name)]):
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      preexec_fn=lambda: (os.setgroups([]), os.setgid(65534), os.setuid(65534)))
                self.assertNotEqual(0, done.returncode)
                self.assertNotIn(b"secret", done.stdout)
            post.start()
            self.assertIn("from userid 0)", post.wait_mail("seen")[0])


if __name__ == "__main__":
    harness.main()
