"""What the fault tests have in common: an instance whose programs all run, and what becomes of one message when the
machine does something to them. Each fault ends in a temporary answer or a retry, never in loss and never in a
second copy."""
import os
import subprocess
import tempfile

import harness

SENDER = "sender@example.com"
ONE_OF_EACH = "default_process_limit = 1\n"


def relay_to(port, more=""):
    return ONE_OF_EACH + "relayhost = [127.0.0.1]:%d\n%s" % (port, more)


def can_mount():
    """None, or why file systems cannot be mounted here."""
    if os.geteuid() != 0:
        return "needs root"
    with tempfile.TemporaryDirectory(prefix="posthouse-mount-") as place:
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", place]
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
            return "cannot mount"
        subprocess.run(["umount", place], check=True)
        return None


CANNOT_MOUNT = can_mount()


class Faults(harness.TestCase):
    """One message, sent until it is taken, and how many copies arrive of it."""

    def started(self, **options):
        """Every program of it runs, and user's Maildir is there."""
        options.setdefault("main_cf", ONE_OF_EACH)
        post = harness.Instance(self, **options)
        self.addCleanup(lambda: post.close(failed=bool(self._outcome and not self._outcome.success)))
        post.start()
        post.send(SENDER, ["user@example.com"], "first")
        post.wait_mail("user")
        post.wait_queue(0)
        return post

    def answer_to(self, post, text, size=100, to="user@example.com"):
        """The last reply to one message."""
        with harness.Dialogue(post.port, timeout=60) as client:
            client.reply()
            for line in ("EHLO client.example", "MAIL FROM:<%s>" % SENDER, "RCPT TO:<%s>" % to, "DATA"):
                reply = client.command(line)
                if reply[0] not in (250, 354):
                    return reply
            client.send("Subject: x\r\n\r\n" + ("y" * 70 + "\r\n") * (size // 72) + text + "\r\n.\r\n")
            return client.reply()

    def count(self, post, text, user="user"):
        return sum(text in one for one in post.mail(user))

    def arrives_once(self, post, text, user="user", seconds=40):
        self.wait_until(lambda: self.count(post, text, user), text + " arrives", seconds)
        post.wait_queue(0, seconds)
        self.assertEqual(self.count(post, text, user), 1, text)
