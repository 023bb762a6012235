#!/usr/bin/env python3
"""Milters that are scripts: each event, each reply, each change, and whatever a broken filter may do."""
import re
import smtplib
import struct
import time

import harness
import milter_peer
from milter_peer import Milter, add_header, change_header, insert_header, reply_code, text


class MilterCase(harness.TestCase):
    def milter(self, answer=None, **options):
        milter = Milter(answer, **options)
        self.addCleanup(milter.close)
        return milter

    def instance(self, *milters, main_cf="", **options):
        addresses = ", ".join(m if isinstance(m, str) else m.address for m in milters)
        text = "smtpd_milters = %s\nmilter_connect_timeout = 5s\nmilter_command_timeout = 5s\n" \
               "milter_content_timeout = 5s\n%s" % (addresses, main_cf)
        post = harness.Instance(self, main_cf=text.replace("{", "{{").replace("}", "}}"), **options)
        post.answers = lambda port: True  # to ask it would be a session more, and some greet nobody
        return post

    def at(self, stage, *replies):
        """An answer function that says something at one command."""
        return lambda peer, command, data: list(replies) if command == stage else None

    def outcome(self, post, sender="you@example.org"):
        """The first reply that is no success, or the one to the message."""
        with smtplib.SMTP(timeout=30) as client:
            client.connect("127.0.0.1", post.port)  # whatever the greeting
            client.ehlo("c.example")
            got = client.mail(sender)
            if got[0] == 250:
                got = client.rcpt("friend@example.com")
            if got[0] == 250:
                try:
                    got = client.data("Subject: test\r\n\r\nHello.\r\n")
                except smtplib.SMTPDataError as error:
                    got = (error.smtp_code, error.smtp_error)
            return got[0], "" if got[0] == 250 else got[1].decode()


