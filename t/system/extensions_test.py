#!/usr/bin/env python3
"""ETRN, LIMITS, REQUIRETLS and TLS-Required, and what is said to who is refused: with the whole suite behind them. What needs
the dialogue alone is in t/dialogue."""
import os
import re
import signal
import smtplib
import unittest

import harness
from sasl_case import PLAIN, SaslTestCase
from tls_case import TlsTestCase, trusting_all


class Etrn(harness.TestCase):
    MAIN = "relay_domains = site.example other.example\nminimal_backoff_time = 1000s\nmaximal_backoff_time = 1000s\n" \
           "relay_recipient_maps =\nrelay_transport = relay:[127.0.0.1]:%d\n"

    def instance(self, **options):
        """An instance with mail for two sites whose host does not answer."""
        self.down = harness.free_port()
        post = harness.Instance(self, main_cf=self.MAIN % self.down + options.pop("main_cf", ""), **options).start()
        for site in ("site.example", "other.example"):
            post.send("you@example.net", ["user@" + site], "for " + site)
        for site in ("site.example", "other.example"):
            post.wait_log(r"to=<user@%s>.* status=deferred" % site)
        self.addCleanup(post.close)
        return post

    def host_comes_up(self):
        sink = harness.SinkServer(port=self.down)
        self.addCleanup(sink.close)
        return sink

    def etrn(self, post, site):
        with harness.Dialogue(post.port) as client:
            client.reply()
            client.command("EHLO client.example")
            return client.command("ETRN " + site)

    def test_a_site_gets_the_mail_that_waits_for_it_and_no_other_is_sent(self):
        post = self.instance()
        sink = self.host_comes_up()
        self.assertEqual(self.etrn(post, "site.example"), (250, ["Queuing started"]))
        harness.wait_until(lambda: sink.messages, "the mail for site.example")
        post.wait_queue(1)
        self.assertEqual([recipients[0].split()[0] for _, recipients, _ in sink.messages], ["TO:<user@site.example>"])
        self.assertEqual([one["recipients"][0]["address"] for one in post.queue()], ["user@other.example"])
        post.wait_log(r"posthouse/smtpd\[\d+\]: ETRN site\.example from unknown\[127\.0\.0\.1\]$")

    def test_asked_again_at_once_the_queue_is_not_looked_through_again(self):
        post = self.instance()
        for site in ("site.example", "SITE.example", "@site.example"):
            self.assertEqual(self.etrn(post, site), (250, ["Queuing started"]))
        self.assertEqual(self.etrn(post, "other.example"), (250, ["Queuing started"]))
        post.wait_log(r": ETRN other\.example from ")
        self.assertEqual(len(re.findall(r": ETRN site\.example from ", post.log())), 1)

    def test_it_is_offered_where_a_site_may_use_it(self):
        for main_cf, offered in (("relay_domains = site.example\n", True), ("", False)):
            with harness.Instance(self, main_cf=main_cf) as post, post.smtp() as client:
                client.ehlo()
                self.assertEqual(client.has_extn("etrn"), offered)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_from_the_chroot_and_the_sandbox_the_queue_manager_is_reached(self):
        post = self.instance(privileged=True)
        sink = self.host_comes_up()
        self.assertEqual(self.etrn(post, "@site.example"), (250, ["Queuing started"]))
        harness.wait_until(lambda: sink.messages, "the mail for site.example")

    def test_without_an_answer_of_the_queue_manager_nothing_is_promised(self):
        with harness.Instance(self, main_cf="relay_domains = site.example\nsmtpd_queue_timeout = 1s\n") as post:
            pid, = post.pids("qmgr")
            os.kill(pid, signal.SIGSTOP)
            try:
                self.assertEqual(self.etrn(post, "site.example"), (458, ["Unable to queue messages"]))
            finally:
                os.kill(pid, signal.SIGCONT)


