#!/usr/bin/env python3
"""smtp and lmtp in the whole suite: hosts found by a name server of the test's own, and what they are sent.
Numbers in names are those of the behaviours that are easy to get wrong."""
import contextlib
import email.message
import email.policy
import glob
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import harness

SENDER = "sender@example.com"
A, MX = 1, 15
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


class NameServer:
    """Answers over UDP from `records`: {(name, type): [data]}; `codes`: {name: response code}."""

    def __init__(self):
        self.records, self.codes = {}, {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def mx(self, domain, *hosts):
        """hosts: (preference, name, address or None)"""
        self.records[domain, MX] = [struct.pack(">H", preference) + self.name(host) for preference, host, _ in hosts]
        for _, host, address in hosts:
            if address:
                self.records[host, A] = [socket.inet_aton(address)]

    @staticmethod
    def name(text):
        labels = [label.encode() for label in text.split(".") if label]
        return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"

    def serve(self):
        while True:
            try:
                query, client = self.socket.recvfrom(4096)
            except OSError:
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            name, kind = ".".join(labels).lower(), struct.unpack(">H", query[at + 1:at + 3])[0]
            known = any(record[0] == name for record in self.records)
            code = self.codes.get(name, NOERROR if known else NXDOMAIN)
            answers = self.records.get((name, kind), []) if code == NOERROR else []
            reply = query[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(answers), 0, 0) + query[12:at + 5]
            for data in answers:
                reply += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data
            self.socket.sendto(reply, client)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class HostAt(harness.SinkServer):
    """A host at another loopback address; all of a test share a port, as hosts of the world do."""

    def __init__(self, address, port=0, answer=None):
        super().__init__(answer, port, address)


def dns_settings(server, port):
    return ("dns_servers = 127.0.0.1:%d\nsmtp_host_lookup = dns\nsmtp_tcp_port = %d\nbounce_queue_lifetime = 1d\n"
            "minimal_backoff_time = 1000s\nmaximal_backoff_time = 4000s\n" % (server.port, port))


class MailExchangers(harness.TestCase):
    def test_41_43_the_best_host_that_talks_gets_the_mail(self):
        with NameServer() as names, HostAt("127.0.0.2", answer=lambda verb, _: "554 no" if verb == "CONNECT" else None) as one:
            with HostAt("127.0.0.3", one.port) as two, HostAt("127.0.0.4", one.port) as three:
                names.mx("far.example", (30, "three.far.example", "127.0.0.4"), (20, "two.far.example", "127.0.0.3"),
                         (10, "one.far.example", "127.0.0.2"))
                with harness.Instance(self, main_cf=dns_settings(names, one.port)) as post:
                    post.send(SENDER, ["friend@far.example"], "Hello.")
                    post.wait_log(r"relay=two.far.example\[127.0.0.3\]:%d, .*status=sent" % one.port)
                    self.assertEqual((one.connections, len(two.messages), three.connections), (1, 1, 0))

    def test_41_a_null_mx_a_loop_and_a_name_that_does_not_exist_bounce_at_once(self):
        with NameServer() as names:
            names.mx("null.example", (0, "", None))
            names.mx("loop.example", (10, "me.example", "127.0.0.1"))
            with harness.Instance(self, main_cf=dns_settings(names, 2525)) as post:
                post.send(SENDER, ["a@null.example", "a@loop.example", "a@nowhere.example"], "Hello.")
                post.wait_log(r"to=<a@null.example>, .*dsn=5.1.0, status=bounced \(Domain null.example does not accept mail \(nullMX\)\)")
                post.wait_log(r"to=<a@loop.example>, .*dsn=5.4.6, status=bounced \(mail for loop.example loops back to myself\)")
                post.wait_log(r"to=<a@nowhere.example>, .*dsn=5.4.4, status=bounced \(Host or domain name not found")

    def test_41_a_name_server_that_fails_defers(self):
        with NameServer() as names:
            names.codes["broken.example"] = SERVFAIL
            with harness.Instance(self, main_cf=dns_settings(names, 2525)) as post:
                post.send(SENDER, ["a@broken.example"], "Hello.")
                post.wait_log(r"to=<a@broken.example>, .*dsn=4.4.3, status=deferred \(Host or domain name not found")

    def test_41_a_domain_without_mx_is_its_own_host(self):
        with NameServer() as names, HostAt("127.0.0.2") as host:
            names.records["plain.example", A] = [socket.inet_aton("127.0.0.2")]
            with harness.Instance(self, main_cf=dns_settings(names, host.port)) as post:
                post.send(SENDER, ["a@plain.example"], "Hello.")
                post.wait_log(r"relay=plain.example\[127.0.0.2\]:%d, .*status=sent" % host.port)


class Named:
    """BIND with one zone, test.example, made of `lines`."""
    program = "/usr/sbin/named"

    def __init__(self, test, lines):
        if not os.access(self.program, os.X_OK):
            test.skipTest("no name server is installed")
        self.folder, self.port = tempfile.mkdtemp(prefix="posthouse-named-"), harness.free_port()
        with open(os.path.join(self.folder, "zone"), "w") as zone:
            zone.write("$TTL 60\n@ SOA ns root 1 60 60 60 5\n@ NS ns\nns A 127.0.0.1\n" + "\n".join(lines) + "\n")
        with open(os.path.join(self.folder, "named.conf"), "w") as configuration:
            configuration.write('options {{ directory "{0}"; listen-on port {1} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n'
                                'recursion no; pid-file none; session-keyfile none; dnssec-validation no; }};\n'
                                'controls {{ }};\nzone "test.example" {{ type master; file "zone"; }};\n'
                                .format(self.folder, self.port))
        self.log = open(os.path.join(self.folder, "log"), "w")
        self.process = subprocess.Popen([self.program, "-g", "-n", "1", "-c", os.path.join(self.folder, "named.conf")],
                                        stderr=self.log)
        harness.wait_until(self.answers, "the name server")

    def answers(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.5)
            asking.connect(("127.0.0.1", self.port))
            try:
                asking.send(b"\x12\x34\0\0\0\1\0\0\0\0\0\0\4test\7example\0\0\6\0\1")
                return asking.recv(512)[3] & 15 == 0
            except OSError:
                return False

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class RealNames(harness.TestCase):
    """Hosts as a real name server tells of them: each case ends in a delivery, a bounce or another try."""

    def test_41_every_shape_of_mx_ends_as_it_should(self):
        # The answer takes more than fits into a datagram, and one MX of 95 is up.
        many = ["many MX %d m%d" % (10 + number, number) for number in range(95)]
        hosts = ["m%d A 127.0.0.%d" % (number, 2 if number == 1 else 9) for number in range(95)]
        zone = ["null MX 0 .", "gone MX 10 nothing", "implicit A 127.0.0.2", "alias MX 10 other", "other CNAME there",
                "there A 127.0.0.2", "turned CNAME alias", "self MX 10 me", "me A 127.0.0.1",
                "both MX 10 better", "both MX 20 me", "both MX 30 there", "better A 127.0.0.9",
                "text TXT x", "refusing MX 10 refuses", "refuses A 127.0.0.9", "next MX 10 refuses", "next MX 20 there"]
        with Named(self, zone + many + hosts) as names, HostAt("127.0.0.2") as host:
            settings = dns_settings(names, host.port) + "smtp_connect_timeout = 5s\n"
            with harness.Instance(self, main_cf=settings) as post:
                expected = {
                    "null": r"dsn=5\.1\.0, status=bounced \(Domain null\.test\.example does not accept mail \(nullMX\)\)",
                    "gone": r"dsn=5\.4\.4, status=bounced \(Host or domain name not found",
                    "nowhere": r"dsn=5\.4\.4, status=bounced \(Host or domain name not found",
                    "text": r"dsn=5\.4\.4, status=bounced",
                    "implicit": r"relay=implicit\.test\.example\[127\.0\.0\.2\]:\d+, .*status=sent",
                    "alias": r"relay=\w+\.test\.example\[127\.0\.0\.2\]:\d+, .*status=sent",
                    "turned": r"relay=\w+\.test\.example\[127\.0\.0\.2\]:\d+, .*status=sent",
                    "self": r"dsn=5\.4\.6, status=bounced \(mail for self\.test\.example loops back to myself\)",
                    # Neither this host nor a worse one: what is better is down for the moment.
                    "both": r"dsn=4\.4\.1, status=deferred \(connect to better\.test\.example.*refused",
                    "refusing": r"dsn=4\.4\.1, status=deferred \(connect to refuses\.test\.example.*Connection refused\)",
                    "next": r"relay=there\.test\.example\[127\.0\.0\.2\]:\d+, .*status=sent",
                    "many": r"relay=m1\.test\.example\[127\.0\.0\.2\]:\d+, .*status=sent",
                }
                post.send(SENDER, ["a@%s.test.example" % name for name in expected], "Hello.")
                for name, line in expected.items():
                    post.wait_log(r"to=<a@%s\.test\.example>, .*%s" % (name, line))

    def test_13_a_name_server_that_is_down_defers_until_it_is_back(self):
        with Named(self, ["late MX 10 there", "there A 127.0.0.2"]) as names, HostAt("127.0.0.2") as host:
            settings = dns_settings(names, host.port).replace("1000s", "1s").replace("4000s", "2s")
            with harness.Instance(self, main_cf=settings) as post:
                names.stop()
                post.send(SENDER, ["a@late.test.example"], "Hello.")
                post.wait_log(r"to=<a@late\.test\.example>, .*dsn=4\.4\.3, status=deferred \(Host or domain name not found")
                self.assertEqual(len(post.queue()), 1)
                names.process = subprocess.Popen([names.program, "-g", "-n", "1", "-c", names.folder + "/named.conf"],
                                                 stderr=names.log)
                post.wait_log(r"to=<a@late\.test\.example>, relay=there.*status=sent", 60)

    def test_42_a_host_of_both_families_is_reached_by_the_one_that_works(self):
        with Named(self, ["dual MX 10 host", "host A 127.0.0.2", "host AAAA ::1", "six MX 10 only", "only AAAA ::1"]) as names:
            with HostAt("127.0.0.2") as host:
                settings = dns_settings(names, host.port) + "inet_protocols = all\nsmtp_address_preference = ipv6\n"
                with harness.Instance(self, main_cf=settings) as post:
                    post.send(SENDER, ["a@dual.test.example", "a@six.test.example"], "Hello.")
                    post.wait_log(r"to=<a@dual\.test\.example>, relay=host\.test\.example\[127\.0\.0\.2\]:.*status=sent")
                    post.wait_log(r"to=<a@six\.test\.example>, .*dsn=4\.4\.1, status=deferred \(connect to only.*\[::1\]")


def silent_at(phase):
    """A host that does all it should up to `phase` ("GREETING", "EHLO", ...) and then says nothing any more."""

    def session(peer):
        def say(line, at):
            if at == phase:
                time.sleep(40)
            peer.send(line + "\r\n")
        say("220 silent.test.example ESMTP", "GREETING")
        while True:
            verb = peer.line().split(" ")[0].upper()
            if verb == "EHLO":
                say("250-silent.test.example\r\n250 XFORWARD NAME ADDR" if phase == "XFORWARD" else "250 silent.test.example", verb)
            elif verb == "DATA":
                say("354 go ahead", verb)
                if phase == "CONTENT":
                    time.sleep(40)
                while peer.file.readline() not in (b".\r\n", b""):
                    pass
                say("250 2.0.0 Ok", "END")
            elif verb == "":
                return
            else:
                say("250 2.0.0 Ok", verb)
    return harness.FakeServer(session)


class TimeOuts(harness.TestCase):
    def test_44_a_host_that_falls_silent_at_any_phase_is_given_up_after_that_phases_time(self):
        phases = {
            "GREETING": "while receiving the initial server greeting", "EHLO": "while performing the EHLO handshake",
            "XFORWARD": "while sending XFORWARD", "MAIL": "while sending MAIL FROM", "RCPT": "while sending RCPT TO",
            "DATA": "while sending DATA command", "CONTENT": "while sending message body",
            "END": "while sending end of data -- message may be sent more than once",
        }
        times = "".join("smtp_%s_timeout = 3s\n" % name for name in (
            "helo", "xforward", "mail", "rcpt", "data_init", "data_xfer", "data_done", "quit"))
        servers = {phase: silent_at(phase) for phase in list(phases) + ["QUIT"]}
        transports = ", ".join("%s.far.example=smtp:[127.0.0.1]:%d" % (phase.lower(), server.port)
                               for phase, server in servers.items())
        settings = ("transport_maps = inline:{ %s }\n" % transports + times + "smtp_send_xforward_command = yes\n"
                    "smtp_skip_quit_response = no\nsmtp_connection_cache_on_demand = no\n"
                    "minimal_backoff_time = 1000s\nmaximal_backoff_time = 4000s\n")
        post = harness.Instance(self)
        with open(post.main_cf_path, "a") as configuration:
            configuration.write(settings)
        with post:
            line = "x" * 70 + "\r\n"
            post.send(SENDER, ["a@content.far.example"], line * 110000)
            post.send(SENDER, ["a@%s.far.example" % phase.lower() for phase in servers if phase != "CONTENT"], "Hello.")
            for phase, doing in phases.items():
                post.wait_log(r"to=<a@%s\.far\.example>, .*dsn=4\.4\.2, status=deferred \(conversation with "
                              r"127\.0\.0\.1\[127\.0\.0\.1\] timed out %s\)" % (phase.lower(), doing))
            # Whatever becomes of QUIT, the mail is delivered.
            post.wait_log(r"to=<a@quit\.far\.example>, .*status=sent")
        for server in servers.values():
            server.close()

    def test_44_a_host_that_does_not_take_the_connection_is_given_up_after_the_connect_time(self):
        with socket.socket() as listener, contextlib.ExitStack() as waiting:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            address = listener.getsockname()
            for _ in range(4):  # its queue is full now: the next SYN gets no answer
                one = waiting.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(address)
            with harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d\nsmtp_connect_timeout = 1s\n" % address[1]) as post:
                post.send(SENDER, ["a@far.example"], "Hello.")
                post.wait_log(r"connect to 127\.0\.0\.1\[127\.0\.0\.1\]:%d: Connection timed out" % address[1])
                found = post.wait_log(r"to=<a@far\.example>, relay=none, delay=([\d.]+), .*dsn=4\.4\.1, "
                                      r"status=deferred \(connect to .*timed out\)")
                self.assertLess(float(found[1]), 10)  # the default is 30 s


class Content(harness.TestCase):
    @staticmethod
    def contents(message):
        found = [part.get_content() for part in message.walk() if not part.is_multipart()]
        return [one.replace("\r\n", "\n") if isinstance(one, str) else one for one in found]

    def test_50_a_host_without_8bitmime_gets_the_same_text_in_seven_bits(self):
        answer = lambda verb, _: "250-sink.test.example\r\n250 PIPELINING" if verb == "EHLO" else None
        message = email.message.EmailMessage()
        message["Subject"] = "eight bits"
        message.set_content("Grüße = \n.x \n" + "é" * 100 + "\n", cte="8bit")
        message.add_attachment("Übung\n", filename="a.txt", cte="8bit")
        message.add_attachment(b"\x00\xff" * 100, maintype="application", subtype="octet-stream")
        with harness.SinkServer(answer) as sink, harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d" % sink.port) as post:
            with post.smtp() as client:
                client.sendmail(SENDER, ["a@far.example"], message.as_bytes(policy=email.policy.SMTP), ["BODY=8BITMIME"])
            self.wait_until(lambda: sink.messages, "delivery")
            sender, _, text = sink.messages[0]
            self.assertNotIn("BODY", sender)
            self.assertTrue(text.isascii())
            self.assertLessEqual(max(map(len, text.split("\r\n"))), 200)
            got = email.message_from_string(text, policy=email.policy.default)
            self.assertEqual(self.contents(got), self.contents(message))
            self.assertEqual({part["Content-Transfer-Encoding"] for part in got.walk()} - {None},
                             {"quoted-printable", "base64"} | ({"7bit"} if "7bit" in text else set()))

    def test_50_mail_that_needs_smtputf8_comes_back_from_a_host_that_does_not_offer_it(self):
        answer = lambda verb, _: "250-sink.test.example\r\n250 8BITMIME" if verb == "EHLO" else None
        with harness.SinkServer(answer) as sink, harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d" % sink.port) as post:
            with harness.Dialogue(post.port) as client:
                client.reply()
                client.command("EHLO client.test.example")
                for line in ("MAIL FROM:<%s> SMTPUTF8" % SENDER, "RCPT TO:<grüße@far.example>"):
                    self.assertEqual(client.command(line)[0], 250)
                client.command("DATA")
                self.assertEqual(client.command("Subject: x\r\n\r\nHello.\r\n.")[0], 250)
            post.wait_log(r"to=<gr.*@far\.example>, .*dsn=5\.6\.7, status=bounced \(SMTPUTF8 is required")
            self.assertIn("5.6.7", post.wait_mail("sender")[0])
            self.assertEqual(sink.messages, [])

    def test_38_content_that_was_damaged_on_the_disk_is_not_relayed_and_other_mail_is(self):
        busy = {"yes": True}
        answer = lambda verb, _: "450 4.2.1 later" if verb == "RCPT" and busy["yes"] else None
        with harness.SinkServer(answer) as sink, harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d" % sink.port) as post:
            for mark in ("sound-mark", "broken-mark"):
                post.send(SENDER, ["%s@far.example" % mark[:5]], mark)
            post.wait_log(r"to=<sound@far.*status=deferred")
            post.wait_log(r"to=<broke@far.*status=deferred")
            for path in glob.glob(os.path.join(post.spool, "mail", "*", "*")):
                with open(path, "r+b") as message:
                    at = message.read().find(b"broken-mark")
                    if at >= 0:
                        message.seek(at)
                        message.write(b"B")
            busy["yes"] = False
            post.wait_log(r"to=<sound@far\.example>.* status=sent")
            post.wait_log(r"to=<broke@far\.example>.* dsn=4\.3\.0, status=deferred \(damaged queue file: the content does "
                          r"not agree with its checksum\)")
            self.assertEqual([text.split("\r\n\r\n")[1].strip() for _, _, text in sink.messages], ["sound-mark"])

    def test_3_content_arrives_as_it_was_sent_dots_and_all(self):
        body = "".join(line + "\r\n" for line in (".", "..", ".x", "x.", "", "end", "."))
        with harness.SinkServer() as sink, harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d" % sink.port) as post:
            with post.smtp() as client:
                client.sendmail(SENDER, ["a@far.example"], "Subject: dots\r\n\r\n" + body)
            self.wait_until(lambda: sink.messages, "delivery")
            self.assertTrue(sink.messages[0][2].endswith("\r\n\r\n" + body))

    def test_4_a_line_above_the_limit_is_folded_for_the_next_host(self):
        with harness.SinkServer() as sink, harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d" % sink.port) as post:
            with post.smtp() as client:
                client.sendmail(SENDER, ["a@far.example"], "Subject: long\r\n\r\n" + "x" * 2500 + "\r\n")
            self.wait_until(lambda: sink.messages, "delivery")
            lines = sink.messages[0][2].split("\r\n")
            self.assertEqual(lines[-4:], ["x" * 998, " " + "x" * 997, " " + "x" * 505, ""])


class Interruptions(harness.TestCase):
    @staticmethod
    def holding_sink(release):
        """Does not say what becomes of the content before the event."""
        return harness.SinkServer(lambda verb, _: None if verb != "END" or release.wait(60) else "451 4.3.0 too late")

    def test_54_a_reload_lets_a_delivery_come_to_its_end(self):
        release = threading.Event()
        with self.holding_sink(release) as sink, harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d" % sink.port) as post:
            post.send(SENDER, ["a@far.example"], "Hello.")
            self.wait_until(lambda: "DATA" in sink.commands, "the dialogue")
            before = set(post.pids("smtp"))
            post.reload()
            post.wait_log(r"qmgr\[\d+\]: configuration reloaded")
            # Other mail is for another process, now that those that ran are to end.
            post.send(SENDER, ["b@far.example"], "Hello.")
            self.wait_until(lambda: set(post.pids("smtp")) - before, "a new process")
            release.set()
            for name in "ab":
                post.wait_log(r"to=<%s@far.example>.* status=sent " % name)
            post.wait_queue(0)
            self.assertEqual(len(sink.messages), 2)
            self.assertNotIn("status=deferred", post.log())

    def test_31_a_client_that_is_killed_after_the_final_dot_loses_no_mail(self):
        at_the_dot, release = threading.Event(), threading.Event()

        def answer(verb, argument):
            if verb == "END":
                at_the_dot.set()
                release.wait(60)
        with harness.SinkServer(answer) as sink, harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d" % sink.port) as post:
            post.send(SENDER, ["a@far.example"], "Hello.")
            self.assertTrue(at_the_dot.wait(harness.PATIENCE))
            post.kill("smtp")
            release.set()
            post.wait_log(r"to=<a@far.example>.* status=sent ")
            post.wait_queue(0)
            self.assertIn(len(sink.messages), (1, 2))  # the one window in which a second copy is possible

    def test_30_only_the_deferred_recipient_is_tried_again_after_a_crash(self):
        busy = {"yes": True}
        answer = lambda verb, argument: "450 4.2.1 later" if verb == "RCPT" and "late@" in argument and busy["yes"] else None
        with harness.SinkServer(answer) as sink, harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d" % sink.port) as post:
            post.send(SENDER, ["a@far.example", "late@far.example"], "Hello.")
            post.wait_log(r"to=<late@far.example>.* status=deferred ")
            post.kill("qmgr")
            busy["yes"] = False
            post.wait_log(r"to=<late@far.example>.* status=sent ")
            post.wait_queue(0)
            self.assertEqual([["a@" in one for one in recipients] for _, recipients, _ in sink.messages], [[True], [False]])


class Lmtp(harness.TestCase):
    def test_52_lmtp_over_a_socket_gives_each_recipient_its_own_outcome(self):
        def session(peer):
            peer.send("220 store LMTP\r\n")
            recipients = []
            while True:
                line = peer.line()
                verb = line.split(" ")[0].upper()
                if verb == "LHLO":
                    peer.send("250-store\r\n250 PIPELINING\r\n")
                elif verb == "RCPT":
                    recipients.append(line)
                    peer.send("250 2.1.5 Ok\r\n")
                elif verb == "DATA":
                    peer.send("354 go ahead\r\n")
                    while peer.file.readline() not in (b".\r\n", b""):
                        pass
                    for one in recipients:
                        peer.send("452 4.2.2 full\r\n" if "full" in one else "250 2.0.0 stored\r\n")
                elif verb in ("", "QUIT"):
                    return
                else:
                    peer.send("250 2.0.0 Ok\r\n")

        main_cf = "default_transport = lmtp:unix:lmtp-socket\nminimal_backoff_time = 1000s\nmaximal_backoff_time = 4000s\n"
        with harness.Instance(self, main_cf=main_cf) as post:
            path = os.path.join(post.spool, "lmtp-socket")
            server = harness.FakeServer(session, listener=harness.unix_listener(path))
            post.send(SENDER, ["good@far.example", "full@far.example"], "Hello.")
            post.wait_log(r"to=<good@far.example>, relay=\S+\[lmtp-socket\], .*dsn=2.0.0, status=sent \(250 2.0.0 stored\)")
            post.wait_log(r"to=<full@far.example>, .*dsn=4.2.2, status=deferred .*452 4.2.2 full")
            server.close()


if __name__ == "__main__":
    harness.main()
