#!/usr/bin/env python3
"""Clients behind a proxy that names them by the PROXY protocol: scripted headers, and the real HAProxy."""
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
import unittest

import harness
import tls_case

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TCP4, TCP6 = 0x11, 0x21
PROXY, LOCAL = 0x21, 0x20


def v1(client="192.0.2.1", server="198.51.100.25", port=4711, family="TCP4"):
    return ("PROXY %s %s %s %d 25\r\n" % (family, client, server, port)).encode()


def v2(client="192.0.2.1", server="198.51.100.25", port=4711, family=TCP4, command=PROXY, more=b""):
    kind = socket.AF_INET if family == TCP4 else socket.AF_INET6
    body = socket.inet_pton(kind, client) + socket.inet_pton(kind, server) + struct.pack(">HH", port, 25) + more
    return SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


class ProxyTestCase(harness.TestCase):
    """Each instance has its usual port for plain clients, and `proxied`, where headers are expected of those
    that `sources` names."""

    def start(self, main_cf="", sources="", options=""):
        self.proxied = harness.free_port()
        post = harness.Instance(self, main_cf="mynetworks = 203.0.113.0/24\nsmtpd_relay_restrictions = permit_mynetworks, "
                                              "reject_unauth_destination\n" + main_cf,
                                master_cf="127.0.0.1:%d inet n - n - - smtpd\n  -o smtpd_upstream_proxy_protocol=haproxy\n%s%s"
                                % (self.proxied, "  -o { smtpd_authorized_proxy_hosts = %s }\n" % sources if sources else "",
                                   options))
        self.addCleanup(post.close)
        return post.start()

    def connect(self, header, port=None):
        client = harness.Dialogue(port or self.proxied)
        self.addCleanup(client.close)
        client.send(header)
        return client

    def greeted(self, header):
        client = self.connect(header)
        self.assertEqual(client.reply()[0], 220)
        self.assertEqual(client.command("EHLO client.example")[0], 250)
        return client

    def assert_closed_without_a_word(self, client):
        self.assertEqual(client.line(), "")


