#!/usr/bin/env python3
"""Real mail filters: OpenDKIM signs and verifies, rspamd refuses and marks, ClamAV quarantines, and a filter on libmilter
does all that a filter may do. Each runs in the test's own folder, on its own port."""
import os
import re
import shutil
import smtplib
import socket
import subprocess
import tempfile
import unittest

import harness

EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = "%sJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
SYSTEM_PYTHON = "/usr/bin/python3"  # python3-milter is for this one


def installed(*programs):
    missing = [p for p in programs if not shutil.which(p, path="/usr/sbin:/usr/bin:/sbin:/bin")]
    return unittest.skipIf(missing, "not installed: " + ", ".join(missing))


def has_pymilter():
    return subprocess.run([SYSTEM_PYTHON, "-c", "import Milter"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


class FilterCase(harness.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="posthouse-filter-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as out:
            out.write(text)
        os.chmod(self.path(name), 0o600)
        return self.path(name)

    def run_filter(self, command, port, seconds=None):
        """Runs until the test ends; returns when it listens."""
        output = open(self.path("output"), "ab")
        environment = dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin", TMPDIR=self.folder)
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=self.folder,
                                   env=environment)

        def end():
            process.kill()  # some take their time over a polite end
            process.wait()
            output.close()
        self.addCleanup(end)

        def listens():
            if process.poll() is not None:
                with open(self.path("output"), errors="replace") as text:
                    raise AssertionError("%s has ended: %s" % (command[0], text.read()[-2000:]))
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        self.wait_until(listens, "%s listens" % command[0], seconds)

    def refused(self, post, text, **options):
        with self.assertRaises(smtplib.SMTPResponseException) as caught:
            post.send("you@example.org", ["friend@example.com"], text, **options)
        return caught.exception.smtp_code, caught.exception.smtp_error.decode()


@installed("opendkim", "opendkim-genkey")
class OpenDkim(FilterCase):
    def opendkim(self, mode):
        port = harness.free_port()
        if not os.path.exists(self.path("mail.private")):
            subprocess.run(["opendkim-genkey", "-b", "1024", "-d", "example.org", "-s", "mail", "-D", self.folder],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(self.path("mail.txt")) as record:
            key = "".join(re.findall(r'"([^"]*)"', record.read()))
        self.write("keys", "mail._domainkey.example.org %s\n" % key)
        settings = self.write("%s.conf" % mode,
                              "Socket inet:%d@127.0.0.1\nMode %s\nDomain example.org\nSelector mail\nKeyFile %s/mail.private\n"
                              "Background no\nSyslog no\nTestPublicKeys %s/keys\nInternalHosts 127.0.0.1\n"
                              "RequireSafeKeys no\nAuthservID mx.test.example\nCanonicalization relaxed/simple\n"
                              "%s" % (port, mode, self.folder, self.folder,
                                      "On-BadSignature reject\nInternalHosts 192.0.2.1\n" if mode == "v" else ""))
        self.run_filter(["opendkim", "-f", "-x", settings], port)
        return "inet:127.0.0.1:%d" % port

    def test_what_opendkim_has_signed_another_one_verifies(self):
        signer, verifier = self.opendkim("s"), self.opendkim("v")
        for size in (10, 200000):
            with self.subTest(size=size):
                with harness.Instance(self, name="in", main_cf="smtpd_milters = %s\n" % verifier) as receiver:
                    relay = "smtpd_milters = %s\nrelayhost = [127.0.0.1]:%d\nvirtual_mailbox_domains =\n" % (signer, receiver.port)
                    with harness.Instance(self, name="out", main_cf=relay) as sender:
                        sender.send("you@example.org", ["friend@example.com"], ("Hello,  world. \r\n.dot\r\n" * size).rstrip())
                        mail = receiver.wait_mail("friend")[0]
                self.assertRegex(mail, r"(?m)^DKIM-Signature: v=1;")
                self.assertRegex(mail, r"(?m)^Authentication-Results: mx.test.example;\s+dkim=pass")

    def test_local_mail_is_signed(self):
        signer = self.opendkim("s")
        with harness.Instance(self, main_cf="non_smtpd_milters = %s\n" % signer) as post:
            post.tool("sendmail", "-C", post.etc, "-f", "bob@example.org", "friend@example.com",
                      input="From: bob@example.org\nSubject: local\n\nHello.\n")
            self.assertRegex(post.wait_mail("friend")[0], r"(?m)^DKIM-Signature: v=1;")

    def test_mail_whose_signature_is_broken_is_refused(self):
        signer, verifier = self.opendkim("s"), self.opendkim("v")
        with harness.Instance(self, main_cf="smtpd_milters = %s\n" % signer) as post:
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            signed = post.wait_mail("friend")[0]
        forged = signed[signed.index("DKIM-Signature:"):].replace("Hello.", "Pay me.")
        with harness.Instance(self, main_cf="smtpd_milters = %s\n" % verifier) as post, post.smtp() as client:
            with self.assertRaises(smtplib.SMTPDataError) as caught:
                client.sendmail("you@example.org", ["friend@example.com"], forged)
            self.assertIn(caught.exception.smtp_code, (550, 554))
            post.wait_log("milter-reject: END-OF-MESSAGE from")


@installed("rspamd")
class Rspamd(FilterCase):
    def setUp(self):
        super().setUp()
        port = harness.free_port()
        for name in ("db", "none"):
            os.mkdir(self.path(name), 0o777)
        self.write("tld.dat", "com\norg\n")  # the real list takes long to compile
        settings = self.write("rspamd.conf", """
.include "$CONFDIR/common.conf"
options {
    pidfile = "%(folder)s/rspamd.pid";
    filters = "";
    url_tld = "%(folder)s/tld.dat";
    dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }
    enable_test_patterns = true;
    disable_hyperscan = true;
    history_file = "%(folder)s/history";
}
logging { type = "file"; filename = "%(folder)s/rspamd.log"; level = "warning"; }
worker "rspamd_proxy" {
    bind_socket = "127.0.0.1:%(port)d";
    milter = yes;
    count = 1;
    upstream "local" { default = yes; self_scan = yes; }
}
""" % {"folder": self.folder, "port": port})
        self.run_filter(["rspamd", "-f", "-i", "-c", settings, "--var=DBDIR=%s/db" % self.folder,
                         "--var=RUNDIR=%s" % self.folder, "--var=LOCAL_CONFDIR=%s/none" % self.folder], port)
        self.address = "inet:127.0.0.1:%d" % port

    def test_rspamd_refuses_spam_marks_what_may_be_and_lets_the_rest_pass(self):
        with harness.Instance(self, main_cf="smtpd_milters = %s\n" % self.address) as post:
            self.assertEqual(self.refused(post, GTUBE % "X")[0], 554)
            post.wait_log(r"milter-reject: END-OF-MESSAGE from unknown\[127.0.0.1\]: 5\.7\.1 Gtube pattern; from=<you@example.org> to=")
            post.send("you@example.org", ["friend@example.com"], GTUBE % "Y")
            self.assertRegex(post.wait_mail("friend")[0], r"(?mi)^X-Spam: yes")
            post.send("you@example.org", ["other@example.com"], "Hello.")
            self.assertNotRegex(post.wait_mail("other")[0], r"(?mi)^X-Spam: yes")


@installed("clamd", "clamav-milter")
class ClamAv(FilterCase):
    def clamav(self, action):
        os.mkdir(self.path("signatures"), 0o755)
        with open(self.path("signatures/test.ndb"), "w") as database:
            database.write("Test.Eicar:0:*:%s\n" % EICAR.encode().hex())
        port, milter_port = harness.free_port(), harness.free_port()
        daemon = self.write("clamd.conf", "TCPSocket %d\nTCPAddr 127.0.0.1\nDatabaseDirectory %s\nForeground yes\n"
                            "TemporaryDirectory %s\nUser root\n" % (port, self.path("signatures"), self.folder))
        self.run_filter(["clamd", "-c", daemon], port)
        milter = self.write("milter.conf", "MilterSocket inet:%d@127.0.0.1\nClamdSocket tcp:127.0.0.1:%d\nForeground yes\n"
                            "OnInfected %s\nAddHeader Replace\nTemporaryDirectory %s\nUser root\n"
                            % (milter_port, port, action, self.folder))
        self.run_filter(["clamav-milter", "-c", milter], milter_port)
        return "inet:127.0.0.1:%d" % milter_port

    def test_a_virus_is_put_into_quarantine_and_clean_mail_is_marked_as_such(self):
        with harness.Instance(self, main_cf="smtpd_milters = %s\n" % self.clamav("Quarantine")) as post:
            post.send("you@example.org", ["friend@example.com"], EICAR)
            self.assertEqual(post.wait_queue(1)[0]["queue_name"], "hold")
            post.wait_log("milter-hold: END-OF-MESSAGE from")
            post.send("you@example.org", ["other@example.com"], "Hello.")
            self.assertRegex(post.wait_mail("other")[0], r"(?m)^X-Virus-Status: Clean")

    def test_a_virus_is_refused(self):
        with harness.Instance(self, main_cf="smtpd_milters = %s\n" % self.clamav("Reject")) as post:
            self.assertEqual(self.refused(post, EICAR)[0], 550)
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            post.wait_mail("friend")


PYMILTER = '''
import sys
import Milter

class Changes(Milter.Base):
    @Milter.noreply
    def header(self, name, value):
        return Milter.CONTINUE
    def envfrom(self, sender, *parameters):
        self.addresses = self.getsymval("{mail_addr}")
        return Milter.CONTINUE
    def envrcpt(self, recipient, *parameters):
        if "bad" in recipient:
            self.setreply("550", "5.7.1", "not him")
            return Milter.REJECT
        return Milter.CONTINUE
    def body(self, chunk):
        return Milter.CONTINUE
    def eom(self):
        self.progress()
        self.addheader("X-Id", self.getsymval("i") or "none")
        self.addheader("X-Client", self.getsymval("_") or "none")
        self.addheader("X-Top", "t", 0)
        self.chgheader("Subject", 1, "changed")
        self.chgheader("X-Gone", 1, None)
        self.chgfrom("<other@example.org>")
        self.addrcpt("<extra@example.com>")
        self.addrcpt("<silent@example.com>", "NOTIFY=NEVER")
        self.delrcpt("<gone@example.com>")
        self.replacebody("new body\\r\\n")
        return Milter.CONTINUE

Milter.factory = Changes
Milter.set_flags(Milter.ADDHDRS | Milter.CHGHDRS | Milter.CHGBODY | Milter.ADDRCPT | Milter.DELRCPT | Milter.CHGFROM
                 | Milter.ADDRCPT_PAR)
Milter.runmilter("changes", sys.argv[1], 30)
'''


@unittest.skipUnless(has_pymilter(), "not installed: python3-milter")
class LibMilter(FilterCase):
    def test_all_that_a_filter_on_libmilter_may_change_is_changed(self):
        port = harness.free_port()
        self.run_filter([SYSTEM_PYTHON, self.write("filter.py", PYMILTER), "inet:%d@127.0.0.1" % port], port)
        with harness.Instance(self, main_cf="smtpd_milters = inet:127.0.0.1:%d\n" % port) as post, post.smtp() as client:
            for turn in range(2):  # several messages in one session
                refused = client.sendmail("you@example.org", ["bad@example.com", "friend@example.com", "gone@example.com"],
                                          "Subject: one\r\nX-Gone: yes\r\n\r\nold body\r\n")
                self.assertEqual(refused, {"bad@example.com": (550, b"5.7.1 not him")})
                for user in ("friend", "extra", "silent"):
                    mail = post.wait_mail(user, turn + 1)[turn]
                    self.assertRegex(mail, r"(?m)^Return-Path: <other@example.org>$")
                    self.assertRegex(mail, r"(?m)^Subject: changed$")
                    self.assertRegex(mail, r"(?m)^X-Client: unknown \[127.0.0.1\]$")
                    self.assertRegex(mail, r"(?m)^X-Id: \w{10,}$")
                    self.assertNotIn("X-Gone", mail)
                    self.assertTrue(mail.endswith("\n\nnew body\n"), mail)
                self.assertEqual(post.mail("gone"), [])


if __name__ == "__main__":
    harness.main()
