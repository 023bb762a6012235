#!/usr/bin/env python3
"""The queue as an operator sees it: waiting, retrying, holding, expiring, bouncing, telling.
Numbers in names are those of the behaviours that are easy to get wrong."""
import email
import os
import pwd
import re
import signal
import subprocess
import threading
import time

import harness

SENDER = "sender@example.com"  # has a Maildir, so notices can be read
SLOW = "minimal_backoff_time = 1000s\nmaximal_backoff_time = 4000s\n"


def relay_to(port, more=""):
    return "relayhost = [127.0.0.1]:%d\n%s" % (port, more)


def refuse(replies):
    """An answer for SinkServer: a reply for each recipient that contains the text."""
    def answer(verb, argument):
        if verb == "RCPT":
            for text, reply in replies.items():
                if text in argument:
                    return reply
        return None
    return answer


def recipients(sink):
    return sorted(re.search("<(.*)>", one)[1] for message in sink.messages for one in message[1])


class Waiting(harness.TestCase):
    def test_35_a_deferred_message_is_tried_again_until_the_next_host_takes_it(self):
        busy = {"yes": True}
        with harness.SinkServer(lambda verb, argument: "451 4.3.0 later" if verb == "RCPT" and busy["yes"] else None) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                post.send(SENDER, ["friend@far.example"], "Hello.")
                post.wait_log(r"to=<friend@far.example>.* status=deferred .*later")
                busy["yes"] = False
                self.wait_until(lambda: sink.messages, "delivery")
                post.wait_queue(0)
                self.assertIn("Hello.", sink.messages[0][2])
                post.wait_log(r"to=<friend@far.example>.* dsn=2.0.0, status=sent ")

    def test_mailq_and_postqueue_show_what_waits_and_why(self):
        port = harness.free_port()
        with harness.Instance(self, main_cf=relay_to(port, SLOW)) as post:
            queue_id = post.send_id(SENDER, ["friend@far.example"], "Hello.")
            entry = self.wait_until(lambda: [e for e in post.queue() if e["queue_name"] == "deferred"], "deferral")[0]
            self.assertEqual(set(entry), {"queue_name", "queue_id", "arrival_time", "message_size", "forced_expire",
                                          "sender", "recipients"})
            self.assertEqual(entry["queue_id"], queue_id)
            self.assertEqual(entry["sender"], SENDER)
            self.assertIs(entry["forced_expire"], False)
            self.assertLess(abs(entry["arrival_time"] - time.time()), 60)
            self.assertEqual(entry["recipients"][0]["address"], "friend@far.example")
            self.assertRegex(entry["recipients"][0]["delay_reason"], r"Connection refused")
            table = post.tool("mailq").stdout.splitlines()
            self.assertEqual(table[0], "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------")
            self.assertRegex(table[1], r"^%s +%d \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d %s$" % (
                queue_id, entry["message_size"], SENDER))
            self.assertRegex(table[2], r"^ *\(.*Connection refused\)$")
            self.assertEqual(table[3], " " * 47 + "friend@far.example")
            self.assertEqual(table[-1], "-- %d Kbytes in 1 Request." % (entry["message_size"] // 1024))

    def test_mail_that_pickup_has_not_taken_is_listed_with_and_without_a_queue_manager(self):
        with harness.Instance(self) as post:
            pickup, = self.wait_until(lambda: post.pids("pickup"), "pickup runs")
            os.kill(pickup, signal.SIGSTOP)
            self.addCleanup(self.resume, pickup)
            for name in ("one", "two"):
                post.tool("sendmail", "-f", SENDER, name + "@example.com", "other@example.com", input="Subject: x\n\nHello.\n")
            os.chmod(self.drops(post)[1], 0o100)  # nobody may read this one

            def listed():
                entries = post.queue()
                self.assertEqual([entry["queue_name"] for entry in entries], ["maildrop", "maildrop"])
                self.assertEqual([entry["queue_id"] for entry in entries], [os.path.basename(d) for d in self.drops(post)])
                self.assertEqual(entries[0]["sender"], SENDER)
                self.assertEqual([one["address"] for one in entries[0]["recipients"]], ["one@example.com", "other@example.com"])
                self.assertLess(abs(entries[0]["arrival_time"] - time.time()), 60)
                self.assertGreater(entries[0]["message_size"], 10)
                if os.geteuid():
                    return
                self.assertRegex(entries[1]["recipients"][0]["delay_reason"], "Permission denied")
            listed()
            table = post.tool("mailq").stdout
            self.assertRegex(table, r"(?m)^%s +\d+ .* %s$" % (re.escape(os.path.basename(self.drops(post)[0])), SENDER))
            self.assertIn("in 2 Requests", table)
            post.tool("posthouse", "abort")
            self.wait_until(lambda: not post.pids("qmgr"), "the queue manager is gone")
            self.resume(pickup)
            listed()

    @staticmethod
    def resume(pid):
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    @staticmethod
    def drops(post):
        folder = os.path.join(post.spool, "maildrop")
        return sorted(os.path.join(folder, name) for name in os.listdir(folder))

    def test_a_message_with_very_many_recipients_is_listed_and_holds_up_no_other_mail(self):
        count = 60000  # a listing in one piece would be more than a frame may have
        names = ["%05d-%s" % (number, "x" * 150) for number in range(count)]
        with harness.SinkServer(refuse({"-x": "450 4.2.0 later"})) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port, SLOW + "message_size_limit = 30000000\n"
                                                         "default_transport = retry:4.2.1 not now\n"
                                                         "transport_maps = inline:{{ {{near.example = smtp:[127.0.0.1]:%d}} }}\n" % sink.port)) as post:
                text = "From: %s\nSubject: many\nTo: %s\n\nHello.\n" % (SENDER, ",\n ".join(
                    name + "@far.example" for name in names))
                post.tool("sendmail", "-f", SENDER, "-t", input=text, seconds=120)
                times = []
                while not any(entry["queue_name"] == "deferred" for entry in post.queue()):
                    began = time.monotonic()
                    post.send(SENDER, ["friend%d@near.example" % len(times)], "Hello.")
                    self.wait_until(lambda: len(sink.messages) > len(times), "delivery beside the large message", 20)
                    times.append(time.monotonic() - began)
                    self.assertLess(len(times), 600)
                if os.environ.get("POSTHOUSE_TIMES"):
                    print("small messages beside it: %d, longest %.2f s" % (len(times), max(times, default=0)))
                entry, = post.wait_queue(1)
                self.assertEqual([one["address"] for one in entry["recipients"]], [n + "@far.example" for n in names])
                self.assertEqual({one["delay_reason"] for one in entry["recipients"]}, {"not now"})
                table = post.tool("mailq").stdout
                self.assertEqual(table.count("@far.example"), count)
                self.assertEqual(table.count("(not now)"), 1)
                self.assertEqual(table.count("Requests"), 0)

    def test_only_users_that_are_listed_may_look_at_the_queue_or_flush_it(self):
        main_cf = "authorized_mailq_users = !daemon, static:all\nauthorized_flush_users = bin\n"
        with harness.Instance(self, main_cf=main_cf) as post:
            self.assertEqual(post.tool("mailq").returncode, 0)  # the mail owner always may
            self.assertEqual(post.tool("postqueue", "-f").returncode, 0)
            if os.geteuid() != 0:
                self.skipTest("needs root to be somebody else")
            os.chmod(os.path.join(post.spool, "public", "qmgr"), 0o666)
            for path in (post.spool, os.path.join(post.spool, "public")):
                os.chmod(path, 0o755)

            def as_user(name, *command):
                user = pwd.getpwnam(name)
                return subprocess.run([os.path.join(post.programs, "commands", command[0]), *command[1:]], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, cwd="/",
                                      env=dict(os.environ, MAIL_CONFIG=post.etc), user=user.pw_uid, group=user.pw_gid,
                                      extra_groups=[])
            for command in (["postqueue", "-p"], ["postqueue", "-j"], ["mailq"]):
                done = as_user("daemon", *command)
                self.assertEqual(done.returncode, 77, done.stderr)
                self.assertRegex(done.stderr, r"fatal: User daemon\(\d+\) is not allowed to view the mail queue")
            self.assertEqual(as_user("bin", "mailq").returncode, 0)
            self.assertEqual(as_user("bin", "postqueue", "-f").returncode, 0)
            done = as_user("daemon", "postqueue", "-f")
            self.assertEqual(done.returncode, 77, done.stderr)
            self.assertRegex(done.stderr, r"User daemon\(\d+\) is not allowed to flush the mail queue")

    def test_mailq_leaves_the_work_to_postqueue_which_alone_is_set_gid(self):
        with harness.Instance(self) as post:
            commands = os.path.join(post.folder, "sbin")
            os.mkdir(commands)
            with open(os.path.join(commands, "postqueue"), "w") as script:
                script.write("#!/bin/sh\necho \"$@ $MAIL_CONFIG\"\nexit 3\n")
            os.chmod(script.name, 0o755)
            with open(post.main_cf_path, "a") as main:
                main.write("command_directory = %s\n" % commands)
            done = post.tool("mailq", "-v", check=False)
            self.assertEqual((done.stdout, done.returncode), ("-p %s\n" % post.etc, 3), done.stderr)

    def test_who_may_not_ask_the_queue_manager_is_not_told_that_it_is_down(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to be somebody else")
        with harness.Instance(self) as post:
            os.chmod(os.path.join(post.spool, "public"), 0o700)
            user = pwd.getpwnam("daemon")
            done = subprocess.run([os.path.join(post.programs, "commands", "postqueue"), "-p"], text=True, cwd="/",
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, user=user.pw_uid,
                                  env=dict(os.environ, MAIL_CONFIG=post.etc), group=user.pw_gid, extra_groups=[])
            self.assertEqual(done.returncode, 77, done.stderr)
            self.assertIn("no right to ask the queue manager", done.stderr)
            self.assertNotIn("down", done.stderr)

    def test_an_empty_queue_is_said_so(self):
        with harness.Instance(self) as post:
            self.assertEqual(post.tool("mailq").stdout, "Mail queue is empty\n")
            self.assertEqual(post.tool("postqueue", "-p").stdout, "Mail queue is empty\n")
            self.assertEqual(post.tool("postqueue", "-j").stdout, "")

    def test_the_queue_is_shown_while_the_mail_system_is_down(self):
        with harness.Instance(self, main_cf=relay_to(harness.free_port(), SLOW)) as post:
            queue_id = post.send_id(SENDER, ["friend@far.example"], "Hello.")
            post.wait_log(r"status=deferred")
            post.stop()
            shown = post.tool("postqueue", "-p")
            self.assertIn(queue_id, shown.stdout)
            self.assertIn("Mail system is down", shown.stderr)
            self.assertEqual(post.tool("postqueue", "-f", check=False).returncode, 69)

    def test_wrong_command_lines_end_with_64(self):
        with harness.Instance(self) as post:
            for arguments in ([], ["-x"], ["-p", "-f"], ["-p", "extra"]):
                self.assertEqual(post.tool("postqueue", *arguments, check=False).returncode, 64, arguments)
            self.assertIn("usage", post.tool("postqueue", "--help").stdout)

    def test_35_flush_tries_everything_now_even_where_nothing_got_through(self):
        busy = {"yes": True}
        with harness.SinkServer(lambda verb, argument: "421 4.3.2 closed" if verb == "CONNECT" and busy["yes"] else None) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port, SLOW + "initial_destination_concurrency = 1\n")) as post:
                for number in range(3):
                    post.send(SENDER, ["friend%d@far.example" % number], "Hello.")
                self.wait_until(lambda: len([e for e in post.queue() if e["queue_name"] == "deferred"]) == 3, "deferrals")
                post.wait_log(r"delivery temporarily suspended")
                busy["yes"] = False
                post.tool("postqueue", "-f")
                self.wait_until(lambda: len(sink.messages) == 3, "delivery after the flush")
                post.wait_queue(0)

    def test_flush_of_one_message_or_one_site_leaves_the_others(self):
        with harness.SinkServer(refuse({"@": "450 4.2.0 later"})) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port, SLOW)) as post:
                ids = [post.send_id(SENDER, ["a@%s.example" % site], "Hello.") for site in ("one", "two", "three")]
                self.wait_until(lambda: len([e for e in post.queue() if e["queue_name"] == "deferred"]) == 3, "deferrals")
                sink.answer = None
                post.tool("postqueue", "-i", ids[0])
                post.wait_queue(2)
                post.tool("postqueue", "-s", "two.example")
                self.assertEqual([e["queue_id"] for e in post.wait_queue(1)], [ids[2]])
                self.assertEqual(post.tool("postqueue", "-i", "nonsense", check=False).returncode, 64)

    def test_defer_transports_keeps_mail_until_a_flush(self):
        with harness.SinkServer() as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port, SLOW + "defer_transports = smtp\n")) as post:
                post.send(SENDER, ["friend@far.example"], "Hello.")
                post.wait_log(r"dsn=4.3.2, status=deferred \(deferred transport\)")
                post.tool("postqueue", "-f")
                self.wait_until(lambda: sink.messages, "delivery after the flush")

    def test_a_restart_keeps_what_waits_and_its_reasons(self):
        with harness.Instance(self, main_cf=relay_to(harness.free_port(), SLOW)) as post:
            post.send(SENDER, ["friend@far.example"], "Hello.")
            before = self.wait_until(lambda: [e for e in post.queue() if e["queue_name"] == "deferred"], "deferral")
            post.stop()
            post.start()
            self.assertEqual(self.wait_until(post.queue, "queue after restart"), before)

    def test_whoever_opens_a_queue_file_does_not_end_the_one_who_leases_it(self):
        # A lease that is broken is told by SIGIO, which ends a process that does not care for it.
        with harness.Instance(self) as post:
            pids = {name: post.pids(name) for name in ("qmgr", "smtpd")}
            for program in pids:
                post.kill(program, signal.SIGIO)
            post.send("you@example.org", ["friend@example.com"], "Still there.")
            post.wait_mail("friend")
            self.assertEqual({name: post.pids(name) for name in pids}, pids)

    def test_the_death_of_qmgr_loses_nothing(self):
        with harness.SinkServer(refuse({"@": "450 4.2.0 later"})) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                for number in range(10):
                    post.send(SENDER, ["friend%d@far.example" % number], "Number %d." % number)
                    if number == 5:
                        self.assertEqual(post.kill("qmgr"), 1)
                sink.answer = None
                # What smtpd has taken meanwhile is in the queue when the new queue manager has heard of it.
                self.wait_until(lambda: len(sink.messages) >= 10, "delivery of all")
                post.wait_queue(0)
                self.assertEqual(recipients(sink), ["friend%d@far.example" % n for n in range(10)])


