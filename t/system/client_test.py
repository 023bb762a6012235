#!/usr/bin/env python3
"""smtp and lmtp in the whole suite: hosts found by a name server of the test's own, and what they are sent.
Numbers in names are those of the behaviours that are easy to get wrong."""
import os
import socket
import struct
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
        self.handle, self.connections, self.errors = self.session, 0, []
        self.answer, self.messages, self.commands = answer, [], []
        self.listener = socket.create_server((address, port), backlog=100)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()


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


class Content(harness.TestCase):
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
    def slow_sink(seconds):
        return harness.SinkServer(lambda verb, _: time.sleep(seconds) if verb == "END" else None)

    def test_54_a_reload_lets_a_delivery_come_to_its_end(self):
        with self.slow_sink(3) as sink, harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d" % sink.port) as post:
            post.send(SENDER, ["a@far.example"], "Hello.")
            self.wait_until(lambda: "DATA" in sink.commands, "the dialogue")
            post.reload()
            post.wait_log(r"to=<a@far.example>.* status=sent ")
            post.wait_queue(0)
            self.assertEqual(len(sink.messages), 1)
            self.assertNotIn("status=deferred", post.log())

    def test_31_a_client_that_is_killed_after_the_final_dot_loses_no_mail(self):
        with self.slow_sink(2) as sink, harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d" % sink.port) as post:
            post.send(SENDER, ["a@far.example"], "Hello.")
            self.wait_until(lambda: "DATA" in sink.commands, "the dialogue")
            post.kill("smtp")
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
            server = harness.FakeServer.__new__(harness.FakeServer)
            server.handle, server.connections, server.errors = session, 0, []
            server.listener = socket.socket(socket.AF_UNIX)
            server.listener.bind(path)
            os.chmod(path, 0o777)
            server.listener.listen()
            threading.Thread(target=server.accept, daemon=True).start()
            post.send(SENDER, ["good@far.example", "full@far.example"], "Hello.")
            post.wait_log(r"to=<good@far.example>, relay=\S+\[lmtp-socket\], .*dsn=2.0.0, status=sent \(250 2.0.0 stored\)")
            post.wait_log(r"to=<full@far.example>, .*dsn=4.2.2, status=deferred .*452 4.2.2 full")
            server.close()


if __name__ == "__main__":
    harness.main()