class Headers(ProxyTestCase):
    def test_the_client_of_a_header_is_the_client_of_the_session_in_both_versions(self):
        post = self.start()
        for header, address in ((v1(), "192.0.2.1"), (v2(port=4712), "192.0.2.1"),
                                (v1("2001:db8::1", "2001:db8::25", family="TCP6"), "2001:db8::1"),
                                (v2("2001:db8::2", "2001:db8::25", family=TCP6), "2001:db8::2")):
            client = self.greeted(header)
            client.command("MAIL FROM:<you@example.net>")
            code, lines = client.command("RCPT TO:<friend@elsewhere.example>")
            self.assertEqual(code, 554, lines)
            self.assertIn("Relay access denied", lines[0])
            post.wait_log(r"connect from unknown\[%s\]" % re.escape(address))
            client.command("QUIT")
        self.assertIn("NOQUEUE: reject: RCPT from unknown[2001:db8::2]: 554 5.7.1", post.log())

    def test_the_rights_are_those_of_the_client_and_not_of_the_proxy(self):
        post = self.start()
        client = self.greeted(v2("203.0.113.9"))
        client.command("MAIL FROM:<you@example.net>")
        self.assertEqual(client.command("RCPT TO:<friend@elsewhere.example>")[0], 250)
        self.assertEqual(client.command("RSET")[0], 250)
        mail = self.greeted(v1("203.0.113.10"))
        for line in ("MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>"):
            self.assertEqual(mail.command(line)[0], 250)
        mail.command("DATA")
        self.assertEqual(mail.command("Subject: x\r\n\r\nx\r\n.")[0], 250)
        self.assertRegex(post.wait_mail("friend")[0], r"Received: from client\.example \(unknown \[203\.0\.113\.10\]\)")

    def test_a_header_may_come_in_single_bytes_and_with_more_than_addresses(self):
        self.start()
        for header in (v1(), v2(more=b"\x04\0\x03abc" * 500)):
            client = self.connect(b"")
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, min(len(header), 60)):
                client.send(header[at:at + 1])
            client.send(header[60:])
            self.assertEqual(client.reply()[0], 220)

    def test_what_follows_the_header_at_once_is_what_the_client_says(self):
        post = self.start()
        client = self.connect(v2() + b"EHLO client.example\r\n")
        self.assertEqual(client.reply()[0], 220)
        self.assertEqual(client.reply()[0], 250)
        self.assertNotIn("warning", post.log())

    def test_a_proxy_that_speaks_for_itself_is_the_client(self):
        post = self.start()
        for header in (b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\0\0\0", v2(command=LOCAL)):
            self.greeted(header).command("QUIT")
        harness.wait_until(lambda: len(re.findall(r"disconnect from unknown\[127\.0\.0\.1\] ehlo=1 quit=1", post.log())) == 3,
                           "three sessions of the proxy itself")
        self.assertNotIn("192.0.2.1", post.log())

    def test_25_a_missing_or_broken_header_ends_the_connection_before_a_word_of_smtp(self):
        post = self.start()
        for header in (b"EHLO client.example\r\n", b"PROXY TCP4 192.0.2.1 198.51.100.25 4711\r\n", b"PROXY UNKNOWN " + b"x" * 120,
                       SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 40, SIGNATURE + b"\x21\x11\0\x05hello",
                       SIGNATURE + b"\x31\x11\0\x0c" + b"x" * 12, v1()[:20] + b"\r\n"):
            self.assert_closed_without_a_word(self.connect(header))
        log = post.log()
        self.assertEqual(len(re.findall(r"warning: no PROXY header from \[127\.0\.0\.1\]:\d+: .*: connection closed", log)), 7, log)
        self.assertEqual(log.count("]: connect from "), 1, "the harness's own")

    def test_who_sends_no_header_is_not_waited_for_longer_than_the_timeout(self):
        post = self.start(options="  -o smtpd_upstream_proxy_timeout=1s\n")
        begun = time.monotonic()
        self.assert_closed_without_a_word(self.connect(b"PROXY TCP4 192"))
        self.assertGreater(time.monotonic() - begun, 0.9)
        self.assertLess(time.monotonic() - begun, 4)
        post.wait_log(r"no PROXY header from \[127\.0\.0\.1\]:\d+: timed out")

    def test_xclient_goes_by_the_client_that_the_proxy_names(self):
        self.start(main_cf="smtpd_authorized_xclient_hosts = 192.0.2.1\n")
        client = self.greeted(v1())
        self.assertEqual(client.command("XCLIENT ADDR=203.0.113.7 DESTADDR=198.51.100.1 DESTPORT=587")[0], 220)
        other = self.greeted(v1("192.0.2.2"))
        self.assertEqual(other.command("XCLIENT ADDR=203.0.113.7")[0], 550)
        own = self.greeted(b"PROXY UNKNOWN\r\n")
        self.assertEqual(own.command("XCLIENT ADDR=203.0.113.7")[0], 550)

    def test_the_limit_of_connections_is_the_clients_own(self):
        self.start(main_cf="smtpd_client_connection_count_limit = 2\nsmtpd_client_event_limit_exceptions =\n")
        held = [self.greeted(v1("192.0.2.1")) for _ in range(2)]
        self.assertEqual(self.connect(v1("192.0.2.1")).reply()[0], 421)
        held += [self.greeted(v1("192.0.2.2"))]


class MixedPort(ProxyTestCase):
    def test_a_host_that_is_no_proxy_is_a_client_and_never_believed(self):
        post = self.start(sources="192.0.2.0/24")
        plain = harness.Dialogue(self.proxied)
        self.addCleanup(plain.close)
        self.assertEqual(plain.reply()[0], 220)
        self.assertEqual(plain.command("QUIT")[0], 221)
        liar = self.connect(v1("203.0.113.9"))
        self.assertEqual(liar.reply()[0], 220)
        liar.reply()
        self.assertNotIn("203.0.113.9", re.sub(r"non-SMTP command.*", "", post.log()))
        self.assertIn("connect from unknown[127.0.0.1]", post.log())

    def test_proxies_and_plain_clients_share_a_port(self):
        post = self.start(sources="127.0.0.2")
        with socket.socket() as proxy:
            proxy.bind(("127.0.0.2", 0))
            proxy.connect(("127.0.0.1", self.proxied))
            proxy.settimeout(15)
            proxy.sendall(v2("192.0.2.77"))
            self.assertEqual(proxy.recv(4), b"220 ")
        plain = harness.Dialogue(self.proxied)
        self.addCleanup(plain.close)
        self.assertEqual(plain.reply()[0], 220)
        post.wait_log(r"connect from unknown\[192\.0\.2\.77\]")
        post.wait_log(r"connect from unknown\[127\.0\.0\.1\]")


class WrapperMode(tls_case.TlsTestCase):
    def test_a_header_stands_before_the_first_byte_of_tls(self):
        proxied = harness.free_port()
        with self.instance(master_cf="127.0.0.1:%d inet n - n - - smtpd\n  -o smtpd_upstream_proxy_protocol=haproxy\n"
                                     "  -o smtpd_tls_wrappermode=yes\n" % proxied) as post:
            for header in (v1(), v2(more=b"\x04\0\x03abc")):
                client = harness.Dialogue(proxied)
                self.addCleanup(client.close)
                context = tls_case.trusting_all()
                # The header and the client's first TLS record arrive together.
                incoming, outgoing = tls_case.ssl.MemoryBIO(), tls_case.ssl.MemoryBIO()
                tls = context.wrap_bio(incoming, outgoing)
                with self.assertRaises(tls_case.ssl.SSLWantReadError):
                    tls.do_handshake()
                client.send(header + outgoing.read())
                while True:
                    incoming.write(client.socket.recv(65536))
                    try:
                        tls.do_handshake()
                        break
                    except tls_case.ssl.SSLWantReadError:
                        client.send(outgoing.read() or b"")
                client.send(outgoing.read())
                while True:
                    try:
                        self.assertTrue(tls.read(100).startswith(b"220 "))
                        break
                    except tls_case.ssl.SSLWantReadError:
                        incoming.write(client.socket.recv(65536))
            post.wait_log(r"Anonymous TLS connection established from unknown\[192\.0\.2\.1\]")


HAPROXY = """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
%s
"""
PAIR = """
listen {name}
    bind 127.0.0.1:{front}
    bind {v6}:{front}
    server post 127.0.0.1:{back} {option} {check}
"""


@unittest.skipUnless(shutil.which("haproxy"), "no haproxy")
class HaProxy(ProxyTestCase):
    def run_haproxy(self, post, sections):
        path = post.write("haproxy.cfg", HAPROXY % "".join(sections))
        process = subprocess.Popen(["haproxy", "-db", "-f", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   cwd="/", preexec_fn=post.become_user if post.drops else None)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.send_signal, signal.SIGTERM)

    def through(self, host, port, kind, from_host):
        client = socket.socket(kind)
        client.settimeout(15)
        client.bind((from_host, 0))
        client.connect((host, port))
        self.addCleanup(client.close)
        return client

    def test_haproxy_in_front_names_its_clients_in_both_versions_and_checks_our_health(self):
        post = self.start(main_cf="smtpd_tls_security_level = none\n")
        ports = {option: harness.free_port() for option in ("send-proxy", "send-proxy-v2")}
        self.run_haproxy(post, [PAIR.format(name=option, front=port, back=self.proxied, option=option, v6="::1",
                                            check="check inter 200ms") for option, port in ports.items()])
        harness.wait_until(lambda: all(post.answers(port) for port in ports.values()), "haproxy answers")
        for number, port in enumerate(ports.values()):
            client = self.through("127.0.0.1", port, socket.AF_INET, "127.0.0.%d" % (40 + number))
            self.assertEqual(client.recv(4), b"220 ")
            post.wait_log(r"connect from unknown\[127\.0\.0\.%d\]" % (40 + number))
            client = self.through("::1", port, socket.AF_INET6, "::1")
            self.assertEqual(client.recv(4), b"220 ")
        harness.wait_until(lambda: len(re.findall(r" connect from unknown\[::1\]", post.log())) == 2, "two clients over IPv6")
        self.assertNotIn("no PROXY header", post.log())


if __name__ == "__main__":
    harness.main()
