#!/usr/bin/env python3
"""Mail through several servers and from clients that others wrote: what comes out is what went in, byte for byte.
Postfix, smtp-source, smtp-sink, swaks, curl, s-nail and named are used where they are installed."""
import glob
import os
import random
import shutil
import signal
import smtplib
import subprocess
import tempfile
import unittest

import client_test
import harness

SENDER = "sender@example.com"
HEADER = (b"Received: from origin.example by first.example; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
          b"From: <sender@example.com>\r\nTo: <user@far.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
          b"Message-ID: <%s@origin.example>\r\nSubject: %s\r\n")
FAR = ("virtual_mailbox_domains = far.example\nmessage_size_limit = 60000000\nsmtp_line_length_limit = 0\n"
       "virtual_mailbox_limit = 0\nvirtual_mailbox_maps = regexp:{{{{/^([a-z0-9-]+)@far\\.example$$/ $$1/}}}}\n")
NEAR = "message_size_limit = 60000000\nsmtp_line_length_limit = 0\n"


def attachments(count):
    rng = random.Random(count)
    parts = b""
    for number in range(count):
        lines = b"\r\n".join(rng.randbytes(28).hex().encode() for _ in range(20))
        parts += (b"--=_b\r\nContent-Type: application/octet-stream; name=%d\r\nContent-Transfer-Encoding: base64\r\n"
                  b"\r\n%s\r\n" % (number, lines))
    return b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n" + parts + b"--=_b--\r\n"


