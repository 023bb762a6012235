#!/usr/bin/env python3
"""A disk that fails or is full, and a log that cannot be written. inject.py makes system calls of the shipped programs fail."""
import glob
import os
import signal
import time
import unittest

import harness
import inject
from faults import ONE_OF_EACH, SENDER, Faults, relay_to

CANNOT_TRACE = inject.why_not()
LONG = 400000  # longer than a slot, so that it is written while it comes


@unittest.skipIf(CANNOT_TRACE, CANNOT_TRACE)
class BrokenDisk(Faults):
    def refused_then_taken(self, what, size=100):
        post = self.started()
        with inject.Fault(post.pids("smtpd")[0], what) as fault:
            code, lines = self.answer_to(post, "unlucky", size)
            self.assertEqual(fault.hits(), 1)
        self.assertIn(code, (451, 452), lines)
        self.assertEqual(self.answer_to(post, "lucky", size)[0], 250)
        self.arrives_once(post, "\nlucky")
        self.assertEqual(self.count(post, "unlucky"), 0)
        return post

    def test_what_cannot_be_written_is_refused_for_now_and_never_delivered(self):
        self.refused_then_taken("pwritev:error=EIO:when=1")

    def test_what_cannot_be_synced_is_refused_for_now_and_its_file_kept_out_of_use(self):
        post = self.refused_then_taken("fdatasync:error=EIO:when=1")
        post.wait_log("damaged queue file .*writing to it failed")

    def test_a_long_message_that_cannot_be_written_on_is_refused_at_its_end(self):
        self.refused_then_taken("pwritev:error=EIO:when=2", LONG)

    def test_a_disk_that_is_full_in_mid_message_refuses_it_for_now(self):
        self.refused_then_taken("pwritev:error=ENOSPC:when=1")

    def test_a_drop_that_cannot_be_synced_stays_and_is_taken_later(self):
        post = self.started(main_cf=ONE_OF_EACH + "pickup_retry_time = 1s\n")
        with inject.Fault(post.pids("pickup")[0], "fdatasync:error=EIO:when=1") as fault:
            post.tool("sendmail", "user@example.com", input="Subject: x\n\ndropped\n")
            self.wait_until(fault.hits, "the fault")
        post.wait_log("pickup.* will try again")
        self.arrives_once(post, "dropped")

    def test_a_drop_that_cannot_be_read_stays_and_is_taken_later(self):
        post = self.started(main_cf=ONE_OF_EACH + "pickup_retry_time = 1s\n")
        pickup, = post.pids("pickup")
        os.kill(pickup, signal.SIGSTOP)  # until the fault knows the file's name
        try:
            post.tool("sendmail", "user@example.com", input="Subject: x\n\ndropped\n")
            drop, = glob.glob(os.path.join(post.spool, "maildrop", "*"))
            with inject.Fault(pickup, "read:error=EIO:when=1", path=drop) as fault:
                os.kill(pickup, signal.SIGCONT)
                self.wait_until(fault.hits, "the fault")
        finally:
            os.kill(pickup, signal.SIGCONT)
        post.wait_log("pickup.*Input/output error.* will try again")
        self.arrives_once(post, "dropped")

    def test_a_mailbox_that_cannot_be_written_puts_delivery_off(self):
        post = self.started()
        for what in ("write:error=EIO:when=1", "fdatasync:error=EIO:when=1", "renameat2:error=EIO:when=1",
                     "openat:error=EIO:when=1", "pread64:error=EIO:when=1"):
            with self.subTest(what):
                text = what.split(":")[0]
                with inject.Fault(post.pids("local-worker")[0], what) as fault:
                    queue_id = post.send_id(SENDER, ["user@example.com"], text)
                    post.wait_log(queue_id + r": to=<user@example.com>.* status=deferred .*nput/output error")
                    self.assertEqual(fault.hits(), 1)
                post.tool("postqueue", "-f")
                self.arrives_once(post, text)
        self.assertEqual(os.listdir(os.path.join(post.folder, "mail", "user", "tmp")), [])

    def test_a_journal_that_cannot_be_synced_loses_nothing(self):
        post = self.started()
        with inject.Fault(post.pids("qmgr")[0], "fdatasync:error=EIO", path=os.path.join(post.spool, "mail/journal.0")):
            codes = []
            for number in range(5):
                codes.append(self.answer_to(post, "journal %d." % number)[0])
                time.sleep(0.1)
            self.assertLessEqual(set(codes), {250, 451, 452})
            self.assertIn(250, codes)
        post.wait_log("mark journal")
        self.wait_until(lambda: self.answer_to(post, "afterwards")[0] == 250, "mail is taken again", 60)
        self.wait_until(lambda: self.count(post, "afterwards"), "it arrives", 60)
        for number, code in enumerate(codes):
            if code == 250:  # a queue manager that has not noted a delivery makes it again
                self.wait_until(lambda: self.count(post, "journal %d." % number), "journal %d arrives" % number, 20)

    def test_a_queue_file_that_cannot_be_opened_for_an_agent_is_tried_again(self):
        post = self.started()
        with inject.Fault(post.pids("qmgr")[0], "openat:error=EIO:when=1") as fault:
            self.assertEqual(self.answer_to(post, "opened later")[0], 250)
            self.wait_until(fault.hits, "the fault")
        self.arrives_once(post, "opened later")

    def test_a_message_that_cannot_be_read_for_the_next_host_is_tried_again(self):
        with harness.SinkServer() as sink:
            post = self.started(main_cf=relay_to(sink.port))
            post.send(SENDER, ["warm@far.example"], "warm")
            self.wait_until(lambda: sink.messages, "delivery")
            with inject.Fault(post.pids("smtp")[0], "preadv2,pread64:error=EIO") as fault:
                post.send(SENDER, ["friend@far.example"], "unreadable")
                self.wait_until(fault.hits, "the fault")
                post.wait_log(r"to=<friend@far.example>.* status=deferred")
            self.wait_until(lambda: len(sink.messages) == 2, "delivery")
            post.wait_queue(0)
            self.assertEqual(len(sink.messages), 2)


class NoLog(Faults):
    def test_a_log_that_cannot_be_written_stops_no_mail(self):
        with harness.Instance(self, main_cf="maillog_file = /dev/full\nmaillog_file_prefixes = /dev\n") as post:
            post.send(SENDER, ["user@example.com"], "unlogged")
            self.arrives_once(post, "unlogged")

    def test_without_a_syslog_daemon_mail_flows(self):
        with harness.Instance(self, main_cf="maillog_file =\n") as post:
            post.send(SENDER, ["user@example.com"], "unlogged")
            self.arrives_once(post, "unlogged")


if __name__ == "__main__":
    harness.main()