class Holding(harness.TestCase):
    def test_held_mail_is_marked_and_waits_for_release(self):
        with harness.SinkServer(refuse({"@": "450 4.2.0 later"})) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port, SLOW)) as post:
                queue_id = post.send_id(SENDER, ["friend@far.example"], "Hello.")
                self.wait_until(lambda: [e for e in post.queue() if e["queue_name"] == "deferred"], "deferral")
                post.tool("postsuper", "-h", queue_id)
                self.assertEqual(post.queue()[0]["queue_name"], "hold")
                self.assertRegex(post.tool("mailq").stdout, r"(?m)^%s! " % queue_id)
                sink.answer = None
                post.tool("postqueue", "-f")
                time.sleep(0.3)
                self.assertEqual(sink.messages, [])
                post.tool("postsuper", "-H", queue_id)
                self.wait_until(lambda: sink.messages, "delivery after release")
                post.wait_queue(0)

    def test_deleted_mail_is_gone_and_nobody_is_told(self):
        with harness.Instance(self, main_cf=relay_to(harness.free_port(), SLOW)) as post:
            for number in range(3):
                post.send(SENDER, ["friend%d@far.example" % number], "Hello.")
            self.wait_until(lambda: len([e for e in post.queue() if e["queue_name"] == "deferred"]) == 3, "deferrals")
            post.tool("postsuper", "-d", post.queue()[0]["queue_id"])
            post.wait_queue(2)
            post.tool("postsuper", "-d", "ALL")
            post.wait_queue(0)
            self.assertEqual(post.mail("sender"), [])

    def test_expired_mail_goes_back_to_its_sender(self):
        with harness.Instance(self, main_cf=relay_to(harness.free_port(), SLOW)) as post:
            queue_id = post.send_id(SENDER, ["friend@far.example"], "Hello.")
            self.wait_until(lambda: [e for e in post.queue() if e["queue_name"] == "deferred"], "deferral")
            post.tool("postsuper", "-e", queue_id)
            self.assertIn("Connection refused", post.wait_mail("sender")[0])
            post.wait_log(r"%s: from=<%s>, status=force-expired, returned to sender" % (queue_id, SENDER))

    def test_requeued_mail_has_a_new_id(self):
        with harness.SinkServer(refuse({"@": "450 4.2.0 later"})) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port, SLOW)) as post:
                queue_id = post.send_id(SENDER, ["friend@far.example"], "Hello.")
                self.wait_until(lambda: [e for e in post.queue() if e["queue_name"] == "deferred"], "deferral")
                sink.answer = None
                post.tool("postsuper", "-r", queue_id)
                self.wait_until(lambda: sink.messages, "delivery after requeue")
                self.assertEqual(sink.messages[0][2].count("Hello."), 1)
                post.wait_queue(0)


