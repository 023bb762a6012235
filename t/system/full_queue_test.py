#!/usr/bin/env python3
"""A queue whose file system is too small or full: new mail is refused for now, what is queued is delivered, and all
goes on by itself when there is space again. The spool is a small tmpfs of its own; needs root."""
import errno
import os
import re
import subprocess
import unittest

import harness
from faults import CANNOT_MOUNT

LIMITS = "message_size_limit = 20000\nbounce_size_limit = 1000\ndefault_process_limit = 1\n"


@unittest.skipIf(CANNOT_MOUNT, CANNOT_MOUNT)
class FullQueue(harness.TestCase):
    def instance(self, size, main_cf=""):
        post = harness.Instance(self, main_cf=LIMITS + main_cf)
        self.addCleanup(lambda: post.close(failed=bool(self._outcome and not self._outcome.success)))
        owner = "uid=%d,gid=%d,mode=755" % (post.user.pw_uid, post.user.pw_gid)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s,%s" % (size, owner), "none", post.spool], check=True)
        self.addCleanup(lambda: subprocess.run(["umount", "-l", post.spool]))
        # Cleanups run last in, first out: the instance stops before its spool goes.
        self.addCleanup(post.stop)
        return post

    def resize(self, post, size):
        subprocess.run(["mount", "-o", "remount,size=" + size, post.spool], check=True)

    def fill(self, post):
        """Not a byte is left."""
        path = os.path.join(post.spool, "filler")
        with open(path, "ab", buffering=0) as filler:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        filler.write(b"x" * size)
                except OSError as error:
                    self.assertEqual(error.errno, errno.ENOSPC)
        return path

    def answer(self, post, sender, recipient, text):
        """The code and the text of the last reply to one message."""
        with harness.Dialogue(post.port, timeout=60) as client:
            client.reply()
            for line in ("EHLO client.example", "MAIL FROM:<%s>" % sender, "RCPT TO:<%s>" % recipient, "DATA"):
                code, lines = client.command(line)
                if code not in (250, 354):
                    return code, lines[-1]
            client.send("Subject: x\r\n\r\n%s\r\n.\r\n" % text)
            code, lines = client.reply()
            return code, lines[-1]

    def test_a_file_system_too_small_for_a_queue_is_named_with_what_is_wanted_and_mail_flows_when_it_grows(self):
        post = self.instance("2m")
        post.start()
        post.wait_log(r"no space for \S+/spool/mail/journal.0 \(\d+ bytes;.*make space.*No space left")
        code, text = self.answer(post, "sender@example.com", "user@example.com", "too early")
        self.assertEqual(code, 452, text)
        self.assertRegex(text, "^4.3.1 ")
        listing = post.tool("mailq", check=False)
        self.assertNotEqual(listing.returncode, 0)
        self.assertRegex(listing.stderr, r"no space for \S+/journal.0")
        pids = post.pids("qmgr")
        self.resize(post, "64m")
        post.wait_log("there is space for the queue now")
        self.assertEqual(post.pids("qmgr"), pids)
        self.wait_until(lambda: self.answer(post, "sender@example.com", "user@example.com", "in time")[0] == 250, "mail")
        self.assertIn("in time", post.wait_mail("user")[0])
        self.assertEqual(post.tool("mailq").stderr, "")

    def test_a_full_queue_refuses_mail_for_now_delivers_what_it_has_and_takes_mail_again(self):
        open_for_mail = []

        def reply(verb, argument):
            if verb == "RCPT" and not open_for_mail:
                return "451 4.2.0 later"
            return "550 5.1.1 nobody" if verb == "RCPT" and "nobody" in argument else None

        with harness.SinkServer(reply) as sink:
            post = self.instance("24m", "relayhost = [127.0.0.1]:%d\n" % sink.port)
            post.start()
            self.assertEqual(self.answer(post, "user@example.com", "nobody@far.example", "bounce me")[0], 250)
            taken = 0
            for taken in range(30):
                self.assertEqual(self.answer(post, "a@example.com", "friend@far.example", "message %d." % taken)[0], 250)
            filler = self.fill(post)
            self.wait_until(lambda: self.answer(post, "a@example.com", "friend@far.example", "too much")[0] != 250, "452")
            code, text = self.answer(post, "a@example.com", "friend@far.example", "too much")
            self.assertEqual((code, text[:6]), (452, "4.3.1 "))
            listing = post.tool("mailq")
            self.assertRegex(listing.stderr, "file system is full: " + re.escape(post.spool))
            self.assertIn("friend@far.example", listing.stdout)

            # Restarted on the full disk, too.
            post.stop()
            post.start()
            open_for_mail.append(True)
            self.wait_until(lambda: post.tool("postqueue", "-f", check=False).returncode == 0, "a flush")
            texts = lambda: [m[2] for m in sink.messages if "message " in m[2]]
            self.wait_until(lambda: len(texts()) >= taken + 1, "the queue is drained", 40)
            post.wait_queue(0, 40)
            self.assertEqual(sorted(int(re.search(r"message (\d+)\.", t)[1]) for t in texts()), list(range(taken + 1)))
            self.assertIn("bounce me", post.wait_mail("user")[0])

            os.unlink(filler)
            self.wait_until(lambda: self.answer(post, "a@example.com", "friend@far.example", "again")[0] == 250, "mail")
            self.wait_until(lambda: any("again" in m[2] for m in sink.messages), "delivery")
            self.assertEqual(post.tool("mailq").stderr, "")

    def test_below_queue_minfree_mail_is_refused_and_bounces_are_still_sent(self):
        with harness.SinkServer(lambda verb, argument: "550 5.1.1 nobody" if verb == "RCPT" else None) as sink:
            post = self.instance("24m", "relayhost = [127.0.0.1]:%d\ndefer_transports = smtp\n" % sink.port)
            post.start()
            self.assertEqual(self.answer(post, "user@example.com", "nobody@far.example", "bounce me")[0], 250)
            with open(post.main_cf_path, "a") as main:
                main.write("queue_minfree = 1000000000\ndefer_transports =\n")
            post.stop()
            post.start()
            code, text = self.answer(post, "a@example.com", "friend@far.example", "too much")
            self.assertEqual((code, text[:6]), (452, "4.3.1 "))
            self.wait_until(lambda: post.tool("postqueue", "-f", check=False).returncode == 0, "a flush")
            self.assertIn("bounce me", post.wait_mail("user")[0])
            post.wait_queue(0)


if __name__ == "__main__":
    harness.main()
