#!/usr/bin/env python3
"""Programs are killed at marked points: on their way into one system call, which is then not made (strace does
it to the shipped programs). POINTS is the list of stages; for each, one numbered message is sent by a client that
tries again until it is acknowledged, the program is killed at the point, and afterwards the message is where it
belongs, whole, once: or with one copy more where the point lies in a window that no protocol can close
(`copies=2`: the next side had accepted, or the message was durable, and nobody could be told any more).

make check runs the points marked `small`; with TORTURE_POINTS those whose program, call and stage match the
regular expression ("." = all)."""
import os
import random
import re
import sys
import threading
import time
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"),
                os.path.dirname(os.path.abspath(__file__))]
import harness
import inject
import ledger

CHOICE = os.environ.get("TORTURE_POINTS")
WHY_NOT = inject.why_not()
SETTINGS = ("default_process_limit = 1\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n"
            "smtp_connection_cache_on_demand = no\n")


class Point:
    def __init__(self, program, call, stage, copies=1, to="far", hold=None, path=None, small=False, size=300, bounces=0,
                 by="smtp", first_thread=False):
        """`to`, `by`: see provoke(). `hold`: the verb at which the next host waits until the point is set, so that
        counting begins there; without it counting begins at our own 354. `path`: only calls on this file of the
        instance, `first_thread`: only those of that one. `copies`, `bounces`: how many at most."""
        self.program, self.call, self.stage, self.copies, self.to = program, call, stage, copies, to
        self.hold, self.path, self.small, self.size, self.bounces, self.by = hold, path, small, size, bounces, by
        self.first_thread = first_thread


