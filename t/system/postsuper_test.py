#!/usr/bin/env python3
"""postsuper and postcat, with a running queue manager and without."""
import fcntl
import glob
import os
import re

import harness

SENDER = "sender@example.com"
SLOW = "minimal_backoff_time = 1000s\nmaximal_backoff_time = 4000s\nrelayhost = [127.0.0.1]:%d\n"


class Operator(harness.TestCase):
    def instance(self):
        return harness.Instance(self, main_cf=SLOW % harness.free_port())

    def fill(self, post, count):
        ids = [post.send_id(SENDER, ["friend%d@far.example" % i], "Hello %d." % i) for i in range(count)]
        self.wait_until(lambda: len([e for e in post.queue() if e["queue_name"] == "deferred"]) == count, "deferral")
        return ids

    def names(self, post):
        return {entry["queue_id"]: entry["queue_name"] for entry in post.queue()}

    def orders(self, post):
        """The same whether qmgr runs or not."""
        ids = self.ids
        said = post.tool("postsuper", "-h", ids[0], "-h", "-", input=ids[1] + " some text\n").stderr
        self.assertIn("postsuper: %s: placed on hold\n" % ids[0], said)
        self.assertEqual(said.count("postsuper: Placed on hold: 1 message\n"), 2)
        self.assertEqual({self.names(post)[one] for one in ids[:2]}, {"hold"})
        said = post.tool("postsuper", "-H", "ALL").stderr
        self.assertIn("postsuper: Released from hold: 2 messages\n", said)
        self.assertNotIn("hold", self.names(post).values())
        post.tool("postsuper", "-h", ids[1])
        said = post.tool("postsuper", "-d", "ALL:hold", "-d", ids[0], "-d", "nonsense").stderr
        self.assertEqual(said.count("postsuper: Deleted: 1 message\n"), 2)
        self.assertIn("invalid mail queue id: nonsense", said)
        self.assertEqual(set(self.names(post)), {ids[2]})
        self.assertEqual(post.tool("postsuper", "-d", ids[0]).returncode, 0)
        said = post.tool("postsuper", "-d", "ALL", "deferred", "active").stderr
        self.assertIn("postsuper: Deleted: 1 message\n", said)
        self.assertEqual(post.queue(), [])

    def test_postqueue_refuses_what_is_no_queue_id(self):
        with self.instance() as post:
            done = post.tool("postqueue", "-i", "nonsense", check=False)
            self.assertEqual(done.returncode, 64)
            self.assertIn("postqueue: warning: invalid mail queue id: nonsense\n", done.stderr)

    def test_orders_are_given_to_the_queue_manager(self):
        with self.instance() as post:
            self.ids = self.fill(post, 3)
            self.orders(post)

    def test_orders_are_carried_out_in_the_files_while_the_mail_system_is_down(self):
        with self.instance() as post:
            self.ids = self.fill(post, 3)
            post.stop()
            self.orders(post)
            self.assertNotIn("/mail/", post.tool("postsuper", "-s").stderr)
            post.start()
            post.wait_queue(0)

    def test_no_file_is_changed_beside_a_queue_manager_that_cannot_be_reached(self):
        with self.instance() as post:
            ids = self.fill(post, 1)
            door = os.path.join(post.spool, "public", "qmgr")
            os.rename(door, door + ".away")
            done = post.tool("postsuper", "-h", ids[0], check=False)
            os.rename(door + ".away", door)
            self.assertEqual(done.returncode, 1)
            self.assertIn("postsuper: fatal: a queue manager runs, but cannot be reached: ", done.stderr)
            self.assertNotIn("placed on hold", done.stderr)
            self.assertEqual(self.names(post)[ids[0]], "deferred")
            post.kill("qmgr") # the next one reads the files
            self.wait_until(lambda: post.pids("qmgr") and self.names(post).get(ids[0]), "qmgr runs again")
            self.assertEqual(self.names(post)[ids[0]], "deferred")

    def test_no_queue_manager_starts_while_files_are_changed(self):
        with self.instance() as post:
            ids = self.fill(post, 1)
            post.stop()
            with open(os.path.join(post.spool, "mail", "lock"), "r+b") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX) # as another postsuper, or the last qmgr on its way down
                done = post.tool("postsuper", "-h", ids[0], check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("a queue manager runs, but cannot be reached", done.stderr)
            self.assertIn("placed on hold", post.tool("postsuper", "-h", ids[0]).stderr)

    def test_a_repeated_parameter_in_main_cf_is_no_news_for_those_who_look_at_the_queue(self):
        with harness.Instance(self, main_cf="delay_warning_time = 1h\ndelay_warning_time = 2h\n") as post:
            self.assertIn("replaces the value of line", post.tool("posthouse", "check").stderr)
            for command in (["mailq"], ["postqueue", "-p"], ["postqueue", "-f"], ["postsuper", "-h", "ALL"],
                            ["postmap", "-q", "a", "inline:{a=b}"]):
                with self.subTest(command[0]):
                    self.assertEqual(post.tool(*command).stderr, "")

    def test_what_was_held_while_the_system_was_down_is_held_when_it_runs_again(self):
        with self.instance() as post:
            ids = self.fill(post, 2)
            post.stop()
            post.tool("postsuper", "-h", ids[0])
            post.start()
            self.wait_until(lambda: self.names(post).get(ids[0]) == "hold", "the hold is seen")
            post.tool("postsuper", "-H", ids[0])
            self.assertNotIn("hold", self.names(post).values())

    def test_an_expired_message_comes_back_to_its_sender(self):
        with self.instance() as post:
            ids = self.fill(post, 1)
            post.tool("postsuper", "-e", ids[0])
            post.tool("postqueue", "-f")
            self.assertIn("friend0@far.example", post.wait_mail("sender")[0])
            post.wait_queue(0)

    def test_a_requeued_message_is_tried_again_under_a_new_id(self):
        with harness.SinkServer() as sink:
            with self.instance() as post:
                ids = self.fill(post, 1)
                post.configure("relayhost = [127.0.0.1]:%d\n" % sink.port)
                post.reload()
                post.tool("postsuper", "-r", ids[0])
                self.wait_until(lambda: sink.messages, "delivery")
                self.assertIn("Hello 0.", sink.messages[0][2])
                post.wait_queue(0)

    def test_postcat_shows_envelope_header_and_body(self):
        with self.instance() as post:
            queue_id = self.fill(post, 1)[0]
            text = post.tool("postcat", "-q", queue_id).stdout
            self.assertRegex(text, r"(?s)\A\*\*\* ENVELOPE RECORDS .*^sender: sender@example.com$.*"
                             r"^recipient: friend0@far.example$.*^\*\*\* MESSAGE CONTENTS .*^Subject: test$.*"
                             r"^Hello 0\.$.*^\*\*\* MESSAGE FILE END ".replace("^", r"(?m:^)").replace("$", r"(?m:$)"))
            self.assertNotIn("\r", text)
            self.assertNotIn("recipient:", post.tool("postcat", "-bh", "-q", queue_id).stdout)
            self.assertEqual(post.tool("postcat", "-b", "-q", queue_id).stdout.strip(), "Hello 0.")
            path = [one for one in glob.glob(os.path.join(post.spool, "mail", "*", "*"))
                    if queue_id in post.tool("postcat", "-e", one, check=False).stdout][0]
            self.assertIn("Hello 0.", post.tool("postcat", path).stdout)
            missing = post.tool("postcat", "-q", "0000000000z1", check=False)
            self.assertEqual(missing.returncode, 1)

    def test_38_a_damaged_queue_file_is_set_aside_shown_and_deleted_while_other_mail_goes_on(self):
        with self.instance() as post:
            ids = self.fill(post, 2)
            path = [one for one in glob.glob(os.path.join(post.spool, "mail", "*", "*"))
                    if ids[0] in post.tool("postcat", "-e", one, check=False).stdout][0]
            post.stop()
            with open(path, "r+b") as file:
                file.seek(60)
                file.write(b"?")
            self.assertEqual(post.tool("postsuper", "-s", check=False).returncode, 1)
            post.start()
            self.wait_until(lambda: set(self.names(post)) == {ids[1]}, "the other message is queued")
            self.assertEqual(os.listdir(os.path.join(post.spool, "corrupt")), [ids[0]])
            post.wait_log(r"damaged queue file \d+ \(%s\)" % ids[0])
            post.tool("postsuper", "-d", ids[0], "corrupt")
            self.assertEqual(os.listdir(os.path.join(post.spool, "corrupt")), [])


if __name__ == "__main__":
    harness.main()