# What follows the usual header; a name says what is awkward about it.
SHAPES = {
    "dots": b"\r\n.\r\n..\r\n...\r\n.x\r\n. \r\nx.\r\n\r\n.\r\n",
    "only-dots": b"\r\n" + b".\r\n" * 3000,
    "no-body": b"\r\n",
    "no-end-of-header": b"",
    "empty-lines": b"\r\n" + b"\r\n" * 100,
    "spaces-at-ends": b"\r\n  leading\r\ntrailing   \r\n\t\r\n \r\n",
    "from-lines": b"\r\nFrom the start\r\n>From quoted\r\nFrom \r\n",
    "eight-bit": b"Content-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n"
                 b"Content-Transfer-Encoding: 8bit\r\n\r\n" +
                 "Grüße, 你好\r\n".encode() * 50,
    "every-octet": b"Content-Type: text/plain; charset=unknown-8bit\r\nMIME-Version: 1.0\r\n"
                   b"Content-Transfer-Encoding: 8bit\r\n\r\n" +
                   bytes(octet for octet in range(256) if octet not in b"\r\n\0") + b"\r\n",
    "line-of-998": b"\r\n" + b"x" * 998 + b"\r\nafter\r\n",
    "line-of-5000": b"\r\n" + b"y" * 5000 + b"\r\nafter\r\n",
    "line-of-200000": b"\r\n" + b"z" * 200000 + b"\r\nafter\r\n",
    "nul": b"\r\nbefore\0after\r\n\0\r\n\0\0\0x\r\n",
    "folded-header": b"X-Long: " + b"\r\n ".join(b"w" * 70 for _ in range(100)) + b"\r\nX-Empty:\r\n\r\nbody\r\n",
    "many-headers": b"".join(b"X-%d: value\r\n" % number for number in range(400)) + b"\r\nbody\r\n",
    "hundred-attachments": attachments(100),
}
LARGE = b"\r\n" + b"".join(b"%08d %s\r\n" % (number, b"0123456789" * 6) for number in range(30 * 1024 * 1024 // 71))


def message(name, rest):
    return HEADER % (name.encode(), name.encode()) + rest


def submit(port, name, content, recipient):
    """By one raw dialogue, so that no library mends anything; returns the reply."""
    with harness.Dialogue(port, timeout=120) as client:
        client.reply()
        for line in ("EHLO client.example", "MAIL FROM:<%s> BODY=8BITMIME SIZE=%d" % (SENDER, len(content)),
                     "RCPT TO:<%s>" % recipient, "DATA"):
            code, lines = client.command(line)
            if code not in (250, 354):
                return code, lines
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        client.send((b"." if content.startswith(b".") else b"") + stuffed + b".\r\n")
        return client.reply()


def read_all(post, user):
    """The user's messages as they are in the file, with CRLF again."""
    found = []
    for path in glob.glob(os.path.join(post.folder, "mail", user, "new", "*")):
        with open(path, "rb") as stored:
            found.append(stored.read().replace(b"\n", b"\r\n"))
    return found


def free_ports(count):
    return [harness.free_port() for _ in range(count)]


class Postfix:
    """A private instance of the real thing: listens on a port, relays everything to another."""

    why_not = None if shutil.which("postfix") and os.geteuid() == 0 else \
        "postfix is not installed" if not shutil.which("postfix") else "postfix needs root"

    def __init__(self, next_port):
        self.port = harness.free_port()
        self.folder = tempfile.mkdtemp(prefix="posthouse-postfix-")
        os.chmod(self.folder, 0o755)
        self.etc = os.path.join(self.folder, "etc")
        for name in ("etc", "spool", "lib"):
            os.mkdir(os.path.join(self.folder, name), 0o755)
        shutil.chown(os.path.join(self.folder, "lib"), "postfix")
        with open(os.path.join(self.etc, "main.cf"), "w") as main:
            main.write("compatibility_level = 3.6\nqueue_directory = {0}/spool\ndata_directory = {0}/lib\n"
                       "command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n"
                       "setgid_group = postdrop\nmaillog_file = {0}/mail.log\nmaillog_file_prefixes = {0}\n"
                       "myhostname = postfix.test.example\nmydestination =\nmynetworks = 127.0.0.0/8\n"
                       "inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nalias_maps =\nalias_database =\n"
                       "relayhost = [127.0.0.1]:{1}\nmessage_size_limit = 60000000\nsmtp_line_length_limit = 0\n"
                       "smtpd_peername_lookup = no\nin_flow_delay = 0\n".format(self.folder, next_port))
        with open(os.path.join(self.etc, "master.cf"), "w") as master:
            master.write("127.0.0.1:%d inet n - n - - smtpd\n" % self.port +
                         "postlog unix-dgram n - n - 1 postlogd\npickup unix n - n 60 1 pickup\n"
                         "cleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n"
                         "tlsmgr unix - - n 1000? 1 tlsmgr\n"
                         "rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n"
                         "defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nverify unix - - n - 1 verify\n"
                         "flush unix n - n 1000? 0 flush\nproxymap unix - - n - - proxymap\nsmtp unix - - n - - smtp\n"
                         "relay unix - - n - - smtp\nshowq unix n - n - - showq\nerror unix - - n - - error\n"
                         "retry unix - - n - - error\ndiscard unix - - n - - discard\nanvil unix - - n - 1 anvil\n"
                         "scache unix - - n - 1 scache\n")

    def __enter__(self):
        subprocess.run(["postfix", "-c", self.etc, "start"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        harness.wait_until(self.answers, "postfix answers")
        return self

    def answers(self):
        try:
            with harness.Dialogue(self.port) as client:
                return client.reply()[0] == 220
        except OSError:
            return False

    def log(self):
        with open(os.path.join(self.folder, "mail.log"), errors="replace") as log:
            return log.read()

    def __exit__(self, kind, *_):
        if kind:
            print(self.log()[-3000:])
        subprocess.run(["postfix", "-c", self.etc, "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)


class ByteForByte(harness.TestCase):
    def through(self, first_port, far, shapes):
        for name, rest in shapes.items():
            content = message(name, rest)
            self.assertEqual(submit(first_port, name, content, name + "@far.example")[0], 250, name)
        for name, rest in shapes.items():
            content = message(name, rest)
            with self.subTest(name):
                self.wait_until(lambda: read_all(far, name), name + " arrives", 60)
                stored, = read_all(far, name)
                content = content.replace(b"\0", b" ")  # NUL never leaves (RFC 5322 section 4)
                head, _, _ = stored.partition(content[:60])
                self.assertRegex(head, rb"^Return-Path: <sender@example.com>\r\n")
                if stored[len(head):] != content:
                    got = stored[len(head):]
                    at = next((i for i, (a, b) in enumerate(zip(got, content)) if a != b), min(len(got), len(content)))
                    near = slice(max(0, at - 20), at + 40)
                    self.fail("%s differs at octet %d of %d (%d): got %r, sent %r" % (
                        name, at, len(content), len(got), got[near], content[near]))

    def test_every_shape_passes_two_of_our_servers_unchanged(self):
        with harness.Instance(self, "far", main_cf=FAR) as far, \
             harness.Instance(self, "near", main_cf=NEAR + "relayhost = [127.0.0.1]:%d\n" % far.port) as near:
            self.through(near.port, far, SHAPES)

    def test_thirty_megabytes_pass_two_of_our_servers_unchanged(self):
        with harness.Instance(self, "far", main_cf=FAR) as far, \
             harness.Instance(self, "near", main_cf=NEAR + "relayhost = [127.0.0.1]:%d\n" % far.port) as near:
            self.through(near.port, far, {"large": LARGE})

    @unittest.skipIf(Postfix.why_not, Postfix.why_not)
    def test_every_shape_passes_ours_then_postfix_then_ours_unchanged(self):
        # Postfix ends a header that has no end, and folds no line that we would not.
        shapes = dict(SHAPES, large=LARGE)
        del shapes["no-end-of-header"]
        with harness.Instance(self, "far", main_cf=FAR) as far, Postfix(far.port) as postfix, \
             harness.Instance(self, "near", main_cf=NEAR + "relayhost = [127.0.0.1]:%d\n" % postfix.port) as near:
            self.through(near.port, far, shapes)

    def test_two_servers_that_relay_to_each_other_end_the_loop_with_one_bounce(self):
        ports = free_ports(2)
        loop = "relayhost = [127.0.0.1]:%d\nhopcount_limit = 10\n"
        with harness.Instance(self, "one", main_cf=loop % ports[1], smtp_port=ports[0]) as one, \
             harness.Instance(self, "two", main_cf=loop % ports[0], smtp_port=ports[1]) as two:
            one.send(SENDER, ["user@far.example"], "round")
            self.wait_until(lambda: one.mail("sender") + two.mail("sender"), "the bounce", 30)
            one.wait_queue(0)
            two.wait_queue(0)
            bounce, = one.mail("sender") + two.mail("sender")
            self.assertRegex(bounce, r"5\.4\.[06]")


def needs(program):
    return unittest.skipUnless(shutil.which(program), program + " is not installed")


class Clients(harness.TestCase):
    """Each with its own way to speak."""

    def run_client(self, *command, **options):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, **options)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout.decode(errors="replace")

    def arrived(self, post, text):
        found, = self.wait_until(lambda: read_all(post, "user"), "the message")
        self.assertIn(text, found)
        return found

    @needs("swaks")
    def test_swaks(self):
        with harness.Instance(self) as post:
            text = self.run_client("swaks", "--server", "127.0.0.1", "--port", str(post.port), "--from", SENDER,
                                   "--to", "user@example.com", "--body", "by swaks\n.\n..dots\n", "--pipeline")
            self.assertIn("250 2.0.0 Ok: queued as", text)
            self.arrived(post, b"by swaks\r\n.\r\n..dots\r\n")

    @needs("curl")
    def test_curl(self):
        with harness.Instance(self) as post:
            content = message("curl", b"\r\nby curl\r\n.\r\n..x\r\n")
            self.run_client("curl", "-sS", "smtp://127.0.0.1:%d/client.example" % post.port, "--mail-from", SENDER,
                            "--mail-rcpt", "user@example.com", "-T", "-", input=content)
            self.assertTrue(self.arrived(post, b"by curl").endswith(content))

    @needs("s-nail")
    def test_s_nail_by_sendmail_and_by_smtp(self):
        for mta in ("sendmail", "smtp"):
            with self.subTest(mta), harness.Instance(self) as post:
                where = os.path.join(post.programs, "commands", "sendmail") if mta == "sendmail" else \
                    "smtp://127.0.0.1:%d" % post.port
                environment = dict(os.environ, MAIL_CONFIG=post.etc, LC_ALL="C.UTF-8", HOME="/")
                self.run_client("s-nail", "-:/", "-s", "Grüße", "-S", "mta=" + where, "-S", "from=" + SENDER,
                                "-S", "smtp-auth=none", "-S", "smtp-hostname=client.example", "-S", "ttycharset=utf-8",
                                "-S", "sendwait", "user@example.com", input="by s-nail, schön\n".encode(),
                                env=environment, preexec_fn=post.become_user if post.drops else None)
                found, = self.wait_until(lambda: read_all(post, "user"), "the message")
                self.assertIn(b"by s-nail", found)

    def test_smtplib_with_eight_bit_and_dots(self):
        with harness.Instance(self) as post:
            content = message("lib", SHAPES["eight-bit"] + b".\r\n")
            with smtplib.SMTP("127.0.0.1", post.port) as client:
                client.sendmail(SENDER, ["user@example.com"], content, mail_options=["BODY=8BITMIME"])
            self.assertTrue(self.arrived(post, "Grüße".encode()).endswith(content))

    @needs("smtp-source")
    @needs("smtp-sink")
    def test_smtp_source_through_us_into_smtp_sink(self):
        sink_port = harness.free_port()
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        sink = subprocess.Popen(["smtp-sink", *user, "-c", "127.0.0.1:%d" % sink_port, "100"], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)
        try:
            settings = "relayhost = [127.0.0.1]:%d\nsmtpd_client_connection_count_limit = 0\n" % sink_port
            with harness.Instance(self, main_cf=settings) as post:
                self.run_client("smtp-source", "-s", "10", "-m", "200", "-l", "4000", "-N", "-f", SENDER, "-t",
                                "user@far.example", "127.0.0.1:%d" % post.port)
                self.run_client("smtp-source", "-d", "-s", "5", "-m", "100", "-r", "3", "-l", "60000", "-f", SENDER,
                                "-t", "user@far.example", "127.0.0.1:%d" % post.port)
                post.wait_queue(0, 60)
                log = post.log()
                self.assertEqual(log.count("status=sent"), 200 + 300)
                self.assertNotIn("status=deferred", log)
        finally:
            sink.send_signal(signal.SIGTERM)
            sink.communicate()


@unittest.skipUnless(shutil.which("named"), "named is not installed")
class NameServer(harness.TestCase):
    """A real one, with a zone of the test's own."""

    ZONE = """$TTL 60
@ IN SOA ns.far.example. root.far.example. 1 60 60 60 60
@ IN NS ns
ns IN A 127.0.0.1
@ IN MX 10 dead
@ IN MX 20 mx
dead IN A 127.0.0.9
mx IN A 127.0.0.2
alias IN CNAME far.example.
null IN MX 0 .
plain IN A 127.0.0.2
"""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="posthouse-named-")
        self.port = harness.free_port()
        with open(os.path.join(self.folder, "zone"), "w") as zone:
            zone.write(self.ZONE)
        with open(os.path.join(self.folder, "named.conf"), "w") as conf:
            conf.write('options { directory "%s"; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; }; '
                       'recursion no; pid-file none; session-keyfile none; dnssec-validation no; };\ncontrols { };\n'
                       'zone "far.example" { type primary; file "zone"; };\n' % (self.folder, self.port))
        self.named = subprocess.Popen(["named", "-g", "-c", os.path.join(self.folder, "named.conf")],
                                      stderr=subprocess.PIPE, text=True)
        said = ""
        while not said.endswith("running\n"):
            line = self.named.stderr.readline()
            if not line:
                self.fail("named: " + said)
            said += line

    def tearDown(self):
        self.named.terminate()
        self.named.communicate()
        shutil.rmtree(self.folder)

    def test_mx_a_cname_and_an_address_lead_there_and_a_null_mx_nowhere(self):
        with client_test.HostAt("127.0.0.2") as sink:
            settings = client_test.dns_settings(self, sink.port)
            with harness.Instance(self, main_cf=settings) as post:
                post.send(SENDER, ["a@far.example", "b@alias.far.example", "c@plain.far.example", "d@null.far.example",
                                   "e@nowhere.far.example"], "found")
                self.wait_until(lambda: sum(len(to) for _, to, _ in sink.messages) == 3, "three of them")
                post.wait_log(r"to=<d@null.far.example>.*dsn=5.1.0, status=bounced")
                post.wait_log(r"to=<e@nowhere.far.example>.*dsn=5.4.4, status=bounced")
                post.wait_log(r"to=<a@far.example>, relay=mx.far.example\[127.0.0.2\].*status=sent")
                post.wait_queue(0)


if __name__ == "__main__":
    harness.main()