class Bouncing(harness.TestCase):
    def bounce(self, post, user="sender"):
        return email.message_from_string(post.wait_mail(user)[0])

    def test_30_only_what_failed_is_in_the_bounce_and_only_what_was_deferred_is_tried_again(self):
        answer = refuse({"later@": "450 4.2.0 try later", "never@": "550 5.1.1 no such user"})
        with harness.SinkServer(answer) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                post.send(SENDER, ["now@far.example", "later@far.example", "never@far.example"], "Hello.")
                bounce = self.bounce(post)
                self.assertIn("never@far.example", str(bounce))
                self.assertNotIn("Final-Recipient: rfc822; now@far.example", str(bounce))
                self.assertNotIn("Final-Recipient: rfc822; later@far.example", str(bounce))
                sink.answer = None
                post.wait_queue(0)
                self.assertEqual(recipients(sink), ["later@far.example", "now@far.example"])
                self.assertEqual(len(post.mail("sender")), 1)

    def test_32_a_bounce_has_three_parts_that_say_what_happened(self):
        with harness.SinkServer(refuse({"never@": "550 5.1.1 no such user"})) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                post.send(SENDER, ["never@far.example"], "The original text.")
                bounce = self.bounce(post)
                self.assertEqual(bounce.get_content_type(), "multipart/report")
                self.assertEqual(bounce.get_param("report-type"), "delivery-status")
                self.assertEqual(bounce["Auto-Submitted"], "auto-replied")
                self.assertEqual(bounce["Return-Path"], "<>")
                text, status, original = bounce.get_payload()
                self.assertIn("no such user", str(text))
                self.assertEqual(status.get_content_type(), "message/delivery-status")
                fields = str(status)
                for field in ("Reporting-MTA: dns; post.test.example", "Final-Recipient: rfc822; never@far.example",
                              "Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 5.1.1 no such user"):
                    self.assertIn(field, fields)
                self.assertIn("The original text.", str(original))

    def test_29_a_bounce_never_bounces(self):
        with harness.SinkServer(refuse({"@": "550 5.1.1 no such user"})) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                post.send("forged@far.example", ["never@far.example"], "Hello.")
                post.wait_log(r"to=<forged@far.example>.* status=bounced")
                post.wait_queue(0)
                self.assertEqual(len(re.findall(r"non-delivery notification", post.log())), 1)
                post.send("", ["never@far.example"], "Hello.")
                post.wait_log(r"from=<>.*(?s:.*)to=<never@far.example>")
                post.wait_queue(0)
                self.assertEqual(len(re.findall(r"non-delivery notification", post.log())), 1)

    def test_29_the_postmaster_hears_of_a_double_bounce_on_request(self):
        settings = "notify_classes = 2bounce\n2bounce_notice_recipient = chief@example.com\n"
        with harness.SinkServer(refuse({"@": "550 5.1.1 no such user"})) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port, settings)) as post:
                post.send("", ["never@far.example"], "Hello.")
                self.assertIn("never@far.example", post.wait_mail("chief")[0])
                post.wait_queue(0)

    def test_34_mail_older_than_its_lifetime_goes_back(self):
        with harness.Instance(self, main_cf=relay_to(harness.free_port(), "maximal_queue_lifetime = 0\n")) as post:
            queue_id = post.send_id(SENDER, ["friend@far.example"], "Hello.")
            bounce = self.bounce(post)
            self.assertIn("Connection refused", str(bounce))
            self.assertIn("Action: failed", str(bounce))
            post.wait_log(r"%s: from=<%s>, status=expired, returned to sender" % (queue_id, SENDER))
            post.wait_log(r"%s: sender non-delivery notification: \w+" % queue_id)
            post.wait_log(r"%s: removed" % queue_id)

    def test_34_bounces_have_a_lifetime_of_their_own(self):
        with harness.Instance(self, main_cf=relay_to(harness.free_port(), "bounce_queue_lifetime = 0\n")) as post:
            bounce_id = post.send_id("", ["friend@far.example"], "Hello.")
            mail_id = post.send_id(SENDER, ["friend@far.example"], "Hello.")
            post.wait_log(r"%s: from=<>, status=expired, returned to sender" % bounce_id)
            self.assertEqual([e["queue_id"] for e in post.wait_queue(1)], [mail_id])

    def test_34_one_delay_warning_for_each_message(self):
        with harness.Instance(self, main_cf=relay_to(harness.free_port(), "delay_warning_time = 1s\nmaximal_backoff_time = 1s\n")) as post:
            queue_id = post.send_id(SENDER, ["friend@far.example"], "Hello.")
            warning = self.bounce(post)
            self.assertIn("Action: delayed", str(warning))
            self.assertIn("Will-Retry-Until:", str(warning))
            post.wait_log(r"%s: sender delay notification: \w+" % queue_id)
            tries = len(re.findall(r"%s: to=" % queue_id, post.log()))
            self.wait_until(lambda: len(re.findall(r"%s: to=" % queue_id, post.log())) >= tries + 2, "two more attempts")
            self.assertEqual(len(post.mail("sender")), 1)
            self.assertEqual(post.queue()[0]["queue_id"], queue_id)

    def test_33_notify_never_silences_a_failure(self):
        with harness.SinkServer(refuse({"@": "550 5.1.1 no such user"})) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                queue_id = post.send_id(SENDER, ["never@far.example"], "Hello.", rcpt_options=["NOTIFY=NEVER"])
                post.wait_log(r"%s: removed" % queue_id)
                self.assertNotIn("notification", post.log())

    def test_33_notify_success_is_reported_when_the_mail_is_delivered_here(self):
        with harness.Instance(self) as post:
            queue_id = post.send_id(SENDER, ["friend@example.com"], "Hello.", rcpt_options=["NOTIFY=SUCCESS"])
            report = self.bounce(post)
            self.assertIn("Action: delivered", str(report))
            post.wait_log(r"%s: sender delivery status notification: \w+" % queue_id)

    def test_33_notify_success_of_a_recipient_outlives_the_queue_manager_that_has_others_of_the_message_in_hand(self):
        asked, answered = threading.Event(), threading.Event()

        def wait(verb, _):
            if verb != "RCPT":
                return None
            asked.set()
            answered.wait(30)
            return "451 4.2.0 later"
        with harness.SinkServer(wait) as sink:
            self.addCleanup(answered.set)
            with harness.Instance(self, main_cf=relay_to(sink.port, SLOW)) as post:
                queue_id = post.send_id(SENDER, ["friend@example.com", "slow@far.example"], "Hello.",
                                        rcpt_options=["NOTIFY=SUCCESS"])
                post.wait_log(r"%s: to=<friend@example.com>.* status=sent " % queue_id)
                self.assertTrue(asked.wait(20))
                time.sleep(0.2)  # what qmgr has begun is done
                self.assertEqual(post.mail("sender"), [])
                post.kill("qmgr")
                answered.set()
                report = str(self.bounce(post))
                self.assertIn("Final-Recipient: rfc822; friend@example.com", report)
                self.assertIn("Action: delivered", report)
                post.tool("postqueue", "-f")
                post.wait_log(r"(?s)(%s: to=<slow@far.example>.*){2}" % queue_id)
                self.assertEqual(len(post.mail("sender")), 1)

    def test_33_notify_success_for_a_virtual_alias_of_several_is_reported_once_as_expanded(self):
        alias = "virtual_alias_maps = inline:{{ {{ team@example.com = one@example.com, two@example.com }} }}\n"
        with harness.Instance(self, main_cf=alias) as post:
            post.send(SENDER, ["team@example.com"], "Hello.", rcpt_options=["NOTIFY=SUCCESS"])
            report = str(self.bounce(post))
            self.assertIn("Final-Recipient: rfc822; team@example.com", report)
            self.assertIn("Action: expanded", report)
            post.wait_mail("one")
            post.wait_mail("two")
            post.wait_queue(0)
            self.assertEqual(len(post.mail("sender")), 1)

    def test_33_notify_success_is_reported_as_relayed_where_the_next_host_knows_no_dsn(self):
        plain = lambda verb, argument: "250-sink.test.example\r\n250 PIPELINING" if verb == "EHLO" else None
        with harness.SinkServer(plain) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                post.send(SENDER, ["friend@far.example"], "Hello.", rcpt_options=["NOTIFY=SUCCESS"])
                self.assertIn("Action: relayed", str(self.bounce(post)))
                self.assertNotIn("NOTIFY", " ".join(sink.commands))

    def test_33_a_next_host_that_knows_dsn_takes_the_wish_over(self):
        with harness.SinkServer() as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                queue_id = post.send_id(SENDER, ["friend@far.example"], "Hello.", rcpt_options=["NOTIFY=SUCCESS"])
                post.wait_log(r"%s: removed" % queue_id)
                self.assertIn("NOTIFY=SUCCESS", " ".join(sink.commands))
                self.assertEqual(post.mail("sender"), [])

    def test_a_probe_is_reported_and_delivers_nothing(self):
        with harness.SinkServer() as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                post.tool("sendmail", "-bv", "-f", SENDER, "friend@far.example", input="")
                self.assertIn("deliverable", post.wait_mail("sender")[0])
                self.assertEqual(sink.messages, [])

    def test_32_ret_hdrs_returns_only_the_headers(self):
        with harness.SinkServer(refuse({"@": "550 5.1.1 no such user"})) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                post.send(SENDER, ["never@far.example"], "The body.", subject="seen", mail_options=["RET=HDRS"])
                bounce = str(self.bounce(post))
                self.assertIn("Subject: seen", bounce)
                self.assertNotIn("The body.", bounce)

    def test_soft_bounce_keeps_mail_that_was_refused(self):
        with harness.SinkServer(refuse({"@": "550 5.1.1 no such user"})) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port, "soft_bounce = yes\n")) as post:
                post.send(SENDER, ["never@far.example"], "Hello.")
                self.wait_until(lambda: [e for e in post.queue() if e["queue_name"] == "deferred"], "deferral")
                self.assertEqual(post.mail("sender"), [])
                post.wait_log(r"to=<never@far.example>.* dsn=5.1.1, status=SOFTBOUNCE ")


