#!/usr/bin/env python3
"""smtpd as a client and an operator see it: what a 250 promises, what happens when others fail, and what
idle sessions cost. Numbers in names are those of the behaviours that are easy to get wrong."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time

import harness


class Acceptance(harness.TestCase):
    def test_12_a_client_that_is_gone_before_it_reads_250_leaves_one_copy(self):
        with harness.Instance(self) as post:
            for number in range(10):
                with harness.Dialogue(post.port) as client:
                    client.reply()
                    for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>"):
                        self.assertEqual(client.command(line)[0], 250)
                    self.assertEqual(client.command("DATA")[0], 354)
                    client.send("Subject: number-%d\r\n\r\nbody\r\n.\r\n" % number)
                    if number % 2:
                        client.socket.shutdown(socket.SHUT_RDWR)
            mails = post.wait_mail("friend", 10)
            post.wait_queue(0)
            self.assertEqual(len(mails), 10)
            for number in range(10):
                self.assertEqual(sum("Subject: number-%d\n" % number in mail for mail in mails), 1)

    def test_17_postmaster_needs_no_domain_and_the_double_bounce_address_swallows_what_it_gets(self):
        with harness.Instance(self, main_cf="mydestination = post.test.example\nmyorigin = post.test.example\n"
                                            "virtual_alias_maps = inline:{{postmaster@post.test.example=friend@example.com}}\n"
                                            "local_recipient_maps = inline:{{nobody=x}}\n") as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                for line in ("EHLO client.example", "MAIL FROM:<>", "RCPT TO:<postmaster>", "RCPT TO:<double-bounce@post.test.example>"):
                    self.assertEqual(client.command(line)[0], 250)
                client.command("DATA")
                self.assertEqual(client.command("Subject: x\r\n\r\nbody\r\n.")[0], 250)
            post.wait_mail("friend")
            post.wait_log(r"to=<double-bounce@post\.test\.example>, .* status=sent ")
            post.wait_queue(0)

    def test_a_message_that_is_cut_off_before_its_end_is_never_delivered(self):
        with harness.Instance(self) as post:
            for end in ("", ".", ".\r", "\r\n.", "\r\n.\r"):
                with harness.Dialogue(post.port) as client:
                    client.reply()
                    for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>"):
                        self.assertEqual(client.command(line)[0], 250)
                    self.assertEqual(client.command("DATA")[0], 354)
                    client.send("Subject: half\r\n\r\nbody" + end)
                    time.sleep(0.05)  # so that the bytes arrive before the end does
            post.wait_log(r"lost connection after DATA \(\d+ bytes\) from unknown\[127\.0\.0\.1\]")
            post.send("you@example.net", ["friend@example.com"], "whole")
            self.assertEqual(len(post.wait_mail("friend", 1)), 1)
            self.assertEqual(post.queue(), [])

    def test_an_smtpd_that_is_killed_in_mid_message_loses_that_session_and_nothing_else(self):
        with harness.Instance(self) as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>"):
                    self.assertEqual(client.command(line)[0], 250)
                self.assertEqual(client.command("DATA")[0], 354)
                client.send("Subject: half\r\n\r\n" + "x" * 70 + "\r\n")
                self.assertGreater(post.kill("smtpd"), 0)
                self.assertEqual(client.reply()[0], 0)
            self.wait_until(lambda: post.answers(post.port), "another smtpd")
            post.send("you@example.net", ["friend@example.com"], "whole")
            self.assertEqual(len(post.wait_mail("friend", 1)), 1)
            self.assertEqual(post.queue(), [])

    def test_messages_of_all_sizes_arrive_byte_by_byte_as_they_were_sent(self):
        with harness.Instance(self, main_cf="message_size_limit = 30000000\n") as post:
            for number, size in enumerate((0, 1, 2, 70, 65000, 65535, 65536, 65537, 200000, 5000000)):
                body = (("%d " % number + "0123456789" * 6 + "\r\n") * (size // 63 + 1))[:size].rstrip("\r\n")
                with harness.Dialogue(post.port, timeout=60) as client:
                    client.reply()
                    for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<size%d@example.com>" % number):
                        self.assertEqual(client.command(line)[0], 250)
                    self.assertEqual(client.command("DATA")[0], 354)
                    client.send("Subject: x\r\n\r\n" + body + "\r\n.\r\n")
                    self.assertEqual(client.reply()[0], 250)
                text = post.wait_mail("size%d" % number, 1)[0]
                got = text.split("\n\n", 1)[1]
                self.assertEqual(got, (body + "\r\n").replace("\r\n", "\n"), size)


class Smuggling(harness.TestCase):
    ENDS = ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r", "\r.\n", "\r\n.\r\r\n", "\n.\r\r\n",
            "\r\n\0.\r\n", "\r\n.\0\r\n", "\x85.\x85", "\v.\v", "\r\n. \r\n", "\r\n.\f\r\n"]
    FORGED = "MAIL FROM:<evil@example.net>\r\nRCPT TO:<victim@far.example>\r\nDATA\r\nSubject: forged\r\n\r\nforged\r\n"

    def send(self, post, body, pieces):
        with harness.Dialogue(post.port) as client:
            client.reply()
            for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@far.example>"):
                self.assertEqual(client.command(line)[0], 250)
            self.assertEqual(client.command("DATA")[0], 354)
            for piece in pieces(("Subject: first\r\n\r\nbody" + body + self.FORGED + ".\r\nQUIT\r\n").encode("latin-1")):
                client.send(piece)
                time.sleep(0.01)  # so that each makes a segment of its own
            self.assertEqual([client.reply()[0] for _ in range(3)], [250, 221, 0], repr(body))

    def test_1_2_no_end_but_crlf_dot_crlf_makes_two_messages_of_one_here_or_at_the_next_host(self):
        seen = []

        def next_host(peer):
            """Keeps the bytes of the content as they come."""
            peer.send("220 next.test.example ESMTP\r\n")
            while True:
                line = peer.file.readline()
                if line.upper().startswith(b"DATA"):
                    peer.send("354 go ahead\r\n")
                    content = b""
                    while not content.endswith(b"\r\n.\r\n"):
                        got = peer.file.read1(65536)
                        if not got:
                            return
                        content += got
                    seen.append(content)
                elif not line or line.upper().startswith(b"QUIT"):
                    return
                peer.send("250 2.0.0 Ok\r\n")

        settings = ("smtpd_forbid_bare_newline_exclusions =\nsmtpd_client_event_limit_exceptions = $mynetworks\n"
                    "smtp_connection_cache_on_demand = no\n")
        with harness.FakeServer(next_host) as host:
            with harness.Instance(self, main_cf=settings + "relayhost = [127.0.0.1]:%d\n" % host.port) as post:
                for end in self.ENDS:
                    self.send(post, end, lambda text: [text])
                    at = len("Subject: first\r\n\r\nbody")
                    self.send(post, end, lambda text: [text[:at + 1], text[at + 1:at + 2], text[at + 2:]])
                self.wait_until(lambda: len(seen) >= 2 * len(self.ENDS), "all messages")
                post.wait_queue(0)
                self.assertEqual(len(seen), 2 * len(self.ENDS))
                for content in seen:
                    self.assertNotRegex(content, rb"[^\r]\n|\r[^\n]")  # no bare CR or LF leaves this host
                    self.assertEqual(content.index(b"\r\n.\r\n"), len(content) - 5)
                self.assertNotIn("evil@example.net", post.log())

    def test_1_at_compatibility_level_0_the_defaults_are_as_safe(self):
        with harness.Instance(self, main_cf="compatibility_level = 0\nsmtpd_forbid_bare_newline_exclusions =\n"
                                            "append_dot_mydomain = no\nvirtual_transport = discard\ndefault_transport = discard\n") as post:
            for end in self.ENDS:
                self.send(post, end, lambda text: [text])
            self.wait_until(lambda: len(re.findall(r"from=<you@example\.net>", post.log())) >= len(self.ENDS), "all messages")
            post.wait_queue(0)
            self.assertEqual(len(re.findall(r"from=<you@example\.net>", post.log())), len(self.ENDS))
            self.assertNotIn("evil@example.net", post.log())

    def test_2_a_trusted_client_may_end_lines_with_lf_alone_and_the_content_is_made_whole(self):
        with harness.Instance(self) as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>", "DATA"):
                    client.send(line + "\n")
                    self.assertIn(client.reply()[0], (250, 354))
                client.send("Subject: x\n\none\ntwo\n.\nQUIT\n")
                self.assertEqual([client.reply()[0] for _ in range(2)], [250, 221])
            self.assertTrue(post.wait_mail("friend")[0].endswith("\n\none\ntwo\n"))


class Hostile(harness.TestCase):
    def test_a_header_line_of_8_mib_is_one_message_or_a_refusal_and_the_session_goes_on(self):
        with harness.Instance(self, main_cf="default_process_limit = 1\n") as post:
            pids = post.pids("smtpd")
            with harness.Dialogue(post.port, timeout=60) as client:
                client.reply()
                for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>"):
                    self.assertEqual(client.command(line)[0], 250)
                self.assertEqual(client.command("DATA")[0], 354)
                client.send(b"Subject: " + b"x" * (8 << 20) + b"\r\nTo: " + b"a@b.example," * 100000 + b"\r\n\r\nend\r\n.\r\n")
                self.assertIn(client.reply()[0], (250, 552, 554))
                self.assertEqual(client.command("NOOP")[0], 250)
            self.assertEqual(post.pids("smtpd"), pids)

    def test_addresses_that_crashed_other_servers_are_answered_and_no_more(self):
        with harness.Instance(self, main_cf="smtpd_hard_error_limit = 1000\nsmtpd_soft_error_limit = 1000\n"
                                            "default_process_limit = 1\n") as post:
            pids = post.pids("smtpd")
            with harness.Dialogue(post.port) as client:
                client.reply()
                client.command("EHLO client.example")
                for address in (b"<\xe2\x82@x>", b'<""@x>', b"<@>", b"<@,@:>", b"<a@[IPv6:>", b"<" + b"(" * 1500 + b">", b"<\\>",
                                b"<${run{/bin/true}}@localhost>", b"<;for i in 0 1;do x;done;@x>", b"<" + b"\xff" * 1000 + b">",
                                b"<" + b"a." * 900 + b">", b'<"' + b"\\" * 500 + b'">', b"<a@" + b"b." * 500 + b">"):
                    client.send(b"MAIL FROM:" + address + b"\r\n")
                    self.assertIn(client.reply()[0] // 100, (2, 5), address)
                    client.send(b"VRFY " + address + b" SMTPUTF8\r\n")
                    self.assertIn(client.reply()[0] // 100, (2, 5), address)
                    client.send(b"RCPT TO:" + address + b"\r\n")
                    self.assertIn(client.reply()[0] // 100, (2, 4, 5), address)
                    self.assertEqual(client.command("RSET")[0], 250)
            self.assertEqual(post.pids("smtpd"), pids)


class Others(harness.TestCase):
    def test_11_without_the_queue_manager_data_gets_451_and_the_session_goes_on(self):
        with harness.Instance(self, main_cf="smtpd_queue_timeout = 1s\nservice_throttle_time = 1s\n",
                              master_cf="127.0.0.1:{} inet n - n - 1 smtpd\n".format(harness.free_port())) as post:
            post.send("you@example.net", ["friend@example.com"], "before")
            for pid in post.pids("qmgr"):
                os.kill(pid, signal.SIGSTOP)
            try:
                codes = []
                with harness.Dialogue(post.port, timeout=60) as client:
                    client.reply()
                    self.assertEqual(client.command("EHLO client.example")[0], 250)
                    for number in range(200):
                        self.assertEqual(client.command("MAIL FROM:<you@example.net>")[0], 250)
                        self.assertEqual(client.command("RCPT TO:<friend@example.com>")[0], 250)
                        code = client.command("DATA")[0]
                        codes.append(code)
                        if code != 354:
                            break
                        self.assertEqual(client.command("Subject: x\r\n\r\nbody\r\n.")[0], 250)
                    self.assertEqual(codes[-1], 451)
                    for pid in post.pids("qmgr"):
                        os.kill(pid, signal.SIGCONT)
                    self.assertEqual(client.command("RSET")[0], 250)
                    self.assertEqual(client.command("MAIL FROM:<you@example.net>")[0], 250)
                    self.assertEqual(client.command("RCPT TO:<friend@example.com>")[0], 250)
                    self.wait_until(lambda: client.command("DATA")[0] == 354, "a place in the queue")
                    self.assertEqual(client.command("Subject: x\r\n\r\nafter\r\n.")[0], 250)
            finally:
                for pid in post.pids("qmgr"):
                    os.kill(pid, signal.SIGCONT)
            post.wait_mail("friend", len(codes) + 1)

    def test_54_a_stop_tells_idle_clients_421_at_once(self):
        with harness.Instance(self) as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                self.assertEqual(client.command("EHLO client.example")[0], 250)
                started = time.monotonic()
                post.stop()
                self.assertLess(time.monotonic() - started, 9)  # at the end of its time: 10 (lib/service/stop_times.h)
                code, lines = client.reply()
                self.assertEqual(code, 421)
                self.assertIn("shutting down", lines[0])

    def test_54_a_reload_lets_a_session_finish_and_refuses_nobody(self):
        with harness.Instance(self) as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                self.assertEqual(client.command("EHLO client.example")[0], 250)
                self.assertEqual(client.command("MAIL FROM:<you@example.net>")[0], 250)
                post.reload()
                post.send("you@example.net", ["friend@example.com"], "meanwhile")
                self.assertEqual(client.command("RCPT TO:<friend@example.com>")[0], 250)
                self.assertEqual(client.command("DATA")[0], 354)
                self.assertEqual(client.command("Subject: x\r\n\r\nbody\r\n.")[0], 250)
            post.wait_mail("friend", 2)

    def test_56_a_table_that_was_replaced_is_read_without_a_reload(self):
        with harness.Instance(self, main_cf="mynetworks = 192.0.2.1\n"
                                            "smtpd_sender_restrictions = check_sender_access texthash:$config_directory/senders\n",
                              ) as post:
            def answer():
                with harness.Dialogue(post.port) as client:
                    client.reply()
                    client.command("EHLO client.example")
                    client.command("MAIL FROM:<you@example.net>")
                    return client.command("RCPT TO:<friend@example.com>")[0]

            def replace(text):
                os.rename(post.write("senders.new", text), os.path.join(post.etc, "senders"))

            # A table that is not there is a reason to come back later, not to accept or refuse.
            self.assertEqual(answer(), 451)
            replace("you@example.net 550 no\n")
            post.reload()
            self.wait_until(lambda: answer() == 550, "the table")
            replace("you@example.net OK\n")
            self.wait_until(lambda: answer() == 250, "the table that took its place")


class Limits(harness.TestCase):
    def test_27_connections_of_one_client_beyond_the_limit_get_421(self):
        with harness.Instance(self, main_cf="smtpd_client_connection_count_limit = 3\n"
                                            "smtpd_client_event_limit_exceptions =\ndefault_process_limit = 1\n") as post:
            clients = [harness.Dialogue(post.port) for _ in range(3)]
            self.assertEqual([client.reply()[0] for client in clients], [220] * 3)
            with harness.Dialogue(post.port) as one_more:
                code, lines = one_more.reply()
                self.assertEqual(code, 421)
                self.assertRegex(lines[0], "too many connections from 127.0.0.1")
                self.assertTrue(one_more.at_end())
            for client in clients:
                client.close()
            self.wait_until(lambda: post.answers(post.port), "room again")

    def test_a_process_out_of_memory_turns_clients_away_and_serves_again_when_there_is_room(self):
        if sanitized():
            self.skipTest("the sanitizer needs the address space")
        with harness.Instance(self, main_cf="smtpd_client_connection_count_limit = 0\ndefault_process_limit = 1\n") as post:
            post.send("you@example.net", ["friend@example.com"], "before")
            pid = post.pids("smtpd")[0]
            as_user = post.become_user if post.drops else None
            with open("/proc/%d/status" % pid) as status:
                data = int(re.search(r"VmData:\s+(\d+) kB", status.read())[1]) * 1024
            subprocess.run(["prlimit", "--pid", str(pid), "--data=%d:" % (data + 500000)], check=True, preexec_fn=as_user)
            clients, refused = [], 0
            while refused < 5 and len(clients) < 300:
                client = harness.Dialogue(post.port)
                clients.append(client)
                replies = [client.reply()] + [client.command(line) for line in (
                    "EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>", "DATA")]
                if replies[-1][0] == 354:
                    client.send("Subject: x\r\n\r\n" + "some text\r\n" * 5000)  # kept in memory as yet
                    client.socket.settimeout(0.1)
                    try:
                        replies.append(client.reply())
                    except OSError:
                        continue  # nothing to say: there was room
                refused += 1
                self.assertIn((421, ["4.3.0 post.test.example Error: out of memory"]), replies)
            self.assertEqual(refused, 5)
            before = harness.cpu_ticks(pid)
            time.sleep(1)
            self.assertLess(harness.cpu_ticks(pid) - before, os.sysconf("SC_CLK_TCK") / 4)
            for client in clients:
                client.close()
            self.wait_until(lambda: post.answers(post.port), "smtpd answers again")
            subprocess.run(["prlimit", "--pid", str(pid), "--data=unlimited:"], check=True, preexec_fn=as_user)
            self.assertEqual(post.pids("smtpd"), [pid])
            post.send("you@example.net", ["friend@example.com"], "after")
            post.wait_mail("friend", 2)

    def test_27_connections_of_a_process_that_was_killed_count_no_more(self):
        with harness.Instance(self, main_cf="smtpd_client_connection_count_limit = 3\n"
                                            "smtpd_client_event_limit_exceptions =\ndefault_process_limit = 1\n") as post:
            def codes(count):
                clients = [harness.Dialogue(post.port) for _ in range(count)]
                try:
                    return [client.reply()[0] for client in clients]
                finally:
                    for client in clients:
                        client.close()

            with contextlib.ExitStack() as here:
                for _ in range(3):
                    self.assertEqual(here.enter_context(harness.Dialogue(post.port)).reply()[0], 220)
                self.assertEqual(codes(1), [421])
                post.kill("smtpd")
                self.wait_until(lambda: post.answers(post.port), "another smtpd")
                self.wait_until(lambda: codes(3) == [220] * 3, "room for as many as before")

    def test_21_a_client_that_never_reads_is_gone_after_the_deadline_and_disturbs_nobody(self):
        with harness.Instance(self, main_cf="smtpd_timeout = 2s\nsmtpd_junk_command_limit = 1000000\n") as post:
            with harness.Dialogue(post.port) as deaf:
                deaf.reply()
                deaf.command("EHLO client.example")
                deaf.socket.settimeout(0.3)
                try:
                    for _ in range(2000):
                        deaf.send("RSET\r\n" * 1000)
                except OSError:
                    pass
                post.send("you@example.net", ["friend@example.com"], "Hello.")
                post.wait_log(r"(timeout|lost connection) after RSET from", 15)

    def test_a_slow_sender_is_cut_off_under_a_request_deadline(self):
        with harness.Instance(self, main_cf="smtpd_timeout = 1s\nsmtpd_per_request_deadline = yes\n"
                                            "smtpd_min_data_rate = 100000\n") as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>"):
                    self.assertEqual(client.command(line)[0], 250)
                self.assertEqual(client.command("DATA")[0], 354)
                started = time.monotonic()
                try:
                    while time.monotonic() - started < 8:
                        client.send("x\r\n")
                        time.sleep(0.2)
                except OSError:
                    pass
                self.assertLess(time.monotonic() - started, 5)
                post.wait_log(r"timeout after DATA \(\d+ bytes\) from")

    def test_a_thousand_idle_sessions_cost_little_memory(self):
        count = 1000
        with harness.Instance(self, main_cf="smtpd_client_connection_count_limit = 0\n") as post:
            memory = lambda: sum(private_memory(pid) for pid in post.pids("smtpd"))
            post.send("you@example.net", ["friend@example.com"], "Hello.")
            before = memory()
            clients = []
            for _ in range(count):
                client = socket.create_connection(("127.0.0.1", post.port))
                clients.append(client)
            for client in clients:
                client.recv(1000)
                client.sendall(b"EHLO client.example\r\n")
            for client in clients:
                client.recv(1000)
            grown = memory() - before
            for client in clients:
                client.close()
            print("%d idle sessions: %d KB, %.1f KB each" % (count, grown // 1024, grown / 1024 / count))
            if not sanitized():
                self.assertLess(grown, 20 * 1024 * count)


def private_memory(pid):
    with open("/proc/%d/smaps_rollup" % pid) as lines:
        text = lines.read()
    return sum(int(size) for size in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.M)) * 1024


def sanitized():
    with open(os.path.join(harness.BUILD, "config.log")) as log:
        return "enable-sanitizers" in log.readline() + "".join(log.readlines(2000))


if __name__ == "__main__":
    harness.main()
