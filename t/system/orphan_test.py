#!/usr/bin/env python3
"""What becomes of the programs whose master is killed, and of those of the next one: they leave each other's work
alone."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness
import inject

WHY_NOT = inject.why_not()
CONTENT = "From: a@example.com\nSubject: once\n\nHello.\n"


@unittest.skipIf(WHY_NOT, WHY_NOT)
class Orphans(harness.TestCase):
    def start_again(self, post):
        post.running = False
        post.tool("posthouse", "-c", post.etc, "start")
        post.running = True

    def test_a_drop_that_an_orphaned_pickup_still_takes_is_not_taken_by_the_next_one(self):
        with harness.Instance(self) as post:
            self.wait_until(lambda: post.pids("pickup"), "pickup runs")
            with inject.Fault(post.pids("pickup")[0], "unlinkat:delay_enter=4000000:when=1") as slow:
                post.tool("sendmail", "-i", "-f", "a@example.com", "friend@example.com", input=CONTENT)
                self.wait_until(lambda: "unlinkat" in slow.text(), "the message is in the queue, the drop still there")
                self.assertEqual(len(os.listdir(os.path.join(post.spool, "maildrop"))), 1)
                post.kill("master")
                self.start_again(post)
                self.wait_until(lambda: not os.listdir(os.path.join(post.spool, "maildrop")), "the drop is taken")
            post.wait_mail("friend")
            post.wait_queue(0)
            self.assertEqual(len(post.mail("friend")), 1)


if __name__ == "__main__":
    harness.main()
