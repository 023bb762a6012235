#!/usr/bin/env python3
"""Content filters: those behind the queue (content_filter and FILTER, with a port for what comes back) and those before it
(smtpd_proxy_filter), the real Amavis among them."""
import os
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
import unittest

import client_test
import harness
from mail_filter import MailFilter


def from_the_page(first):
    """An entry of master.cf as doc/content-filters.md has it, for processes in no changed root."""
    with open(os.path.join(harness.SOURCE, "doc", "content-filters.md")) as page:
        entry = re.search(r"^    (%s .*\n(?:        -o .*\n)+)" % re.escape(first), page.read(), re.M)[1]
    head, options = entry.split("\n", 1)
    words = head.split()
    words[4] = "n"
    return " ".join(words) + "\n" + options


TO_FILTER = from_the_page("smtp-amavis unix")
REENTRY = from_the_page("127.0.0.1:10025 inet").replace("10025", "%d")


class Behind(harness.TestCase):
    def setUp(self):
        self.back = harness.free_port()
        self.filter = MailFilter(self.back)
        self.addCleanup(self.filter.close)

    def instance(self, main_cf="", master_cf=""):
        return harness.Instance(
            self, main_cf="content_filter = smtp-amavis:[127.0.0.1]:%d\n" % self.filter.port + main_cf,
            master_cf=TO_FILTER + REENTRY % self.back + master_cf)

    def test_mail_goes_through_the_filter_once_and_the_log_knows_where_it_came_from(self):
        with self.instance() as post:
            queue_id = post.send_id("you@example.net", ["friend@example.com"], "Hello.")
            mail = post.wait_mail("friend")[0]
            self.assertIn("X-Filtered: yes\n", mail)
            post.wait_log(r"smtp\[\d+\]: %s: to=<friend@example\.com>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*status=sent "
                          r"\(250 2\.0\.0 Ok: queued as \w+\)" % (queue_id, self.filter.port))
            post.wait_log(r": client=unknown\[127\.0\.0\.1\], orig_queue_id=%s, orig_client=unknown\[127\.0\.0\.1\]$" % queue_id)
            attributes = self.filter.forwarded[0]
            self.assertEqual({name: attributes[name] for name in ("ADDR", "PROTO", "HELO", "IDENT", "SOURCE")},
                             {"ADDR": "127.0.0.1", "PROTO": "ESMTP", "HELO": "client.test.example", "IDENT": queue_id,
                              "SOURCE": "LOCAL"})
            self.assertEqual(len(self.filter.messages), 1)

    def test_aliases_and_copies_are_made_once(self):
        main_cf = ("always_bcc = archive@example.com\n"
                   "virtual_alias_maps = inline:{{{{ team@example.com = ann@example.com, bob@example.com }}}}\n")
        with self.instance(main_cf) as post:
            post.send("you@example.net", ["team@example.com"], "Hello.")
            for user in ("ann", "bob", "archive"):
                post.wait_mail(user)
            post.wait_queue(0)
            self.assertEqual([len(post.mail(user)) for user in ("ann", "bob", "archive")], [1, 1, 1])

    def test_mail_of_local_programs_is_filtered_too_unless_pickup_says_otherwise(self):
        for options, filtered in (("", True), ("  -o content_filter=\n  -o receive_override_options=no_header_body_checks\n", False)):
            with self.instance(master_cf="pickup unix n - n 60 1 pickup\n" + options) as post:
                post.tool("sendmail", "-C", post.etc, "-f", "me@example.com", "friend@example.com", input="Subject: x\n\nx\n")
                self.assertEqual("X-Filtered: yes\n" in post.wait_mail("friend")[0], filtered)

    def test_the_filter_beats_transport_maps_and_filter_actions_beat_content_filter(self):
        with harness.SinkServer() as other, self.instance(
                "transport_maps = static:smtp:[127.0.0.1]:1\n"
                "header_checks = regexp:{{{{/^Subject: special/ FILTER smtp:[127.0.0.1]:%d}}}}\n" % other.port) as post:
            post.send("you@example.net", ["a@far.example"], "first")
            post.send("you@example.net", ["a@far.example"], "second", subject="special")
            self.wait_until(lambda: self.filter.messages and other.messages, "both filters have a message")
            self.assertIn("first", self.filter.messages[0][2])
            self.assertIn("second", other.messages[0][2])

    def test_a_filter_without_a_destination_sends_to_the_recipients_domain(self):
        with client_test.HostAt("127.0.0.2") as sink, harness.Instance(
                self, main_cf="content_filter = scan:\ntransport_maps = static:smtp:[127.0.0.1]:1\n",
                master_cf="scan unix - - n - - smtp\n  -o smtp_tcp_port=%d\n" % sink.port) as post:
            post.send("you@example.net", ["a@[127.0.0.2]"], "Hello.")
            self.wait_until(lambda: sink.messages, "the recipient's own host has it")
            post.wait_log(r"to=<a@\[127\.0\.0\.2\]>, relay=127\.0\.0\.2\[127\.0\.0\.2\]:%d" % sink.port)

    def test_default_filter_nexthop_is_for_filters_without_a_destination(self):
        with harness.Instance(self, main_cf="content_filter = smtp:\ndefault_filter_nexthop = [127.0.0.1]:%d\n" % self.filter.port,
                              master_cf=REENTRY % self.back) as post:
            post.send("you@example.net", ["friend@example.com"], "Hello.")
            self.assertIn("X-Filtered: yes\n", post.wait_mail("friend")[0])

    def test_a_filter_that_is_away_delays_mail_and_loses_none(self):
        port = harness.free_port()
        with harness.Instance(self, main_cf="content_filter = smtp:[127.0.0.1]:%d\n" % port) as post:
            post.send("you@example.net", ["friend@example.com"], "Hello.")
            post.wait_log(r"to=<friend@example\.com>, .*status=deferred \(connect to 127\.0\.0\.1\[127\.0\.0\.1\]:%d: " % port)
            self.assertEqual(post.mail("friend"), [])
            post.wait_queue(1)

    def test_a_filter_that_refuses_bounces(self):
        self.filter.verdict = lambda text: "554 5.7.1 virus" if "eicar" in text else None
        with self.instance() as post:
            post.send("me@example.com", ["friend@example.com"], "eicar")
            self.assertIn("554 5.7.1 virus", post.wait_mail("me")[0])
            self.assertEqual(post.mail("friend"), [])