class Events(MilterCase):
    def test_a_milter_sees_each_event_of_a_session_with_its_macros(self):
        milter = self.milter()
        with self.instance(milter) as post:
            identity = post.send_id("you@example.org", ["friend@example.com"], "Hello.",
                                    mail_options=["SIZE=100"], rcpt_options=["NOTIFY=NEVER"])
            self.wait_until(lambda: milter.commands().endswith("Q"), "QUIT")
            self.assertEqual(re.sub("L+", "L", milter.commands()), "OCHMRTLNBEQ")
            self.assertEqual(milter.data("C")[0].split(b"\0")[0], b"[127.0.0.1]")
            self.assertTrue(milter.data("C")[0].endswith(b"127.0.0.1\0"))
            self.assertEqual(milter.data("H"), [b"client.test.example\0"])
            self.assertEqual(milter.data("M"), [b"<you@example.org>\0SIZE=100\0"])
            self.assertEqual(milter.data("R"), [b"<friend@example.com>\0NOTIFY=NEVER\0"])
            self.assertEqual(milter.body(), b"Hello.\r\n")
            connect = milter.macros("C")
            self.assertEqual(connect["j"], "post.test.example")
            self.assertEqual(connect["{daemon_name}"], "post.test.example")
            self.assertEqual(connect["{daemon_addr}"], "127.0.0.1")
            self.assertEqual(connect["_"], "unknown [127.0.0.1]")
            self.assertTrue(connect["v"].startswith("Posthouse"), connect)
            self.assertEqual(milter.macros("M")["{mail_addr}"], "you@example.org")
            self.assertEqual(milter.macros("R"), {"{rcpt_addr}": "friend@example.com", "{rcpt_host}": "example.com",
                                                  "{rcpt_mailer}": "virtual"})
            for stage in "TNE":
                self.assertEqual(milter.macros(stage), {"i": identity})

    def test_our_own_received_field_is_hidden_and_the_others_are_shown_in_order(self):
        milter = self.milter()
        with self.instance(milter) as post:
            with post.smtp() as client:
                client.sendmail("you@example.org", ["friend@example.com"],
                                "Received: from elsewhere\r\n\tby there; today\r\nSubject:  two blanks\r\nX-Tight:none\r\n\r\nHi\r\n")
            self.assertEqual(milter.headers()[:3], [("Received", "from elsewhere\n\tby there; today"),
                                                ("Subject", " two blanks"), ("X-Tight", "none")])

    def test_header_values_keep_their_blank_for_a_milter_that_asks_for_it(self):
        milter = self.milter(lambda peer, command, data: [add_header("X-Mine", "\ttab")] + [b"c"] if command == "E" else None,
                             steps=milter_peer.LEADING_SPACE)
        with self.instance(milter) as post:
            post.send("you@example.org", ["friend@example.com"], "Hello.", subject="one")
            self.assertIn(("Subject", " one"), milter.headers())
            self.assertIn("\nX-Mine:\ttab\n", post.wait_mail("friend")[0])

    def test_a_step_that_a_milter_does_not_want_is_not_sent(self):
        milter = self.milter(steps=milter_peer.NO_BODY | milter_peer.NO_HEADERS | milter_peer.NO_END_OF_HEADER | 0x307)
        with self.instance(milter) as post:
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            self.wait_until(lambda: milter.commands().endswith("Q"), "QUIT")
            self.assertEqual(milter.commands(), "OREQ")

    def test_no_reply_is_waited_for_where_a_milter_gives_none(self):
        def answer(peer, command, data):
            return [] if command in "CHMRTULNB" else None
        milter = self.milter(answer, steps=milter_peer.NO_REPLY_ALL)
        with self.instance(milter) as post:
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            self.wait_until(lambda: milter.commands().endswith("Q"), "QUIT")
            self.assertEqual(re.sub("L+", "L", milter.commands()), "OCHMRTLNBEQ")

    def test_the_rest_of_the_body_is_not_sent_once_a_milter_skips_it(self):
        milter = self.milter(self.at("B", b"s"), steps=milter_peer.MAY_SKIP)
        with self.instance(milter) as post:
            post.send("you@example.org", ["friend@example.com"], ("x" * 70 + "\r\n") * 5000)
            self.assertEqual(len(milter.data("B")), 1)
            self.assertEqual(post.wait_mail("friend")[0].count("x" * 70), 5000)

    def test_a_large_body_is_shown_whole_and_in_large_pieces(self):
        milter = self.milter()
        body = "".join("%07d %s\r\n" % (n, "x" * (n % 60)) for n in range(20000))
        with self.instance(milter) as post:
            post.send("you@example.org", ["friend@example.com"], body.rstrip())
            self.assertEqual(milter.body().decode(), body)
            self.assertEqual({len(data) for data in milter.data("B")[1:-1]}, {65535})

    def test_a_milter_may_name_the_macros_that_it_wants(self):
        symbols = struct.pack("!I", 5) + text("{client_addr} i {client_port}") + struct.pack("!I", 2) + text("{no_such}")
        milter = self.milter(symbols=symbols)
        with self.instance(milter) as post:
            identity = post.send_id("you@example.org", ["friend@example.com"], "Hello.")
            macros = milter.macros("E")
            self.assertEqual((macros["i"], macros["{client_addr}"]), (identity, "127.0.0.1"))
            self.assertIn("{client_port}", macros)
            self.assertEqual(milter.macros("M"), {})

    def test_a_macro_without_a_value_may_have_a_default(self):
        milter = self.milter()
        with self.instance(milter, main_cf="milter_macro_defaults = auth_type=none, { {mail_host} = nowhere }\n"
                           "milter_macro_daemon_name = ORIGINATING\nmilter_macro_v = us\n") as post:
            post.send("", ["friend@example.com"], "Hello.")
            self.assertEqual(milter.macros("M")["{auth_type}"], "none")
            self.assertEqual(milter.macros("M")["{mail_host}"], "nowhere")
            self.assertEqual((milter.macros("C")["{daemon_name}"], milter.macros("C")["v"]), ("ORIGINATING", "us"))

    def test_a_milter_of_an_old_version_is_not_told_what_it_does_not_know(self):
        milter = self.milter(version=2, actions=0x1f)
        with self.instance(milter, main_cf="milter_protocol = 2\n") as post:
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            self.wait_until(lambda: milter.commands().endswith("Q"), "QUIT")
            self.assertEqual(re.sub("L+", "L", milter.commands()), "OCHMRLNBEQ")
            self.assertEqual(milter.offers, [(2, 0x3f, 0x7f)])

    def test_an_unknown_command_is_shown(self):
        milter = self.milter(self.at("U", reply_code("550 5.7.9 not here")))
        with self.instance(milter) as post, post.smtp() as client:
            self.assertEqual(client.docmd("XYZZY", "now"), (550, b"5.7.9 not here"))
            self.assertEqual(milter.data("U"), [b"XYZZY now\0"])

    def test_a_mail_that_is_given_up_is_aborted_and_the_next_one_is_seen_whole(self):
        milter = self.milter()
        with self.instance(milter) as post:
            with post.smtp() as client:
                client.ehlo("a")
                client.mail("one@example.org")
                client.rset()
                client.sendmail("two@example.org", ["friend@example.com"], "\r\nHi\r\n")
                client.sendmail("three@example.org", ["friend@example.com"], "\r\nHi\r\n")
            self.wait_until(lambda: milter.commands().endswith("Q"), "QUIT")
            self.assertEqual(re.sub("L+", "", milter.commands()), "OCHMAMRTNBEMRTNBEQ")

    def test_refused_recipients_are_shown_to_who_wants_to_see_them(self):
        milter = self.milter(steps=milter_peer.REFUSED_RECIPIENTS)
        with self.instance(milter, main_cf="smtpd_recipient_restrictions = check_recipient_access "
                           "inline:{ bad@example.com=REJECT }\n") as post:
            with post.smtp() as client:
                client.ehlo("c.example")
                client.mail("you@example.org")
                self.assertEqual(client.rcpt("bad@example.com")[0], 554)
            self.assertEqual(milter.data("R"), [b"<bad@example.com>\0"])
            self.assertEqual(milter.macros("R")["{rcpt_mailer}"], "error")
            self.assertEqual(milter.macros("R")["{rcpt_host}"], "5.7.1")


