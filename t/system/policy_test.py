#!/usr/bin/env python3
"""check_policy_service with the policy servers that people run, and with one that says nothing."""
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import harness
import name_server

POSTGREY = shutil.which("postgrey", path="/usr/sbin:/usr/bin")
POLICYD_SPF = shutil.which("policyd-spf")
HELD = 1000  # clients that wait for a policy server
MAIN_CF = "smtpd_authorized_xclient_hosts = 127.0.0.0/8\nsmtpd_client_connection_count_limit = 0\n"


def rcpt(post, address, sender="you@example.net", recipient="friend@example.com", helo="client.example"):
    """What a client at this address hears at RCPT."""
    with harness.Dialogue(post.port) as client:
        client.reply()
        client.command("XCLIENT ADDR=%s NAME=[UNAVAILABLE]" % address)
        client.command("EHLO " + helo)
        client.command("MAIL FROM:<%s>" % sender)
        code, lines = client.command("RCPT TO:<%s>" % recipient)
        return "%d %s" % (code, lines[-1])


class Postgrey:
    """The real one, with a data base of its own."""

    def __init__(self):
        self.folder, self.port = tempfile.mkdtemp(prefix="posthouse-postgrey-"), harness.free_port()
        user = pwd.getpwuid(os.geteuid() or pwd.getpwnam("nobody").pw_uid)
        if not os.geteuid():
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        group = "nogroup" if not os.geteuid() else str(user.pw_gid)
        self.process = subprocess.Popen([POSTGREY, "--inet=127.0.0.1:%d" % self.port, "--dbdir=" + self.folder, "--delay=2",
                                         "--user=" + user.pw_name, "--group=" + group, "--greylist-text=Greylisted, come back"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self):
        harness.wait_until(self.answers, "postgrey answers")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Spawner(harness.Listener):
    """Starts a program for each connection, as spawn(8) does."""

    def __init__(self, command):
        self.command, self.started = command, []
        super().__init__()

    def connected(self, connection):
        with connection:
            self.started.append(subprocess.Popen(self.command, stdin=connection, stdout=connection, stderr=subprocess.DEVNULL))

    def close(self):
        super().close()
        for process in self.started:
            process.terminate()
            process.wait()


class SilentServer(harness.Listener):
    """Accepts and reads, and never says a word."""

    def __init__(self):
        self.connections = []
        super().__init__()

    def connected(self, connection):
        self.connections.append(connection)

    def close(self):
        super().close()
        for connection in self.connections:
            connection.close()


class RealServers(harness.TestCase):
    @unittest.skipUnless(POSTGREY, "postgrey is not installed")
    def test_postgrey_puts_a_stranger_off_once(self):
        with Postgrey() as postgrey, harness.Instance(self, main_cf=MAIN_CF +
                "smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:%d\n" % postgrey.port) as post:
            self.assertRegex(rcpt(post, "198.51.100.2"),
                             r"^450 4\.2\.0 <friend@example\.com>: Recipient address rejected: Greylisted, come back$")
            post.wait_log(r"NOQUEUE: reject: RCPT from unknown\[198\.51\.100\.2\]: 450 4\.2\.0 .*Greylisted")
            time.sleep(2.2)  # postgrey's --delay
            with harness.Dialogue(post.port) as client:
                client.reply()
                client.command("XCLIENT ADDR=198.51.100.2 NAME=[UNAVAILABLE]")
                for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>"):
                    self.assertEqual(client.command(line)[0], 250)
                client.command("DATA")
                self.assertEqual(client.command("Subject: x\r\n\r\nbody\r\n.")[0], 250)
            self.assertRegex(post.wait_mail("friend")[0], r"(?m)^X-Greylist: delayed \d+ seconds by postgrey")
            self.assertEqual(rcpt(post, "198.51.100.2")[:3], "250")

    @unittest.skipUnless(POLICYD_SPF, "policyd-spf is not installed")
    def test_policyd_spf_refuses_a_sender_from_elsewhere_and_marks_one_from_home(self):
        records = 'home TXT "v=spf1 ip4:198.51.100.0/24 -all"\nclient A 198.51.100.2\n'
        names = name_server.NameServer(self, {"example.test": records})
        # Its name server is that of the system: here it is told of the test's.
        program = ("import sys, DNS; DNS.defaults.update(server=['127.0.0.1'], port=%d); sys.argv = ['policyd-spf', %r]\n"
                   "import spf; DNS.defaults.update(server=['127.0.0.1'], port=%d)\n"
                   "from spf_engine.policyd_spf import main; main()" %
                   (names.port, "/etc/postfix-policyd-spf-python/policyd-spf.conf", names.port))
        with Spawner(["/usr/bin/python3", "-c", program]) as spf, harness.Instance(self, main_cf=MAIN_CF +
                "smtpd_recipient_restrictions = check_policy_service {{ inet:127.0.0.1:%d, timeout=30s }}\n" % spf.port) as post:
            self.assertRegex(rcpt(post, "203.0.113.9", sender="me@home.example.test", helo="client.example.test"),
                             r"^550 5\.7\.23 <friend@example\.com>: Recipient address rejected: Message rejected due to: SPF fail")
            with harness.Dialogue(post.port) as client:
                client.reply()
                client.command("XCLIENT ADDR=198.51.100.2 NAME=[UNAVAILABLE]")
                for line in ("EHLO client.example.test", "MAIL FROM:<me@home.example.test>", "RCPT TO:<friend@example.com>"):
                    self.assertEqual(client.command(line)[0], 250)
                client.command("DATA")
                self.assertEqual(client.command("Subject: x\r\n\r\nbody\r\n.")[0], 250)
            self.assertRegex(post.wait_mail("friend")[0], r"(?m)^Received-SPF: Pass ")
            self.assertEqual(len(spf.started), 1)  # one connection for both


class SilentPolicyServer(harness.TestCase):
    def held_client(self, post):
        client = socket.create_connection(("127.0.0.1", post.port), timeout=60)
        self.addCleanup(client.close)
        client.recv(200)
        client.sendall(b"EHLO client.example\r\n")
        client.recv(1000)
        client.sendall(b"MAIL FROM:<held@example.net>\r\nRCPT TO:<friend@example.com>\r\n")
        return client

    def seconds_for(self, post, count):
        """Sends messages over one connection."""
        begun = time.monotonic()
        with harness.Dialogue(post.port) as client:
            client.reply()
            client.command("EHLO client.example")
            for _ in range(count):
                client.send("MAIL FROM:<you@example.net>\r\nRCPT TO:<friend@example.com>\r\nDATA\r\n")
                self.assertEqual([client.reply()[0] for _ in range(3)], [250, 250, 354])
                self.assertEqual(client.command("Subject: x\r\n\r\nbody\r\n.")[0], 250)
        return time.monotonic() - begun

    def test_a_thousand_clients_on_a_dead_policy_server_hold_up_nobody_else_of_the_same_process(self):
        port = harness.free_port()
        with SilentServer() as silent, harness.Instance(self, smtp_port=port, main_cf=MAIN_CF +
                "smtpd_restriction_classes = ask\n"
                "ask = check_policy_service inet:127.0.0.1:%d\n" % silent.port +
                "smtpd_recipient_restrictions = check_sender_access inline:{{{{held@example.net = ask}}}}\n"
                "smtpd_policy_service_connection_limit = 20\nsmtpd_policy_service_timeout = 50s\nstop_deadline = 2s\n",
                master_cf="127.0.0.1:%d inet n - n - 1 smtpd\n" % port) as post:
            self.seconds_for(post, 50)
            alone = self.seconds_for(post, 200)
            held = [self.held_client(post) for _ in range(HELD)]
            self.wait_until(lambda: len(silent.connections) == 20, "the policy server is asked")
            smtpd, = post.pids("smtpd")
            with_held = self.seconds_for(post, 200)
            quiet = sum(not self.readable_after_mail(client) for client in held[::10])
            print("%d messages alone: %.0f/s; beside %d clients on a dead policy server: %.0f/s" %
                  (200, 200 / alone, HELD, 200 / with_held))
            self.assertEqual(quiet, len(held[::10]), "a held client has got a reply")
            self.assertLess(with_held, alone * 3 + 1)
            self.assertEqual(len(silent.connections), 20)
            self.assertEqual(post.pids("smtpd"), [smtpd])

    @staticmethod
    def readable_after_mail(client):
        """Whether there is more than the reply to MAIL."""
        client.settimeout(0.0)
        try:
            return b"\n" in client.recv(1000).partition(b"\n")[2]
        except BlockingIOError:
            return False

    def test_a_policy_server_that_comes_back_is_used_again_after_the_default_action(self):
        port = harness.free_port()
        with harness.Instance(self, main_cf=MAIN_CF +
                "smtpd_recipient_restrictions = check_policy_service {{ inet:127.0.0.1:%d, try_limit=1 }}\n" % port) as post:
            self.assertEqual(rcpt(post, "198.51.100.2"),
                             "451 4.3.5 <friend@example.com>: Recipient address rejected: Server configuration problem")
            post.wait_log(r"warning: problem talking to server inet:127\.0\.0\.1:%d: " % port)
            with socket.create_server(("127.0.0.1", port)) as listener:
                threading.Thread(target=self.serve_once, args=(listener,), daemon=True).start()
                self.assertRegex(rcpt(post, "198.51.100.2"), r"^550 5\.7\.1 .*no more$")

    @staticmethod
    def serve_once(listener):
        connection, _ = listener.accept()
        with connection:
            text = b""
            while not text.endswith(b"\n\n"):
                text += connection.recv(4096)
            connection.sendall(b"action=550 no more\n\n")
            connection.recv(1)


if __name__ == "__main__":
    harness.main()