POINTS = [
    # A message comes in. Counting begins after 354.
    Point("smtpd", "recvfrom:1", "the content is not read", to="here"),
    Point("smtpd", "pwritev:1", "nothing is written", to="here"),
    Point("smtpd", "pwritev:2", "a long message is written in part", to="here", size=400000, small=True),
    Point("smtpd", "fdatasync:1", "written, not synced", copies=2, to="here"),
    Point("smtpd", "close:1", "synced, the slot still locked", copies=2, to="here"),
    Point("smtpd", "sendto:1", "durable, 250 not said", copies=2, to="here", small=True),
    Point("smtpd", "sendmsg:1", "250 said, qmgr not told", to="here", small=True),
    # A local drop is taken. Counting begins before it is there.
    Point("pickup", "openat:2", "the drop is not opened", to="here", by="sendmail"),
    Point("pickup", "pwritev:1", "the message is not written", to="here", by="sendmail"),
    Point("pickup", "fdatasync:1", "written, not synced", copies=2, to="here", by="sendmail"),
    Point("pickup", "unlinkat:1", "durable, the drop still there", copies=2, to="here", by="sendmail", small=True),
    Point("pickup", "fsync:1", "the drop is gone, its folder not synced", to="here", by="sendmail"),
    Point("pickup", "sendmsg:1", "leases not asked for", to="here", by="sendmail", copies=2),
    # qmgr hears of it and hands it out.
    Point("qmgr", "recvmsg:1", "the notice is not read", small=True),
    Point("qmgr", "openat:1", "the message is not opened for an agent"),
    Point("qmgr", "sendmsg:1", "the agent is not asked"),
    Point("qmgr", "pwritev:1", "its journal does not know the message", copies=2, path="spool/mail/journal.0"),
    Point("qmgr", "fdatasync:1", "the journal is not synced", copies=2),
    # The result comes back. Counting begins when the next host has the content.
    Point("qmgr", "recvmsg:1", "the result is not read", copies=2, hold="END"),
    Point("qmgr", "pwritev:1", "the message is not retired", copies=2, hold="END", small=True),
    Point("qmgr", "pwritev:1", "retired, not in the journal", hold="END", path="spool/mail/journal.0"),
    Point("qmgr", "fdatasync:1", "retired, the journal not synced", hold="END"),
    # The same with a recipient here who has the message already: only the other may get it twice.
    Point("qmgr", "pwritev:1", "the last recipient is not marked", copies=2, hold="END", to="two"),
    Point("qmgr", "pwritev:2", "all recipients are marked, the message not retired", hold="END", to="two"),
    # Two results at once.
    Point("qmgr", "pwritev:1", "the message is not marked as begun", copies=2, hold="END", to="pair"),
    Point("qmgr", "pwritev:2", "no recipient is marked", copies=2, hold="END", to="pair"),
    Point("qmgr", "pwritev:3", "one recipient is marked, the other not", copies=2, hold="END", to="pair", small=True),
    # The next host refuses it for good: a bounce. Counting begins before the refusal.
    Point("qmgr", "recvmsg:1", "the refusal is not read", hold="RCPT", to="never", bounces=1),
    Point("qmgr", "pwritev:1", "the bounce is not written", hold="RCPT", to="never", bounces=1),
    Point("qmgr", "fdatasync:1", "the bounce is written, not synced", hold="RCPT", to="never", bounces=2),
    Point("qmgr", "pwritev:2", "the bounce is durable, the message not retired", hold="RCPT", to="never", bounces=2,
          small=True),
    # A message that waits is requeued (postsuper -r ALL). Counting begins before the order.
    Point("qmgr", "pwritev:1", "the new id is not written in the old message", by="requeue"),
    Point("qmgr", "fdatasync:1", "the new id is not synced in the old message", by="requeue"),
    Point("qmgr", "pwritev:1", "the new message is durable, the old one not retired", by="requeue", first_thread=True,
          small=True),
    # New slots for a new smtpd.
    Point("qmgr", "flock:1", "a slot is not locked for its lease", by="new smtpd"),
    Point("qmgr", "sendmsg:1", "leases are not handed out", by="new smtpd"),
    # Delivery to another host.
    Point("smtp", "recvmsg:1", "the request is not read"),
    Point("smtp", "connect:1", "not connected"),
    Point("smtp", "sendto:1", "the greeting is not answered"),
    Point("smtp", "sendto:2", "the envelope is not sent"),
    Point("smtp", "sendto:3", "the content is not sent"),
    Point("smtp", "recvfrom:1", "accepted, the reply not read", copies=2, hold="END", small=True),
    Point("smtp", "sendmsg:1", "accepted, qmgr not told", copies=2, hold="END", small=True),
    # Delivery into a mailbox.
    Point("virtual", "recvmsg:1", "the request is not read", to="here"),
    Point("virtual", "sendmsg:1", "the worker is not asked", to="here"),
    Point("virtual", "sendmsg:2", "delivered, qmgr not told", copies=2, to="here"),
    Point("local-worker", "openat:1", "no file", to="warm"),
    Point("local-worker", "write:1", "an empty file in tmp", to="warm"),
    Point("local-worker", "write:2", "part of the file in tmp", to="warm", size=400000),
    Point("local-worker", "fdatasync:1", "the file is not synced", to="warm"),
    Point("local-worker", "renameat2:1", "synced, still in tmp", to="warm", small=True),
    Point("local-worker", "fsync:1", "in new, not synced", copies=2, to="warm", small=True),
    Point("local-worker", "sendmsg:1", "in new, nobody told", copies=2, to="warm", small=True),
    # master, while it replaces a killed program.
    Point("master", "wait4:1", "a dead child is not noticed", by="killed smtpd"),
    Point("master", "clone,clone3,fork,vfork:1", "a new child is not started", by="killed smtpd", small=True),
    Point("master", "epoll_wait:1", "at rest", hold="END"),
]