class Changes(MilterCase):
    def deliver(self, *changes, text="Hello.", recipients=("friend@example.com",), final=b"c", **options):
        milter = self.milter(self.at("E", *changes, final))
        post = self.instance(milter, **options)
        self.addCleanup(lambda: post.__exit__(None))
        post.__enter__()
        post.send("you@example.org", list(recipients), text)
        return post

    def test_header_fields_are_added_inserted_changed_and_deleted(self):
        mail = self.deliver(add_header("X-Last", "l"), insert_header(0, "X-Top", "t"), insert_header(2, "X-Below", "b"),
                            change_header(1, "Subject", "changed"), change_header(1, "Date", ""),
                            change_header(1, "X-New", "n\n\tfolded")).wait_mail("friend")[0]
        header = mail[:mail.index("\n\n") + 1]
        fields = re.findall(r"^([\w-]+):", header, re.M)
        ours = fields[fields.index("X-Top"):]
        self.assertEqual(ours, ["X-Top", "Received", "X-Below", "From", "To", "Subject", "Message-Id", "X-Last", "X-New"])
        self.assertIn("\nSubject: changed\n", mail)
        self.assertIn("\nX-New: n\n\tfolded\n", mail)
        self.assertTrue(mail.endswith("\n\nHello.\n"), mail)

    def test_a_field_cannot_smuggle_another_one_in(self):
        mail = self.deliver(add_header("X-A", "a\nX-Evil: b\n\nbody")).wait_mail("friend")[0]
        self.assertNotIn("\nX-Evil", mail)
        self.assertTrue(mail.endswith("\n\nHello.\n"), mail)

    def test_the_body_is_replaced_by_pieces_with_whatever_line_ends(self):
        mail = self.deliver(b"bone\ntwo\r", b"b\nthree\r\n.dot", b"b and no end").wait_mail("friend")[0]
        self.assertTrue(mail.endswith("\n\none\ntwo\nthree\n.dot and no end\n"), mail)

    def test_a_large_message_keeps_every_byte_of_its_body_when_its_header_changes(self):
        body = "".join("%07d %s\r\n" % (n, "x" * (n % 60)) for n in range(20000))
        post = self.deliver(insert_header(0, "X-Top", "t" * 3000), add_header("X-Last", "l"), text=body)
        mail = post.wait_mail("friend")[0]
        self.assertEqual(mail[mail.index("\n\n") + 2:].rstrip("\n"), body.replace("\r\n", "\n").rstrip("\n"))
        self.assertIn("\nX-Last: l\n", mail)

    def test_a_large_body_is_replaced_by_a_larger_and_by_a_small_one(self):
        large = [b"b" + (b"%06d " % n + b"y" * 60000 + b"\r\n") for n in range(30)]
        post = self.deliver(*large, text="x" * 70 + "\r\n" + "z\r\n" * 100000)
        mail = post.wait_mail("friend")[0]
        self.assertEqual(mail[mail.index("\n\n"):].count("y"), 30 * 60000)
        self.assertNotIn("z", mail[mail.index("\n\n"):])
        post = self.deliver(b"bsmall\r\n", text="z\r\n" * 100000)
        self.assertTrue(post.wait_mail("friend")[0].endswith("\n\nsmall\n"))

    def test_sender_and_recipients_are_changed(self):
        post = self.deliver(b"e" + text("<other@example.org>"), b"+" + text("<extra@example.com>"),
                            b"2" + text("<quiet@example.com>", "NOTIFY=NEVER"), b"-" + text("<gone@example.com>"),
                            recipients=("friend@example.com", "gone@example.com"))
        for user in ("friend", "extra", "quiet"):
            self.assertIn("Return-Path: <other@example.org>", post.wait_mail(user)[0])
        post.wait_queue(0)
        self.assertEqual(post.mail("gone"), [])

    def test_added_recipients_are_expanded_like_any_other(self):
        post = self.deliver(b"+" + text("<team@example.com>"),
                            main_cf="virtual_alias_maps = inline:{ { team@example.com = a@example.com, b@example.com } }\n")
        for user in ("friend", "a", "b"):
            post.wait_mail(user)

    def test_a_message_without_recipients_left_is_discarded(self):
        post = self.deliver(b"-" + text("<friend@example.com>"))
        post.wait_log(r"milter-discard: END-OF-MESSAGE")
        post.wait_queue(0)
        self.assertEqual(post.mail("friend"), [])

    def test_a_quarantined_message_waits_in_the_hold_queue(self):
        post = self.deliver(b"q" + text("looks odd"), add_header("X-Held", "yes"))
        self.assertEqual(post.wait_queue(1)[0]["queue_name"], "hold")
        post.wait_log(r"milter-hold: END-OF-MESSAGE from unknown\[127\.0\.0\.1\]: milter triggers HOLD action: looks odd; "
                      r"from=<you@example.org> to=<friend@example.com> proto=ESMTP helo=<client.test.example>")
        post.tool("postsuper", "-c", post.etc, "-H", "ALL")
        self.assertIn("X-Held: yes", post.wait_mail("friend")[0])

    def test_several_milters_see_what_those_before_them_have_made(self):
        first = self.milter(self.at("E", add_header("X-First", "1"), b"bchanged\r\n", change_header(1, "Subject", ""), b"c"))
        second = self.milter(self.at("E", change_header(1, "X-First", "2"), b"c"))
        with self.instance(first, second) as post:
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            self.assertEqual(second.body(), b"changed\r\n")
            self.assertIn(("X-First", "1"), second.headers())
            self.assertNotIn("Subject", dict(second.headers()))
            mail = post.wait_mail("friend")[0]
            self.assertIn("\nX-First: 2\n", mail)
            self.assertTrue(mail.endswith("\n\nchanged\n"), mail)

    def test_a_message_that_is_accepted_early_is_taken_as_it_is(self):
        milter = self.milter()
        with self.instance(milter) as post:
            for number, stage in enumerate("CHMRTLNB"):
                with self.subTest(stage=stage):
                    milter.answer = self.at(stage, b"a")
                    post.send("you@example.org", ["friend@example.com"], "Hello.")
                    post.wait_mail("friend", number + 1)
                    self.assertNotIn("E", milter.commands())