class Scheduling(harness.TestCase):
    def test_a_delivery_agent_that_is_killed_is_replaced_and_its_mail_tried_again(self):
        hold = {"yes": True}

        def answer(verb, argument):
            while verb == "DATA" and hold["yes"]:
                time.sleep(0.02)

        with harness.SinkServer(answer) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                post.send(SENDER, ["friend@far.example"], "Hello.")
                self.wait_until(lambda: "DATA" in sink.commands, "a delivery under way")
                self.assertGreaterEqual(post.kill("smtp"), 1)
                hold["yes"] = False
                self.wait_until(lambda: sink.messages, "delivery by another agent")
                post.wait_queue(0)
                self.assertEqual(post.mail("sender"), [])

    def test_53_refused_recipients_do_not_close_a_destination(self):
        with harness.SinkServer(refuse({"never": "550 5.1.1 no such user"})) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port, "initial_destination_concurrency = 1\n")) as post:
                for number in range(5):
                    post.send("", ["never%d@far.example" % number], "Hello.")
                post.send(SENDER, ["friend@far.example"], "Hello.")
                self.wait_until(lambda: sink.messages, "delivery")
                self.assertNotIn("suspended", post.log())

    def test_a_slow_destination_does_not_delay_others(self):
        release = {"yes": False}

        def answer(verb, argument):
            while verb == "MAIL" and not release["yes"]:
                time.sleep(0.02)

        with harness.SinkServer(answer) as slow, harness.SinkServer() as fast:
            routes = "transport_maps = inline:{{ {{ slow.example = smtp:[127.0.0.1]:%d }} {{ fast.example = smtp:[127.0.0.1]:%d }} }}\n"
            with harness.Instance(self, main_cf=routes % (slow.port, fast.port)) as post:
                for number in range(40):
                    post.send(SENDER, ["a%d@slow.example" % number], "Hello.")
                post.send(SENDER, ["b@fast.example"], "Hello.")
                self.wait_until(lambda: fast.messages, "the fast destination's mail", 5)
                self.assertEqual(slow.messages, [])
                release["yes"] = True
                self.wait_until(lambda: len(slow.messages) == 40, "the slow destination's mail")

    def test_one_delivery_takes_as_many_recipients_as_the_limit_says(self):
        with harness.SinkServer() as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port, "smtp_destination_recipient_limit = 4\n")) as post:
                post.send(SENDER, ["r%d@far.example" % n for n in range(10)], "Hello.")
                self.wait_until(lambda: sum(len(m[1]) for m in sink.messages) == 10, "all recipients")
                self.assertEqual(sorted(len(m[1]) for m in sink.messages), [2, 4, 4])

    def test_57_each_recipient_has_its_line_with_everything_that_analysers_read(self):
        with harness.SinkServer() as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                queue_id = post.send_id(SENDER, ["friend@far.example"], "Hello.")
                post.wait_log(r"posthouse/qmgr\[\d+\]: %s: from=<%s>, size=\d+, nrcpt=1 \(queue active\)$" % (queue_id, SENDER))
                post.wait_log(r"posthouse/smtp\[\d+\]: %s: to=<friend@far.example>, relay=127.0.0.1\[127.0.0.1\]:%d, delay=[\d.]+, "
                              r"delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, dsn=2.0.0, status=sent \(250 " % (queue_id, sink.port))
                post.wait_log(r"posthouse/qmgr\[\d+\]: %s: removed$" % queue_id)

    def test_reload_keeps_deliveries_that_run(self):
        hold = {"yes": True}

        def answer(verb, argument):
            while verb == "END" and hold["yes"]:
                time.sleep(0.02)

        with harness.SinkServer(answer) as sink:
            with harness.Instance(self, main_cf=relay_to(sink.port)) as post:
                post.send(SENDER, ["friend@far.example"], "First.")
                self.wait_until(lambda: "DATA" in sink.commands, "a delivery under way")
                post.reload()
                time.sleep(0.5)
                hold["yes"] = False
                post.send(SENDER, ["friend@far.example"], "Second.")
                self.wait_until(lambda: len(sink.messages) >= 2, "both messages")
                post.wait_queue(0)
                self.assertEqual(len([m for m in sink.messages if "First." in m[2]]), 1)


if __name__ == "__main__":
    harness.main()
