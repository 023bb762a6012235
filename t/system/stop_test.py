#!/usr/bin/env python3
"""The end of the mail system: who is waited for, and how long; what is lost by it (nothing)."""
import threading
import time

import harness

SENDER = "sender@example.com"  # has a Maildir, so notices can be read
# Seconds, on a slow machine too, for a stop that waits for nobody. Whoever does not come to its end makes it last 10 and
# more (lib/service/stop_times.h): a session that long itself, and until master kills it is never less.
SOON = 9


def relay_to(port, more=""):
    return ("relayhost = [127.0.0.1]:%d\nminimal_backoff_time = 1000s\nmaximal_backoff_time = 4000s\n" % port) + more


class Stop(harness.TestCase):
    def test_stop_ends_every_process_and_soon(self):
        with harness.Instance(self) as post:
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            post.wait_mail("friend")
            pids = post.pids() + [post.master_pid()]
            begin = time.monotonic()
            post.stop()
            self.assertLess(time.monotonic() - begin, SOON)
            harness.wait_until(lambda: not any(map(harness.alive, pids)), "no process is left", 2)

    def test_stop_tells_an_idle_client_421(self):
        with harness.Instance(self) as post, harness.Dialogue(post.port) as client:
            self.assertEqual(client.reply()[0], 220)
            post.stop()
            self.assertEqual(client.reply()[0], 421)

    def test_a_stop_after_a_long_quiet_time_is_as_patient_as_any(self):
        with harness.Instance(self, main_cf="stop_deadline = 1s\n") as post:
            time.sleep(8.5)  # more than the programs have (lib/service/stop_times.h)
            post.stop()
            self.assertNotIn("killing", post.log())

    def test_abort_kills_all_and_loses_nothing(self):
        with harness.Instance(self, main_cf="defer_transports = virtual\n") as post:
            queue_id = post.send_id("you@example.org", ["friend@example.com"], "Hello.")
            post.tool("posthouse", "abort")
            harness.wait_until(lambda: post.tool("posthouse", "status", check=False).returncode, "it has ended")
            post.start()
            self.assertEqual([entry["queue_id"] for entry in post.wait_queue(1)], [queue_id])

    def content_begun(self, post):
        client = harness.Dialogue(post.port, timeout=30)
        self.addCleanup(client.close)
        client.reply()
        for command in ("EHLO client.example", "MAIL FROM:<you@example.org>", "RCPT TO:<friend@example.com>", "DATA"):
            client.send(command + "\r\n")
            client.reply()
        client.send("Subject: slow\r\n\r\nfirst line\r\n")
        return client

    def test_a_message_that_comes_in_during_a_stop_is_taken_before_the_queue_manager_ends(self):
        with harness.Instance(self) as post:
            client = self.content_begun(post)
            for _ in range(3):
                post.tool("posthouse", "reload")
            stopping = threading.Thread(target=post.stop)
            stopping.start()
            post.wait_log("terminating on signal")
            time.sleep(0.5)
            self.assertEqual(len(post.pids("qmgr")), 1)
            client.send("last line\r\n.\r\n")
            self.assertEqual(client.reply()[0], 250)
            self.assertEqual(client.reply()[0], 421)
            stopping.join()
            post.start()
            post.wait_mail("friend")

    def test_a_stop_tells_421_to_a_client_that_does_not_end_its_message(self):
        with harness.Instance(self, main_cf="stop_deadline = 2s\n") as post:
            client = self.content_begun(post)
            begun = time.monotonic()
            post.stop()
            self.assertLess(time.monotonic() - begun, SOON)
            self.assertEqual(client.reply()[0], 421)

    def test_stop_without_a_start_says_so(self):
        post = harness.Instance(self)
        try:
            done = post.tool("posthouse", "stop", check=False)
            self.assertEqual((done.returncode, done.stderr), (1, "posthouse: the mail system is not running\n"))
        finally:
            post.close()


class Deliveries(harness.TestCase):
    def arrives_once_though_the_answer_comes_after(self, seconds, main_cf, prepare=lambda post: None):
        """`main_cf` and `prepare` make an instance that waits for its answer when it is told to stop."""
        seen = threading.Event()

        def answer(verb, argument):
            if verb == "END":
                seen.set()
                time.sleep(seconds)
        with harness.SinkServer(answer) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port, main_cf)) as post:
                prepare(post)
                queue_id = post.send_id(SENDER, ["friend@far.example"], "Hello.")
                self.assertTrue(seen.wait(20))
                post.stop()
                post.wait_log(r"%s: to=<friend@far.example>.* status=sent " % queue_id)
                post.start()
                post.wait_queue(0)
                self.assertEqual(len(sink.messages), 1)

    def test_a_message_that_waits_for_its_answer_when_the_system_stops_arrives_once(self):
        self.arrives_once_though_the_answer_comes_after(12, "stop_deadline = 40s\n")

    def test_a_stop_deadline_that_a_reload_has_raised_holds_for_the_queue_manager_too(self):
        def raise_it(post):
            with open(post.main_cf_path, "a") as main:
                main.write("stop_deadline = 40s\n")
            post.send(SENDER, ["user@example.com"], "The queue manager runs.")
            post.wait_mail("user")
            post.reload()
            post.wait_log(r"qmgr\[\d+\]: configuration reloaded")
        self.arrives_once_though_the_answer_comes_after(4, "stop_deadline = 1s\n", raise_it)

    def test_a_bounce_that_is_due_when_the_system_stops_is_written_first(self):
        seen = threading.Event()

        def answer(verb, argument):
            if verb == "END":
                seen.set()
                time.sleep(1)
                return "550 5.7.1 not this"
        with harness.SinkServer(answer) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                queue_id = post.send_id(SENDER, ["friend@far.example"], "Hello.")
                self.assertTrue(seen.wait(20))
                post.stop()
                post.wait_log(r"%s: sender non-delivery notification: " % queue_id)
                post.start()
                self.assertIn("not this", post.wait_mail("sender")[0])
                post.wait_queue(0)
                self.assertEqual(len(post.mail("sender")), 1)

    def test_what_is_not_being_sent_yet_does_not_hold_up_a_stop_and_is_tried_after_the_start(self):
        connected, greet = threading.Event(), threading.Event()

        def answer(verb, argument):
            if verb == "CONNECT":
                connected.set()
                greet.wait(60)
        with harness.SinkServer(answer) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port, "stop_deadline = 40s\n")) as post:
                post.send(SENDER, ["friend@far.example"], "Hello.")
                self.assertTrue(connected.wait(20))
                began = time.monotonic()
                post.stop()
                self.assertLess(time.monotonic() - began, SOON)
                greet.set()
                post.start()
                self.wait_until(lambda: sink.messages, "delivery after the start")
                self.assertNotIn("status=deferred", post.log())


if __name__ == "__main__":
    harness.main()