class Refusals(MilterCase):
    def test_a_refusal_is_the_reply_and_a_line_in_the_log(self):
        milter = self.milter()
        with self.instance(milter, main_cf="smtpd_soft_error_limit = 1000\n") as post:
            for stage, where in (("M", "MAIL"), ("R", "RCPT"), ("T", "DATA"), ("L", "END-OF-MESSAGE"), ("E", "END-OF-MESSAGE")):
                for reply, code, words in ((b"r", 550, "5.7.1 Command rejected"),
                                           (b"t", 451, "4.7.1 Service unavailable - try again later"),
                                           (reply_code("554 5.7.7 no"), 554, "5.7.7 no")):
                    with self.subTest(stage=stage, reply=reply):
                        milter.answer = self.at(stage, reply)
                        sender = "%s%d@example.org" % (stage, code)
                        self.assertEqual(self.outcome(post, sender), (code, words))
                        shown = words if where == "END-OF-MESSAGE" else "%d %s" % (code, words)
                        line = post.wait_log(r"(\w+): milter-reject: %s from unknown\[127.0.0.1\]: %s; from=<%s>"
                                             % (where, re.escape(shown), sender))
                        self.assertEqual(line[1] == "NOQUEUE", stage in "MR")
            self.assertEqual(post.wait_queue(0), [])
            self.assertEqual(post.mail("friend"), [])

    def test_one_recipient_is_refused_and_the_others_get_the_mail(self):
        milter = self.milter(lambda peer, command, data: [b"r"] if command == "R" and b"bad" in data else None)
        with self.instance(milter) as post:
            with post.smtp() as client:
                refused = client.sendmail("you@example.org", ["bad@example.com", "friend@example.com"], "\r\nHi\r\n")
            self.assertEqual(list(refused), ["bad@example.com"])
            post.wait_mail("friend")

    def test_a_client_that_is_refused_is_refused_at_each_command_for_mail(self):
        for stage in "CH":
            milter = self.milter(self.at(stage, reply_code("554 5.7.1 go away")))
            with self.instance(milter) as post, harness.Dialogue(post.port) as client:
                self.assertEqual(client.reply(), (554, ["post.test.example ESMTP not accepting connections"])
                                 if stage == "C" else (220, ["post.test.example ESMTP Posthouse"]))
                self.assertEqual(client.command("EHLO c.example")[0], 250)
                for command in ("MAIL FROM:<you@example.org>", "VRFY friend@example.com", "MAIL FROM:<you@example.org>"):
                    self.assertEqual(client.command(command), (554, ["5.7.1 go away"]))
                self.assertEqual(client.command("QUIT")[0], 221)
                post.wait_log("milter-reject: %s from" % ("CONNECT" if stage == "C" else "EHLO"))

    def test_a_421_ends_the_session(self):
        for stage, reply in (("C", b"4"), ("C", reply_code("421 4.7.0 bye")), ("M", b"4"), ("R", reply_code("421 4.7.0 bye"))):
            with self.subTest(stage=stage):
                milter = self.milter(self.at(stage, reply))
                with self.instance(milter, smtp_port=None) as post:
                    client = harness.Dialogue(post.port)
                    got = client.reply()
                    for command in ("EHLO c.example", "MAIL FROM:<a@example.org>", "RCPT TO:<friend@example.com>"):
                        if got[0] != 421:
                            got = client.command(command)
                    self.assertEqual(got[0], 421)
                    self.assertTrue(client.at_end())
                    client.close()

    def test_a_discarded_message_is_acknowledged_and_gone(self):
        for stage in "MRTE":
            with self.subTest(stage=stage):
                milter = self.milter(self.at(stage, b"d"))
                with self.instance(milter) as post:
                    post.send("you@example.org", ["friend@example.com"], "Hello.")
                    post.wait_log("milter-discard: ")
                    self.assertEqual(post.wait_queue(0), [])
                    self.assertEqual(post.mail("friend"), [])