class MarkedKills(harness.TestCase):
    refuses = False

    @classmethod
    def setUpClass(cls):
        if WHY_NOT:
            raise unittest.SkipTest("cannot trace: " + WHY_NOT)
        cls.gate, cls.wanted, cls.at_gate = threading.Event(), None, threading.Event()
        cls.gate.set()
        cls.sink = harness.SinkServer(cls.next_host)
        cls.post = harness.Instance(cls, main_cf=SETTINGS + "relayhost = [127.0.0.1]:%d\n" % cls.sink.port)
        cls.book, cls.rows = ledger.Ledger(), []
        cls.post.start()

    @classmethod
    def tearDownClass(cls):
        cls.gate.set()
        cls.post.close(failed=bool(os.environ.get("TORTURE_LOG")))
        cls.sink.close()
        print("\n".join(cls.rows), file=sys.stderr)

    @classmethod
    def next_host(cls, verb, argument):
        if verb == cls.wanted:
            cls.at_gate.set()
            cls.gate.wait(30)
        if verb == "RCPT" and cls.refuses:
            return "450 4.2.1 not now"
        return "550 5.1.1 no such user" if verb == "RCPT" and "never" in argument else None

    def pid_of(self, program):
        if program == "master":
            return self.post.master_pid()
        return self.wait_until(lambda: self.post.pids(program), program + " runs")[0]

    # ---- one message from a client that does not give up
    def content(self, number, point):
        return ledger.make_message(number, point.size, random.Random(number))

    def try_smtp(self, number, recipients, content, before_content):
        with harness.Dialogue(self.post.port, timeout=20) as client:
            if client.reply()[0] != 220 or client.command("EHLO client.test.example")[0] != 250:
                return False
            if client.command("MAIL FROM:<%s>" % self.sender)[0] != 250:
                return False
            for recipient in recipients:
                if client.command("RCPT TO:<%s>" % recipient)[0] != 250:
                    return False
            if client.command("DATA")[0] != 354:
                return False
            before_content()
            client.send(re.sub(rb"^\.", b"..", content, flags=re.M) + b".\r\n")
            code, lines = client.reply()
            if code == 250:
                self.book.acknowledge(number, ("250 " + lines[0]).encode())
            return code == 250

    def send_until_taken(self, number, recipients, content, before_content):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                if self.try_smtp(number, recipients, content, before_content):
                    return
            except (OSError, ValueError, AttributeError):
                pass
            before_content = lambda: None
            time.sleep(0.05)

    def drop(self, number, recipients, content):
        self.post.tool("sendmail", "-f", self.sender, *recipients, input=content.replace(b"\r\n", b"\n"))
        self.book.acknowledge(number, b"")

    # ---- one point
    def set_point(self, point):
        call, occurrence = point.call.rsplit(":", 1)
        path = os.path.join(self.post.folder, point.path) if point.path else None
        return inject.Fault(self.pid_of(point.program), "%s:signal=KILL:when=%s" % (call, occurrence), path=path,
                            first_thread=point.first_thread)

    def run_point(self, point, index):
        self.sender = "sender%d@example.com" % index
        recipients = ["%s%d@far.example" % (point.to, index)]
        if point.to == "here":
            recipients = ["here%d@example.com" % index]
        if point.to == "warm":  # whose Maildir exists
            recipients = ["warm@example.com"]
        if point.to == "two":
            recipients.append("here%d@example.com" % index)
        if point.to == "pair":
            recipients.append("other%d@far.example" % index)
        number = self.book.begin(recipients)
        content = self.content(number, point)
        faults = []

        def set_it():
            faults.append(self.set_point(point))

        type(self).wanted = point.hold
        self.at_gate.clear()
        if point.hold:
            self.gate.clear()
        # A thread: while master is dead the client has to wait for the next one.
        client = threading.Thread(target=self.provoke, args=(point, number, recipients, content, set_it))
        client.start()
        try:
            # A program that is not killed ends here: the point is never reached, and the table is wrong.
            self.wait_until(lambda: faults and faults[0].killed(), "the point is reached", 15)
        finally:
            self.gate.set()
            for fault in faults:
                fault.end()
        if point.program == "master":
            self.start_again()
        client.join()
        self.check(point, number, recipients)

    def requeue(self, number, recipients, content, set_it):
        type(self).refuses = True
        try:
            self.send_until_taken(number, recipients, content, lambda: None)
            self.post.wait_log(r"to=<%s>.*status=deferred" % recipients[0])
            time.sleep(0.2)  # what qmgr has begun is done
            set_it()
            self.post.tool("postsuper", "-r", "ALL", check=False)
        finally:
            type(self).refuses = False

    def provoke(self, point, number, recipients, content, set_it):
        if point.by == "requeue":
            self.requeue(number, recipients, content, set_it)
        elif point.by == "sendmail":
            set_it()
            self.drop(number, recipients, content)
        elif point.by in ("new smtpd", "killed smtpd"):
            set_it()
            self.post.kill("smtpd")
            self.send_until_taken(number, recipients, content, lambda: None)
        elif point.hold:  # the "warm", "pair", "two" and "never" of `to` say which recipients, "far" is the usual one
            self.send_until_taken(number, recipients, content, lambda: None)
            self.at_gate.wait(20)
            if point.to == "two":
                self.post.wait_log(r"to=<%s>.*status=sent" % recipients[1])
            time.sleep(0.2)  # what qmgr has begun (a mark, the journal of 50 ms) is done
            set_it()
            self.gate.set()
        else:
            # After 354, so that no earlier business of the connection counts.
            self.send_until_taken(number, recipients, content, set_it)

    def start_again(self):
        def try_it():
            return self.post.tool("posthouse", "-c", self.post.etc, "start", check=False).returncode == 0
        self.wait_until(try_it, "a new master starts", 30)
        self.wait_until(lambda: self.post.answers(self.post.port), "the port answers")

    def copies(self, number, recipient):
        user, domain = recipient.split("@")
        if domain == "example.com":
            texts = [text.encode("utf-8", "surrogateescape") for text in self.post.mail(user)]
        else:
            texts = [text.encode("latin-1") for _, to, text in self.sink.messages
                     if any(recipient in one for one in to)]
        found = [ledger.read_message(text) for text in texts]
        self.assertTrue(all(whole for _, whole in found), "a message that is not whole: %s" % texts)
        return sum(one == number for one, _ in found)

    def check(self, point, number, recipients):
        name = "%s killed at %s (%s)" % (point.program, point.call, point.stage)

        # A message between two processes is in neither list for a moment: twice empty is empty.
        def idle():
            done = self.post.tool("postqueue", "-c", self.post.etc, "-j", check=False)
            drops = os.listdir(os.path.join(self.post.spool, "maildrop"))
            return done.returncode == 0 and not done.stdout and not drops
        self.wait_until(lambda: idle() and not time.sleep(0.2) and idle(), name + ": the queue becomes empty", 40)
        self.assertIn(number, self.book.acknowledged)
        got = []
        if point.bounces:
            bounces = self.post.mail(self.sender.split("@")[0])
            self.assertIn(len(bounces), range(1, point.bounces + 1), name + ": bounces")
            got.append(len(bounces))
        else:
            for recipient in recipients:
                got.append(self.copies(number, recipient))
                most = 1 if point.to == "two" and recipient.startswith("here") else point.copies
                self.assertIn(got[-1], range(1, most + 1), "%s: copies for %s" % (name, recipient))
        self.assertEqual(os.listdir(os.path.join(self.post.spool, "corrupt")), [], name)
        self.rows.append("%-12s %-28s %-50s copies %s" % (point.program, point.call, point.stage,
                                                         ", ".join(map(str, got))))

    def test_a_message_survives_the_kill_of_each_program_at_each_stage(self):
        # Every program runs, and every folder is there, before the first point.
        self.post.send("sender@example.com", ["far@far.example", "warm@example.com"], "warm")
        self.post.tool("sendmail", "warm@example.com", input="Subject: warm\n\nwarm\n")
        self.post.wait_mail("warm", 2)
        self.post.wait_queue(0)
        new = os.path.join(self.post.folder, "mail", "warm", "new")
        for name in os.listdir(new):
            os.unlink(os.path.join(new, name))
        for index, point in enumerate(POINTS):
            name = "%s %s %s" % (point.program, point.call, point.stage)
            if re.search(CHOICE, name) if CHOICE else point.small:
                with self.subTest(name):
                    self.run_point(point, index)
        self.assertEqual(re.findall(r".*panic: .*", self.post.log()), [])


if __name__ == "__main__":
    harness.main()