class RequireTls(TlsTestCase):
    HELD = "smtpd_recipient_restrictions = check_recipient_access static:HOLD\n"

    def client(self, post):
        client = smtplib.SMTP("127.0.0.1", post.port, local_hostname="client.example", timeout=30)
        self.addCleanup(client.close)
        client.starttls(context=trusting_all())
        client.ehlo()
        return client

    def send(self, post, header="", options=("REQUIRETLS",), sender="you@example.com", to="friend@example.com"):
        client = self.client(post)
        code, text = client.mail(sender, list(options))
        self.assertEqual(code, 250, text)
        self.assertEqual(client.rcpt(to)[0], 250)
        code, text = client.data("Subject: a secret subject\r\n%s\r\nA secret text.\r\n" % header)
        self.assertEqual(code, 250, text)
        return re.search(r"queued as (\w+)", text.decode())[1]

    def facts(self, post, queue_id):
        text = post.tool("postcat", "-eq", queue_id).stdout
        return sorted(re.findall(r"named_attribute: ((?:requiretls|tls_required)=\S+)", text))

    def test_it_is_offered_within_tls_alone_and_where_it_is_enabled(self):
        with self.instance() as post:
            with post.smtp() as client:
                client.ehlo()
                self.assertFalse(client.has_extn("requiretls"))
            client = self.client(post)
            self.assertTrue(client.has_extn("requiretls"))
            self.assertEqual(client.mail("you@example.net", ["REQUIRETLS=yes"])[0], 501)
        for parameter in ("requiretls_enable = no", "smtpd_discard_ehlo_keywords = requiretls"):
            with self.subTest(parameter), self.instance(main_cf=parameter + "\n") as post:
                client = self.client(post)
                self.assertFalse(client.has_extn("requiretls"))
                self.assertEqual(client.mail("you@example.net", ["REQUIRETLS"])[0], 555)

    def test_the_queue_file_and_the_log_keep_it(self):
        with self.instance(main_cf=self.HELD) as post:
            queue_id = self.send(post)
            self.assertEqual(self.facts(post, queue_id), ["requiretls=1"])
            post.wait_log(r"%s: client=unknown\[127\.0\.0\.1\], requiretls=yes$" % queue_id)
            self.assertEqual(self.facts(post, self.send(post, options=())), [])

    def test_tls_required_no_is_noted_unless_requiretls_says_otherwise_or_it_is_switched_off(self):
        no = "tls-required:\r\n NO\r\n"
        with self.instance(main_cf=self.HELD) as post:
            self.assertEqual(self.facts(post, self.send(post, no, ())), ["tls_required=no"])
            self.assertEqual(self.facts(post, self.send(post, no)), ["requiretls=1"])
            self.assertEqual(self.facts(post, self.send(post, "TLS-Required: yes\r\n", ())), [])
            self.assertEqual(self.facts(post, self.send(post, "Resent-TLS-Required: No\r\n", ())), [])
        with self.instance(main_cf=self.HELD + "tls_required_enable = no\n") as post:
            self.assertEqual(self.facts(post, self.send(post, no, ())), [])

    def refusing(self):
        sink = harness.SinkServer(lambda verb, _: "550 5.1.1 nobody here" if verb == "RCPT" else None)
        self.addCleanup(sink.close)
        return sink

    def test_a_bounce_of_such_a_message_shows_nothing_of_it(self):
        with self.instance(main_cf="relayhost = [127.0.0.1]:%d\n" % self.refusing().port) as post:
            self.send(post, options=["REQUIRETLS", "RET=FULL"], to="far@elsewhere.example")
            bounce, = post.wait_mail("you")
            self.assertIn("<far@elsewhere.example>: host 127.0.0.1[127.0.0.1] said: 550 5.1.1 nobody here", " ".join(bounce.split()))
            self.assertIn("The message itself is not shown here", bounce)
            self.assertNotIn("secret", bounce)

    def test_with_requiretls_redact_dsn_off_the_bounce_has_the_header_and_asks_for_tls_itself(self):
        with self.instance(main_cf="relayhost = [127.0.0.1]:%d\nrequiretls_redact_dsn = no\n"
                                   "virtual_transport = lmtp:inet:127.0.0.1:1\n" % self.refusing().port) as post:
            self.send(post, options=["REQUIRETLS", "RET=FULL"], to="far@elsewhere.example")
            post.wait_log(r"(\w+): to=<you@example.com>.* status=deferred")
            bounce = post.wait_queue(1)[0]["queue_id"]
            self.assertEqual(self.facts(post, bounce), ["requiretls=1"])
            text = post.tool("postcat", "-bhq", bounce).stdout
            self.assertIn("a secret subject", text)
            self.assertNotIn("A secret text", text)

    def test_within_this_host_it_is_passed_on(self):
        with harness.SinkServer() as sink, self.instance(main_cf="relayhost = [127.0.0.1]:%d\n" % sink.port) as post:
            self.send(post, to="far@elsewhere.example")
            harness.wait_until(lambda: sink.messages, "the next host has it")


class Vrfy(harness.TestCase):
    def test_greylisting_waits_for_mail_not_for_a_question(self):
        with harness.Instance(self, main_cf="smtpd_greylist_enable = yes\nsmtpd_greylist_client_exceptions =\n") as post:
            with post.smtp() as client:
                self.assertEqual(client.verify("friend@example.com")[0], 252)


class CommandFilter(SaslTestCase):
    def test_a_login_is_never_shown_to_the_filter(self):
        with self.instance(main_cf="smtpd_command_filter = pcre:{{{{/^AUTH/ NOOP}} {{/(.*PLAIN.*)/ VRFY $$1}}}}\n") as post:
            client = self.dialogue(post)
            self.assertEqual(client.command("AUTH PLAIN " + PLAIN)[0], 235)
            client = self.dialogue(post)
            self.assertEqual(client.command("AUTH PLAIN")[0], 334)
            self.assertEqual(client.command(PLAIN)[0], 235)
            self.assert_no_secrets(post)

    def test_a_table_that_fails_puts_the_client_off(self):
        with self.instance(main_cf="smtpd_command_filter = fail:now\n") as post:
            client = self.dialogue(post, hello=False)
            self.assertEqual(client.command("EHLO client.example"), (451, ["4.3.0 Error: temporary lookup failure"]))


if __name__ == "__main__":
    harness.main()