class Faults(MilterCase):
    DEFAULTS = (("accept", 250, ""), ("reject", 550, "5.5.0 Service unavailable"),
                ("tempfail", 451, "4.7.1 Service unavailable - try again later"),
                ("shutdown", 421, "4.7.0 Server closing connection"), ("quarantine", 250, ""))

    def test_a_milter_that_is_not_there_counts_as_its_default_action_says(self):
        port = harness.free_port()
        for action, code, words in self.DEFAULTS:
            with self.subTest(action=action):
                milter = "{ inet:127.0.0.1:%d, default_action = %s }" % (port, action)
                with self.instance(milter) as post:
                    if action == "shutdown":
                        with harness.Dialogue(post.port) as client:
                            self.assertEqual(client.reply()[0], 421)
                            self.assertTrue(client.at_end())
                        continue
                    self.assertEqual(self.outcome(post), (code, words))
                    post.wait_log(r"warning: milter inet:127.0.0.1:%d: connect" % port)
                    if action == "quarantine":
                        self.assertEqual(post.wait_queue(1)[0]["queue_name"], "hold")
                    elif code == 250:
                        post.wait_mail("friend")

    def test_whatever_a_broken_milter_says_at_any_command_is_no_reply(self):
        nonsense = {"no length": lambda peer: peer.send_raw(b"\0\0\0\0"),
                    "a giant": lambda peer: peer.send_raw(b"\xff\xff\xff\xffc"),
                    "an unknown reply": lambda peer: peer.send(b"Z"),
                    "a change too early": lambda peer: peer.send(add_header("X", "y"), b"c"),
                    "two replies": lambda peer: peer.send(b"c", b"c"),
                    "half a packet": lambda peer: (peer.send_raw(b"\0\0\0\5c"), peer.hang_up()),
                    "a change of nothing": lambda peer: peer.send(b"m", b"c"),
                    "the end": lambda peer: peer.hang_up()}
        milter = self.milter()
        with self.instance("{ %s, default_action = tempfail }" % milter.address) as post:
            for stage in "OMRTBE":
                for name, say in nonsense.items():
                    if stage == "E" and name == "a change too early":
                        continue
                    def answer(peer, command, data, say=say, stage=stage):
                        if command == stage:
                            say(peer)
                            return []
                    milter.answer = answer
                    with self.subTest(stage=stage, name=name):
                        self.assertEqual(self.outcome(post), (451, "4.7.1 Service unavailable - try again later"))
            self.assertEqual(post.wait_queue(0), [])
            self.assertEqual(post.mail("friend"), [])

    def test_a_milter_that_is_lost_while_it_replaces_the_body_leaves_nothing_of_it(self):
        def answer(peer, command, data):
            if command == "E":
                peer.send(b"bhalf of\r\n", add_header("X-Half", "yes"))
                peer.hang_up()
                return []
        for action, code in (("accept", 451), ("tempfail", 451), ("quarantine", 451), ("reject", 550)):
            with self.subTest(action=action), self.milter(answer) as milter:
                with self.instance("{ %s, default_action = %s }" % (milter.address, action)) as post:
                    self.assertEqual(self.outcome(post)[0], code)
                    self.assertEqual(post.wait_queue(0), [])
                    self.assertEqual(post.mail("friend"), [])

    def test_a_milter_that_is_lost_after_header_changes_has_changed_nothing(self):
        def answer(peer, command, data):
            if command == "E":
                peer.send(add_header("X-Half", "yes"), b"-" + text("<friend@example.com>"))
                peer.hang_up()
                return []
        milter = self.milter(answer)
        with self.instance("{ %s, default_action = accept }" % milter.address) as post:
            self.assertEqual(self.outcome(post)[0], 250)
            self.assertNotIn("X-Half", post.wait_mail("friend")[0])

    def test_changes_that_were_not_agreed_on_are_refused(self):
        milter = self.milter(self.at("E", add_header("X-A", "b"), b"c"), actions=0)
        with self.instance("{ %s, default_action = tempfail }" % milter.address) as post:
            self.assertEqual(self.outcome(post)[0], 451)
            post.wait_log("a change that was not agreed on")

    def test_changes_and_progress_without_an_end_come_to_one(self):
        def add_for_ever(peer, command, data):
            if command == "E":
                while True:
                    peer.send(*[add_header("X-A", "b" * 60000)] * 10)
        def progress_for_ever(peer, command, data):
            if command == "E":
                while True:
                    peer.send(b"p")
                    time.sleep(0.1)
        def replace_for_ever(peer, command, data):
            if command == "E":
                while True:
                    peer.send(b"b" + b"x" * 60000)
        for answer in (add_for_ever, progress_for_ever, replace_for_ever):
            with self.subTest(answer=answer.__name__), self.milter(answer) as milter:
                with self.instance("{ %s, default_action = tempfail, content_timeout = 1s }" % milter.address,
                                   main_cf="message_size_limit = 1000000\n") as post:
                    begun = time.monotonic()
                    self.assertEqual(self.outcome(post)[0], 451)
                    self.assertLess(time.monotonic() - begun, 20)

    def test_a_milter_that_reports_progress_gets_more_time(self):
        def answer(peer, command, data):
            if command == "E":
                for _ in range(4):
                    time.sleep(0.4)
                    peer.send(b"p")
        milter = self.milter(answer)
        with self.instance("{ %s, content_timeout = 1s }" % milter.address) as post:
            self.assertEqual(self.outcome(post)[0], 250)

    def test_a_silent_milter_holds_only_its_own_clients(self):
        def answer(peer, command, data):
            return [] if command == "C" else None
        silent, quick = self.milter(answer), self.milter()
        with self.instance(quick, main_cf="smtpd_milter_maps = inline:{ { 127.0.0.2 = %s } }\nmilter_command_timeout = 30s\n"
                           "smtpd_client_connection_count_limit = 1000\n" % silent.address) as post:
            held = []
            for _ in range(200):
                client = harness.socket.socket()
                client.bind(("127.0.0.2", 0))
                client.connect(("127.0.0.1", post.port))
                held.append(client)
            self.wait_until(lambda: silent.connections >= 200, "all wait for the silent one")
            begun = time.monotonic()
            for _ in range(20):
                post.send("you@example.org", ["friend@example.com"], "Hello.")
            self.assertLess(time.monotonic() - begun, 5)
            for client in held:
                client.close()

    def test_a_client_of_whom_the_table_says_so_has_no_milter(self):
        milter = self.milter(self.at("M", b"r"))
        with self.instance(milter, main_cf="smtpd_milter_maps = inline:{ { 127.0.0.1 = DISABLE } }\n") as post:
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            self.assertEqual(milter.connections, 0)

    def test_no_milter_sees_mail_where_receive_override_options_say_so(self):
        milter = self.milter(self.at("M", b"r"))
        with self.instance(milter, main_cf="receive_override_options = no_milters\n") as post:
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            self.assertEqual(milter.connections, 0)

    def test_a_header_beyond_the_limit_is_refused(self):
        milter = self.milter()
        with self.instance(milter, main_cf="milter_header_limit = 102400\n") as post, post.smtp() as client:
            with self.assertRaises(smtplib.SMTPDataError) as caught:
                client.sendmail("you@example.org", ["friend@example.com"],
                                "".join("X-%d: %s\r\n" % (n, "x" * 900) for n in range(200)) + "\r\nHi\r\n")
            self.assertEqual(caught.exception.smtp_code, 552)

    def test_a_wrong_setting_is_told_at_the_check(self):
        post = self.instance("{ inet:127.0.0.1:1, patience = 3s }")
        try:
            done = post.tool("posthouse", "-c", post.etc, "check", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("patience", done.stdout + done.stderr)
        finally:
            post.close()


class Local(MilterCase):
    def instance(self, milter, **options):
        return harness.Instance(self, main_cf="non_smtpd_milters = %s\nmilter_default_action = tempfail\npickup_retry_time = 1s\n"
                                % milter.address, **options)

    def submit(self, post, text="From: bob@example.com\nTo: friend@example.com\nSubject: local\n\nHello.\n"):
        post.tool("sendmail", "-C", post.etc, "-f", "bob@example.com", "friend@example.com", input=text)

    def test_local_mail_is_shown_as_a_session_of_its_own(self):
        milter = self.milter(self.at("E", add_header("X-Seen", "yes"), b"c"))
        with self.instance(milter) as post:
            self.submit(post)
            mail = post.wait_mail("friend")[0]
            self.assertIn("\nX-Seen: yes\n", mail)
            self.assertEqual(re.sub("L+", "L", milter.commands()), "OCHMRTLNBEQ")
            self.assertEqual(milter.data("C")[0].split(b"\0")[0], b"localhost")
            self.assertEqual(milter.data("M"), [b"<bob@example.com>\0"])
            self.assertNotIn("Received", dict(milter.headers()))
            self.assertIn("Message-Id", dict(milter.headers()))

    def test_local_mail_that_is_refused_comes_back_to_its_sender(self):
        milter = self.milter(self.at("E", reply_code("550 5.7.1 no spam from here")))
        with self.instance(milter) as post:
            self.submit(post)
            self.assertIn("no spam from here", post.wait_mail("bob")[0])
            self.assertEqual(post.mail("friend"), [])

    def test_local_mail_waits_for_a_milter_that_is_not_well(self):
        state = {"ill": True}
        milter = self.milter(lambda peer, command, data: [b"t"] if command == "E" and state["ill"] else None)
        with self.instance(milter) as post:
            self.submit(post)
            post.wait_log("will try again")
            state["ill"] = False
            post.wait_mail("friend")


if __name__ == "__main__":
    harness.main()
