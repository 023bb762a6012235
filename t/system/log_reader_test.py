#!/usr/bin/env python3
"""Programs that read mail logs understand ours: the real pflogsumm and fail2ban, on the log of a lively hour."""
import os
import re
import shutil
import subprocess
import unittest

import harness
import sasl_case

FAIL2BAN = "/etc/fail2ban/filter.d"
SCREENED = """127.0.0.1:{port} inet n - n - 1 postscreen
  -o postscreen_upstream_proxy_protocol=haproxy
smtpd pass - - n - - smtpd
"""
MAIN_CF = """
postscreen_greet_wait = 1s
postscreen_greet_action = enforce
postscreen_non_smtp_command_enable = yes
postscreen_command_count_limit = 4
postscreen_access_list = inline:{{192.0.2.2=reject, 203.0.113.9=permit}}
postscreen_denylist_action = enforce
smtpd_hard_error_limit = 3
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access inline:{{{{late@example.com = 450 4.2.0 come later}}, {{gone@example.com = 550 5.1.1 User unknown}}}}
smtpd_helo_restrictions = reject_non_fqdn_helo_hostname
"""


class LogReaderTestCase(sasl_case.SaslTestCase):
    """Each offence comes from an address of its own, by way of a PROXY header."""

    made = []  # once is enough

    def lively_log(self):
        if not self.made:
            self.made.append(self.make_lively_log())
        return self.made[0]

    def make_lively_log(self):
        self.port = harness.free_port()
        post = self.instance(main_cf=MAIN_CF, master_cf=SCREENED.format(port=self.port))
        with post:
            friend = "203.0.113.9"
            for recipient, codes in (("friend@example.com", (250, 354, 250)), ("friend@example.com", (250, 354, 250)),
                                     ("someone@elsewhere.example", (554,)), ("gone@example.com", (550,)),
                                     ("late@example.com", (450,))):
                self.talk(friend if codes[0] == 250 else {554: "192.0.2.11", 550: "192.0.2.12", 450: "192.0.2.13"}[codes[0]],
                          recipient, codes)
            self.talk("192.0.2.14", "friend@example.com", (504,), helo="bad")
            self.talk("192.0.2.2", "friend@example.com", (550,))
            self.talk("192.0.2.3", "friend@example.com", (550,), first="NOOP\r\n", limit=True)
            self.log_in_badly("192.0.2.4")
            self.err_often("192.0.2.5")
            self.connect("192.0.2.6").close()
            self.pipeline("192.0.2.7")
            post.wait_log(r"HANGUP after .* from \[192\.0\.2\.6\]")
            post.wait_mail("friend", 2)
            harness.wait_until(lambda: post.log().count(": removed") == 2, "both are delivered")
            post.stop()
            return post.log()

    def connect(self, address, first=""):
        client = harness.Dialogue(self.port)
        self.addCleanup(client.close)
        client.send("PROXY TCP4 %s 198.51.100.25 4711 25\r\n%s" % (address, first))
        return client

    def greeted(self, address, first=""):
        client = self.connect(address, first)
        self.assertEqual(client.reply()[0], 220)
        return client

    def talk(self, address, recipient, codes, helo="client.example", first="", limit=False):
        client = self.greeted(address, first)
        if first:
            client.reply()
        client.command("EHLO " + helo)
        if limit:
            while client.command("NOOP")[0] == 250:
                pass
            return
        client.command("MAIL FROM:<you@example.net>")
        replies = [client.command(line)[0] for line in
                   ("RCPT TO:<%s>" % recipient, "DATA", "Subject: lively\r\n\r\nbody\r\n.")[:len(codes)]]
        self.assertEqual(tuple(replies), codes, (address, recipient))
        client.command("QUIT")

    def log_in_badly(self, address):
        client = self.greeted(address)
        client.command("EHLO client.example")
        self.assertEqual(client.command("AUTH PLAIN " + sasl_case.WRONG)[0], 535)
        client.close()

    def err_often(self, address):
        client = self.greeted(address)
        while client.command("BOGUS")[0] != 421:
            pass

    def pipeline(self, address):
        client = self.greeted(address)
        client.send("EHLO client.example\r\nMAIL FROM:<you@example.net>\r\n")
        self.assertEqual(client.reply()[0], 554)


@unittest.skipUnless(shutil.which("pflogsumm"), "no pflogsumm")
class Pflogsumm(LogReaderTestCase):
    def test_pflogsumm_counts_what_was_delivered_and_refused(self):
        log = self.lively_log()
        done = subprocess.run(["pflogsumm", "--syslog-name=posthouse", "--smtpd-stats"], input=log, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.stderr, "")
        totals = dict(reversed(pair) for pair in re.findall(r"^ +(\d+) +([a-z]+)(?: \(.*)?$", done.stdout, re.M))
        self.assertEqual({name: totals[name] for name in ("received", "delivered", "rejected", "deferred", "bounced")},
                         {"received": "2", "delivered": "2", "rejected": "5", "deferred": "0", "bounced": "0"}, done.stdout)
        for line in (r"Relay access denied \(total: 1\)", r"User unknown|Recipient address rejected", r"2  +friend@example\.com",
                     r"2  +you@example\.net"):
            self.assertRegex(done.stdout, line)


@unittest.skipUnless(shutil.which("fail2ban-regex") and os.path.exists(FAIL2BAN + "/postfix.conf"), "no fail2ban")
class Fail2ban(LogReaderTestCase):
    EXPECTED = {
        "normal": {"192.0.2.11", "192.0.2.12", "192.0.2.14", "192.0.2.5", "192.0.2.7"},
        "auth": {"192.0.2.4"},
        "errors": {"192.0.2.5"},
        "ddos": {"192.0.2.3", "192.0.2.6", "192.0.2.4"},
    }
    EXPECTED["aggressive"] = set().union(*EXPECTED.values())

    def offenders(self, log, filter_name, config):
        done = subprocess.run(["fail2ban-regex", "--config", config, "--out", "ip", log, filter_name], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout)
        return set(done.stdout.split()) - {"127.0.0.1"}  # who looks whether the port answers

    def config_with_our_filter(self, folder):
        """fail2ban's configuration, with our filter copied to where its page says."""
        config = os.path.join(folder, "fail2ban")
        shutil.copytree("/etc/fail2ban", config, ignore=shutil.ignore_patterns("*.local"))
        shutil.copy(os.path.join(harness.SOURCE, "conf", "fail2ban-posthouse.conf"), config + "/filter.d/posthouse.conf")
        return config

    def test_fail2ban_finds_the_offenders_of_each_mode_with_our_filter_and_with_its_own(self):
        log = self.lively_log()
        with harness.tempfile.TemporaryDirectory() as folder:
            config = self.config_with_our_filter(folder)
            ours, theirs = os.path.join(folder, "ours.log"), os.path.join(folder, "theirs.log")
            for path, text in ((ours, log), (theirs, log.replace(" posthouse/", " postfix/"))):
                with open(path, "w") as out:
                    out.write(text)
            for mode, expected in self.EXPECTED.items():
                with self.subTest(mode):
                    self.assertEqual(self.offenders(ours, "posthouse[mode=%s]" % mode, config), expected)
                    # With syslog_name = postfix nothing has to be set up at all.
                    self.assertEqual(self.offenders(theirs, "postfix[mode=%s]" % mode, config), expected)


if __name__ == "__main__":
    harness.main()