AMAVIS = """
use strict;
$MYHOME = '{folder}/run'; $TEMPBASE = '{folder}/run'; $lock_file = '{folder}/run/lock'; $pid_file = '{folder}/run/pid';
$daemon_user = '{user}'; $daemon_group = '{group}';
$max_servers = 1; $enable_db = 0; $do_syslog = 0; $log_level = 1; $logfile = '{folder}/run/log';
$myhostname = 'amavis.test.example'; $mydomain = 'test.example';
$inet_socket_bind = '127.0.0.1'; $inet_socket_port = {port}; $unix_socketname = undef;
$forward_method = 'smtp:[127.0.0.1]:{back}'; $notify_method = $forward_method;
@bypass_virus_checks_maps = (1); @bypass_spam_checks_maps = (1); $enable_dkim_verification = 0;
@local_domains_maps = (1); $final_banned_destiny = D_REJECT;
$banned_filename_re = new_RE(qr'\\.exe$'i);
1;
"""
AMAVIS_PROGRAM = next((path for path in ("/usr/sbin/amavisd", "/usr/sbin/amavisd-new") if os.path.exists(path)), None)


@unittest.skipUnless(AMAVIS_PROGRAM and os.geteuid() == 0, "needs amavisd-new, and root to start it")
class Amavis(harness.TestCase):
    def start_amavis(self, back):
        # It wants its configuration where its user cannot write.
        folder = tempfile.mkdtemp(prefix="posthouse-amavis-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, 0o755)
        os.mkdir(os.path.join(folder, "run"))
        shutil.chown(os.path.join(folder, "run"), "nobody", "nogroup")
        port, path = harness.free_port(), os.path.join(folder, "amavisd.conf")
        with open(path, "w") as out:
            out.write(AMAVIS.format(folder=folder, user="nobody", group="nogroup", port=port, back=back))
        with open(os.path.join(folder, "output"), "wb") as output:
            daemon = subprocess.Popen([AMAVIS_PROGRAM, "-c", path, "foreground"], stdout=output, stderr=output,
                                      stdin=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(self.stop, daemon)

        def up():
            with open(os.path.join(folder, "output"), errors="replace") as text:
                self.assertIsNone(daemon.poll(), text.read())
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        self.wait_until(up, "Amavis answers")
        return port

    @staticmethod
    def stop(daemon):
        os.killpg(daemon.pid, signal.SIGTERM)
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()

    def test_mail_goes_through_and_both_logs_tell_of_it(self):
        back = harness.free_port()
        port = self.start_amavis(back)
        with harness.Instance(self, main_cf="content_filter = smtp-amavis:[127.0.0.1]:%d\n" % port,
                              master_cf=TO_FILTER + REENTRY % back) as post:
            queue_id = post.send_id("you@example.net", ["friend@example.com"], "Hello.")
            self.assertIn(" by localhost (amavis.test.example ", post.wait_mail("friend")[0])
            again = post.wait_log(r"%s: to=<friend@example\.com>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:%d, .*status=sent "
                                  r"\(250 2\.0\.0 from MTA\(smtp:\[127\.0\.0\.1\]:%d\): 250 2\.0\.0 Ok: queued as (\w+)\)"
                                  % (queue_id, port, back))[1]
            post.wait_log(r"%s: client=unknown\[127\.0\.0\.1\], .*orig_queue_id=%s, orig_client=unknown\[127\.0\.0\.1\]$"
                          % (again, queue_id))

    def test_before_the_queue_its_refusal_is_ours(self):
        back = harness.free_port()
        port = self.start_amavis(back)
        with harness.Instance(self, main_cf="smtpd_proxy_filter = 127.0.0.1:%d\nsmtpd_proxy_options = speed_adjust\n" % port,
                              master_cf=REENTRY % back + "  -o smtpd_proxy_filter=\n") as post:
            self.assertIn("from MTA(smtp:[127.0.0.1]:%d)" % back,
                          post.send("you@example.net", ["friend@example.com"], "Hello.").replace("\n", " "))
            post.wait_mail("friend")
            with post.smtp() as client, self.assertRaises(smtplib.SMTPDataError) as refused:
                client.sendmail("you@example.net", ["friend@example.com"],
                                "MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=\"run.exe\"\r\n"
                                "Content-Disposition: attachment; filename=\"run.exe\"\r\n\r\nMZ\r\n")
            self.assertEqual(refused.exception.smtp_code, 554)
            post.wait_log(r"proxy-accept: END-OF-MESSAGE: 250 2\.0\.0 from MTA.*; from=<you@example\.net> ")
            post.wait_log(r"proxy-reject: END-OF-MESSAGE: 554 5\.7\.\d .*; from=<you@example\.net> to=<friend@example\.com> "
                          r"proto=ESMTP helo=<.*>$")


class Before(harness.TestCase):
    """smtpd_proxy_filter. The port that takes what comes back has no filter."""

    def setUp(self):
        self.back = harness.free_port()

    def instance(self, filter_port, main_cf="", privileged=False):
        return harness.Instance(self, main_cf="smtpd_proxy_filter = 127.0.0.1:%d\n" % filter_port + main_cf,
                                master_cf=REENTRY % self.back + "  -o smtpd_proxy_filter=\n", privileged=privileged)

    def filter(self, **options):
        made = MailFilter(self.back, **options)
        self.addCleanup(made.close)
        return made

    def test_the_filters_answer_is_what_the_client_hears_and_the_queue_sees_only_what_passed(self):
        inner = self.filter(verdict=lambda text: "554 5.7.1 not this one" if "bad" in text else None)
        with self.instance(inner.port) as post:
            reply = post.send("you@example.net", ["friend@example.com"], "good\r\n.leading dot\r\n..two")
            mail = post.wait_mail("friend")[0]
            self.assertIn("X-Filtered: yes\n", mail)
            self.assertTrue(mail.endswith("good\n.leading dot\n..two\n"), mail)
            queue_id = re.search(r"queued as (\w+)", reply)[1]
            post.wait_log(r"NOQUEUE: client=unknown\[127\.0\.0\.1\]$")
            post.wait_log(r"smtpd\[\d+\]: proxy-accept: END-OF-MESSAGE: 250 2\.0\.0 Ok: queued as %s; from=<you@example\.net> "
                          r"to=<friend@example\.com> proto=ESMTP helo=<client\.test\.example>$" % queue_id)
            post.wait_log(r"%s: client=unknown\[127\.0\.0\.1\], orig_client=unknown\[127\.0\.0\.1\]$" % queue_id)
            with self.assertRaises(smtplib.SMTPResponseException) as refused:
                post.send("you@example.net", ["friend@example.com"], "bad")
            self.assertEqual((refused.exception.smtp_code, refused.exception.smtp_error), (554, b"5.7.1 not this one"))
            post.wait_log(r"proxy-reject: END-OF-MESSAGE: 554 5\.7\.1 not this one; from=<you@example\.net> ")
            self.assertEqual(len(post.mail("friend")), 1)
            received = re.findall(r"^Received: (?:.*\n[\t ])*.*", mail, re.M)
            self.assertEqual(len(received), 2)
            self.assertNotIn(" id ", received[1])

    def test_who_is_filtered_is_told_with_what_it_can_do(self):
        inner = self.filter()
        with self.instance(inner.port, "smtpd_proxy_ehlo = front.test.example\n") as post:
            post.send("you@example.net", ["friend@example.com"], "x", mail_options=["BODY=8BITMIME", "RET=HDRS", "SIZE=1000"],
                      rcpt_options=["NOTIFY=NEVER"])
            self.assertIn("EHLO front.test.example", inner.commands)
            # Without SIZE, which this filter does not offer.
            self.assertIn("MAIL FROM:<you@example.net> BODY=8BITMIME RET=HDRS", inner.commands)
            self.assertIn("RCPT TO:<friend@example.com> NOTIFY=NEVER ORCPT=rfc822;friend@example.com", inner.commands)
            self.assertEqual(inner.forwarded[0]["HELO"], "client.test.example")

    def test_a_refusal_at_any_command_is_passed_on_and_the_session_goes_on(self):
        inner = self.filter()
        with self.instance(inner.port) as post, harness.Dialogue(post.port) as client:
            client.reply()
            client.command("EHLO client.example")
            for verb, answer in (("MAIL", "550 5.7.1 not you"), ("RCPT", "450 4.2.0 not now"), ("DATA", "451 4.3.0 no data"),
                                 ("END", "552 5.3.4 too much")):
                inner.answers = {verb: answer}
                replies = [client.command("MAIL FROM:<you@example.net>"), client.command("RCPT TO:<friend@example.com>")]
                if verb in ("DATA", "END"):
                    replies.append(client.command("DATA"))
                if verb == "END":
                    replies.append(client.command("Subject: x\r\n\r\nx\r\n."))
                code, text = answer.split(" ", 1)
                self.assertEqual(replies[-1], (int(code), [text]))
                self.assertTrue(all(reply[0] in (250, 354) for reply in replies[:-1]), replies)
                post.wait_log(r"proxy-reject: %s: %s; from=<you@example\.net> to=<friend@example\.com> " % (
                    {"MAIL": "RCPT", "END": "END-OF-MESSAGE"}.get(verb, verb), re.escape(answer)))
                client.command("RSET")
            inner.answers = {}
            self.assertEqual([client.command(line)[0] for line in (
                "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>", "DATA", "Subject: x\r\n\r\nx\r\n.")],
                [250, 250, 354, 250])

    def test_one_of_two_recipients_is_refused_and_the_other_gets_the_mail(self):
        inner = self.filter()
        with self.instance(inner.port) as post, harness.Dialogue(post.port) as client:
            client.reply()
            for line in ("EHLO client.example", "MAIL FROM:<you@example.net>"):
                client.command(line)
            inner.answers = {"RCPT": "550 5.1.1 nobody"}
            self.assertEqual(client.command("RCPT TO:<ann@example.com>")[0], 550)
            inner.answers = {}
            self.assertEqual(client.command("RCPT TO:<bob@example.com>")[0], 250)
            client.command("DATA")
            self.assertEqual(client.command("Subject: x\r\n\r\nx\r\n.")[0], 250)
            post.wait_mail("bob")
            self.assertEqual(post.mail("ann"), [])

    def test_our_own_checks_come_first(self):
        inner = self.filter()
        with self.instance(inner.port, "smtpd_recipient_restrictions = reject\n") as post, harness.Dialogue(post.port) as client:
            client.reply()
            for line in ("EHLO client.example", "MAIL FROM:<you@example.net>"):
                client.command(line)
            self.assertEqual(client.command("RCPT TO:<friend@example.com>")[0], 554)
            self.assertEqual(inner.connections, 0)

    def test_a_filter_that_is_away_talks_nonsense_or_hangs_puts_mail_off(self):
        silent = harness.FakeServer(lambda peer: time.sleep(10))
        odd = harness.FakeServer(lambda peer: peer.send("Good evening.\r\n"))
        gone = MailFilter(None, answers={"END": ""})
        for server in (silent, odd, gone):
            self.addCleanup(server.close)
        hang_up = harness.FakeServer(lambda peer: [peer.send("220 x\r\n"), peer.line(), peer.send("250 x\r\n"), peer.line(),
                                                   peer.send("250 x\r\n"), peer.line(), peer.send("250 x\r\n"), peer.line(),
                                                   peer.send("354 x\r\n"), peer.line()])
        self.addCleanup(hang_up.close)
        for port in (harness.free_port(), silent.port, odd.port, hang_up.port):
            with self.instance(port, "smtpd_proxy_timeout = 1s\n") as post:
                with self.assertRaises(smtplib.SMTPResponseException) as refused:
                    post.send("you@example.net", ["friend@example.com"], "Hello.")
                self.assertEqual((refused.exception.smtp_code, refused.exception.smtp_error),
                                 (451, b"4.3.0 Error: content filter failure"))
                post.wait_log(r"warning: proxy filter inet:127\.0\.0\.1:%d: \w+.*: " % port)
                self.assertEqual(post.queue(), [])

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_in_the_chroot_and_the_sandbox_the_filter_and_the_tables_are_reached(self):
        inner = self.filter()
        with self.instance(inner.port, "header_checks = inline:{{{{nothing=DUNNO}}}}\n", privileged=True) as post:
            post.send("you@example.net", ["friend@example.com"], "Hello.")
            self.assertIn("X-Filtered: yes\n", post.wait_mail("friend")[0])

    def test_a_client_that_goes_away_half_way_leaves_nothing(self):
        inner = self.filter()
        with self.instance(inner.port) as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>", "DATA"):
                    client.command(line)
                client.send("Subject: half\r\n\r\nbody\r\n")
                time.sleep(0.1)  # so that the bytes arrive before the end does
            post.wait_log(r"lost connection after DATA")
            post.send("you@example.net", ["friend@example.com"], "whole")
            self.assertEqual(len(inner.messages), 1)
            self.assertIn("whole", inner.messages[0][2])

    def test_chunks_reach_the_filter_as_one_message(self):
        inner = self.filter()
        with self.instance(inner.port) as post, harness.Dialogue(post.port) as client:
            client.reply()
            for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>"):
                client.command(line)
            text = "Subject: x\r\n\r\nfirst\r\n.\r\nsecond\r\n"
            client.send("BDAT 20\r\n" + text[:20])
            self.assertEqual(client.reply()[0], 250)
            client.send("BDAT %d LAST\r\n" % (len(text) - 20) + text[20:])
            self.assertEqual(client.reply()[0], 250)
            self.assertTrue(inner.messages[0][2].endswith(text))

    def test_smuggling_by_an_inner_hop_ends_where_we_end_it(self):
        """A filter that takes LF . LF for the end of a message trusts whoever is in front of it: it never sees one."""
        seen = []

        def lenient(peer):
            peer.send("220 lenient\r\n")
            in_data = False
            while True:
                line = peer.file.readline()
                if not line:
                    return
                seen.append(line)
                if in_data:
                    if line.rstrip(b"\r\n") == b"." or b"\r" in line[:-2]:
                        in_data = False
                        peer.send("250 2.0.0 Ok\r\n")
                else:
                    in_data = line.upper().startswith(b"DATA")
                    peer.send("354 go\r\n" if in_data else "250 2.0.0 Ok\r\n")
        ends = ("\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\0.\r\n", "\r\n\0.\r\n")
        # Who is excluded may end a line by LF; what the filter gets is CR LF all the same.
        for exclusions in ("", "$mynetworks"):
            with harness.FakeServer(lenient) as inner, self.instance(
                    inner.port, "smtpd_forbid_bare_newline_exclusions = %s\n" % exclusions) as post:
                for end in ends:
                    seen.clear()
                    self.smuggle(post, end)
                    self.assertTrue(all(line.endswith(b"\r\n") and b"\r" not in line[:-2] and b"\0" not in line
                                        for line in seen), seen)
                    if exclusions:
                        continue
                    smuggled = [at for at, line in enumerate(seen) if b"MAIL FROM:<admin" in line]
                    self.assertEqual(len(smuggled), 1, seen)
                    self.assertLess(smuggled[0], seen.index(b".\r\n"), seen)

    @staticmethod
    def smuggle(post, end):
        with harness.Dialogue(post.port) as client:
            client.reply()
            for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>", "DATA"):
                client.command(line)
            client.send("Subject: x\r\n\r\nbody" + end + "MAIL FROM:<admin@example.com>\r\nRCPT TO:<victim@example.com>\r\n"
                        "DATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n")
            client.reply()


class SpeedAdjust(Before):
    """The same, with the filter called only when the message is there."""
    test_a_refusal_at_any_command_is_passed_on_and_the_session_goes_on = None
    test_one_of_two_recipients_is_refused_and_the_other_gets_the_mail = None

    def instance(self, filter_port, main_cf="", privileged=False):
        return super().instance(filter_port, "smtpd_proxy_options = speed_adjust\n" + main_cf, privileged)

    def test_a_slow_client_keeps_no_filter_busy(self):
        inner = self.filter()
        with self.instance(inner.port) as post, harness.Dialogue(post.port) as client:
            client.reply()
            for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>", "DATA"):
                client.command(line)
            client.send("Subject: slow\r\n\r\n" + "a line\r\n" * 1000)
            # Another's mail goes through meanwhile.
            post.send("you@example.net", ["friend@example.com"], "quick")
            self.assertEqual(inner.connections, 1)
            self.assertEqual(client.command(".")[0], 250)
            self.assertEqual(inner.connections, 2)
            self.assertEqual(len(post.wait_mail("friend", 2)), 2)

    def test_a_refusal_at_any_command_is_the_answer_to_the_message(self):
        inner = self.filter()
        with self.instance(inner.port) as post:
            for verb in ("MAIL", "RCPT", "DATA", "END"):
                inner.answers = {verb: "550 5.7.1 not this"}
                with self.assertRaises(smtplib.SMTPResponseException) as refused:
                    post.send("you@example.net", ["friend@example.com"], "Hello.")
                self.assertEqual((refused.exception.smtp_code, refused.exception.smtp_error), (550, b"5.7.1 not this"))

    def test_a_large_message_waits_for_its_end_too(self):
        inner = self.filter()
        with self.instance(inner.port) as post, harness.Dialogue(post.port) as client:
            client.reply()
            for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>", "DATA"):
                client.command(line)
            lines = "".join("..line %d\r\n" % number for number in range(40000))
            client.send("Subject: large\r\n\r\n" + lines)
            self.assertEqual(inner.connections, 0)
            self.assertEqual(client.command(".")[0], 250)
            self.assertTrue(post.wait_mail("friend")[0].endswith(lines.replace("..", ".").replace("\r\n", "\n")))


if __name__ == "__main__":
    harness.main()
