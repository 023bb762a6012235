#!/usr/bin/env python3
"""Queue files that are damaged, cut off, removed, or dated from the future."""
import glob
import os
import re
import time

import harness
from faults import SENDER, Faults, relay_to


class Damage(Faults):
    def waiting(self):
        """Five messages wait for a host that takes none yet. Returns the instance, the host, and path and data of the
        third message's file, which is to be damaged."""
        sink = harness.SinkServer(lambda verb, _: "451 4.3.0 later" if verb == "RCPT" else None)
        self.addCleanup(sink.close)
        post = self.started(main_cf=relay_to(sink.port, "minimal_backoff_time = 1000s\nmaximal_backoff_time = 1000s\n"))
        for number in range(5):
            post.send(SENDER, ["friend@far.example"], "message-%d." % number)
        self.wait_until(lambda: sum(e["queue_name"] == "deferred" for e in post.queue()) == 5, "deferrals")

        def third():
            for path in glob.glob(os.path.join(post.spool, "mail", "??", "*")):
                with open(path, "rb") as slot:
                    data = slot.read()
                if data.startswith(b"PHqLIVE") and b"message-2." in data:
                    return path, data
        return post, sink, *self.wait_until(third, "its file")

    def the_others_are_delivered(self, post, sink):
        """When the host takes mail again."""
        sink.answer = None
        post.tool("postqueue", "-f")
        self.wait_until(lambda: len(sink.messages) >= 4, "the other four")

    def check_only_the_others_were_sent(self, post, sink):
        self.assertEqual(sorted(re.search(r"message-(\d)\.", text)[1] for _, _, text in sink.messages), ["0", "1", "3", "4"])
        self.assertEqual(post.mail("sender"), [])

    def damage(self, path, at, data):
        with open(path, "r+b") as slot:
            slot.seek(at)
            slot.write(data)

    def is_found_and_kept(self, change, restart):
        post, sink, path, data = self.waiting()
        if restart:
            post.stop()
        change(path, data)
        if restart:
            post.start()
        self.the_others_are_delivered(post, sink)
        post.wait_queue(0)
        self.check_only_the_others_were_sent(post, sink)
        post.wait_log("damaged queue file")
        # Kept for a person, who can look at it.
        kept, = glob.glob(os.path.join(post.spool, "corrupt", "*"))
        with open(kept, errors="replace") as text:
            self.assertIn("From: sender@example.com", text.read())

    def flip_content(self, path, data):
        at = data.index(b"Subject:")
        self.damage(path, at, b"SubjecT:")

    def flip_envelope(self, path, data):
        at = data.rindex(b"friend@far.example")
        self.damage(path, at, b"fiend")

    def flip_header(self, path, data):
        self.damage(path, 40, bytes([data[40] ^ 1]))

    def cut_off(self, path, data):
        os.truncate(path, data.index(b"message-2") + 3)

    def test_damaged_content_is_never_delivered(self):
        # To qmgr it is the message that it has seen whole; who sends it reads it again.
        post, sink, path, data = self.waiting()
        self.flip_content(path, data)
        self.the_others_are_delivered(post, sink)
        for attempt in (1, 2):
            self.wait_until(lambda: len(re.findall("status=deferred .damaged queue file", post.log())) == attempt, "refusal")
            post.tool("postqueue", "-f")
        self.check_only_the_others_were_sent(post, sink)
        kept = len(post.queue()) + len(os.listdir(os.path.join(post.spool, "corrupt")))
        self.assertEqual(kept, 1)

    def test_damaged_content_is_found_at_the_next_start(self):
        self.is_found_and_kept(self.flip_content, restart=True)

    def test_a_damaged_envelope_is_found_before_the_next_attempt(self):
        self.is_found_and_kept(self.flip_envelope, restart=False)

    def test_a_damaged_header_is_found_at_the_next_start(self):
        self.is_found_and_kept(self.flip_header, restart=True)

    def test_a_file_that_was_cut_off_is_kept_for_a_person(self):
        self.is_found_and_kept(self.cut_off, restart=False)

    def test_a_file_that_was_removed_is_told_and_disturbs_no_other(self):
        post, sink, path, _ = self.waiting()
        os.unlink(path)
        self.the_others_are_delivered(post, sink)
        post.wait_queue(0)
        self.check_only_the_others_were_sent(post, sink)
        post.wait_log(r"error: damaged queue file %s \(\w+\): .*No such file or directory" % os.path.basename(path))


class Clock(Faults):
    def test_mail_of_a_clock_that_ran_ahead_does_not_wait_for_that_time(self):
        with harness.SinkServer(lambda verb, _: "451 4.3.0 later" if verb == "RCPT" else None) as sink:
            post = self.started(main_cf=relay_to(sink.port))
            post.send(SENDER, ["friend@far.example"], "early")
            self.wait_until(lambda: [e for e in post.queue() if e["queue_name"] == "deferred"], "deferral")
            post.stop()
            ahead = time.time() + 30 * 86400
            for path in glob.glob(os.path.join(post.spool, "mail", "??", "*")):
                os.utime(path, (ahead, ahead))
            sink.answer = None
            post.start()
            self.wait_until(lambda: sink.messages, "delivery", 15)


if __name__ == "__main__":
    harness.main()
