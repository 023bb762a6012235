#!/usr/bin/env python3
"""Address verification: reject_unverified_sender and reject_unverified_recipient, with a next host that is asked by probes,
a real second instance, the mailboxes here, and the cache between them."""
import os
import pwd
import re
import time
import unittest

import harness

SENDER = "you@example.org"
RELAY = """relay_domains = far.example
relayhost = [127.0.0.1]:%d
smtpd_recipient_restrictions = %s
"""
RECIPIENTS = "reject_unverified_recipient"


def known(*names):
    """The next host knows these, and nobody else."""
    def answer(verb, argument):
        if verb == "RCPT" and not any("<%s@" % name in argument for name in names):
            return "550 5.1.1 no such user"
        return None
    return answer


class Verification(harness.TestCase):
    def instance(self, port, restrictions=RECIPIENTS, more="", **options):
        post = harness.Instance(self, main_cf=RELAY % (port, restrictions) + more, **options)
        self.addCleanup(post.close)
        return post.start()

    def rcpt(self, post, recipient, sender=SENDER):
        """What RCPT says."""
        with harness.Dialogue(post.port, timeout=30) as client:
            client.reply()
            client.command("EHLO client.test.example")
            self.assertEqual(client.command("MAIL FROM:<%s>" % sender)[0], 250)
            code, lines = client.command("RCPT TO:<%s>" % recipient)
            return "%d %s" % (code, lines[0])

    def sink(self, answer=None):
        sink = harness.SinkServer(answer)
        self.addCleanup(sink.close)
        return sink

    def probes(self, sink, name):
        return sum("RCPT" in line and "<%s@" % name in line for line in sink.commands)

    def test_an_unknown_recipient_behind_a_relay_is_refused_after_one_probe_and_from_then_on_at_once(self):
        sink = self.sink(known("friend"))
        post = self.instance(sink.port)
        self.assertRegex(self.rcpt(post, "nobody@far.example"),
                         r"450 4\.1\.1 <nobody@far\.example>: Recipient address rejected: undeliverable address: host "
                         r"\S+127\.0\.0\.1\S* said: 550 5\.1\.1 no such user \(in reply to RCPT TO command\)")
        begun = time.monotonic()
        for _ in range(3):
            self.assertRegex(self.rcpt(post, "nobody@far.example"), "^450 4.1.1 .*undeliverable address: ")
        self.assertLess(time.monotonic() - begun, 2)
        self.assertEqual(self.probes(sink, "nobody"), 1)
        self.assertEqual(self.rcpt(post, "friend@far.example"), "250 2.1.5 Ok")
        self.assertEqual(self.rcpt(post, "friend@FAR.example"), "250 2.1.5 Ok")
        self.assertEqual(self.probes(sink, "friend"), 1)
        self.assertEqual([line for line in sink.commands if line.startswith("DATA")], [])
        self.assertRegex(" ".join(sink.commands), r"MAIL FROM:<double-bounce@\S+>")
        self.assertEqual(sink.messages, [])
        post.wait_log(r"to=<nobody@far\.example>.* dsn=5\.1\.1, status=undeliverable \(host .* said: 550")
        post.wait_log(r"to=<friend@far\.example>.* status=deliverable \(250 2\.1\.5 Ok\)")
        post.wait_queue(0)
        self.assertNotRegex(post.log(), "notification|status=bounced|status=deferred")

    def test_what_was_found_out_outlives_a_restart(self):
        sink = self.sink(known("friend"))
        post = self.instance(sink.port)
        self.assertEqual(self.rcpt(post, "friend@far.example"), "250 2.1.5 Ok")
        post.stop()
        post.start()
        self.assertEqual(self.rcpt(post, "friend@far.example"), "250 2.1.5 Ok")
        self.assertEqual(self.probes(sink, "friend"), 1)

    def test_the_code_and_the_reason_are_the_administrator_s(self):
        sink = self.sink(known())
        post = self.instance(sink.port, more="unverified_recipient_reject_code = 550\n"
                                             "unverified_recipient_reject_reason = Recipient lookup failed\n")
        self.assertEqual(self.rcpt(post, "nobody@far.example"),
                         "550 5.1.1 <nobody@far.example>: Recipient address rejected: undeliverable address: "
                         "Recipient lookup failed")

    def test_a_next_host_that_is_dead_makes_the_tempfail_action(self):
        port = harness.free_port()
        for action, refusal in (("defer_if_permit", "reject"), ("defer", "reject")):
            post = self.instance(port, RECIPIENTS + ", " + refusal,
                                 "unverified_recipient_tempfail_action = %s\nreject_code = 554\n" % action)
            said = self.rcpt(post, "friend@far.example")
            if action == "defer": # at once: the reject behind it is not reached
                self.assertRegex(said, r"^450 4\.4\.1 .*: Recipient address rejected: unverified address: "
                                       r"connect to .*Connection refused")
            else:
                self.assertRegex(said, r"^554 5\.7\.1 .*Access denied")
        post = self.instance(port)
        self.assertRegex(self.rcpt(post, "friend@far.example"), r"^450 4\.4\.1 .*unverified address: connect to ")
        post.wait_queue(0)

    def test_a_slow_next_host_puts_the_client_off_as_long_as_it_is_polled_and_the_answer_counts_later(self):
        def slow(verb, _):
            if verb == "RCPT":
                time.sleep(3)
            return None
        post = self.instance(self.sink(slow).port, more="address_verify_poll_count = 2\naddress_verify_poll_delay = 1s\n")
        begun = time.monotonic()
        self.assertEqual(self.rcpt(post, "friend@far.example"),
                         "450 4.1.1 <friend@far.example>: Recipient address rejected: unverified address: "
                         "Address verification in progress")
        self.assertGreater(time.monotonic() - begun, 0.9)
        self.wait_until(lambda: self.rcpt(post, "friend@far.example").startswith("250"), "the answer", 15)

    def test_a_failure_is_forgotten_and_probed_anew_when_its_time_is_over(self):
        names = []
        sink = self.sink(lambda verb, argument: known(*names)(verb, argument))
        post = self.instance(sink.port, more="address_verify_negative_expire_time = 2s\n")
        self.assertRegex(self.rcpt(post, "late@far.example"), "^450 4.1.1 .*undeliverable")
        names.append("late")
        self.wait_until(lambda: self.rcpt(post, "late@far.example").startswith("250"), "the failure is forgotten", 15)
        self.assertGreaterEqual(self.probes(sink, "late"), 2)

    def test_a_success_is_refreshed_beside_the_session_and_outlasts_a_refresh_that_fails(self):
        names = ["friend"]
        sink = self.sink(lambda verb, argument: known(*names)(verb, argument))
        post = self.instance(sink.port, more="address_verify_positive_refresh_time = 1s\n")
        self.assertEqual(self.rcpt(post, "friend@far.example"), "250 2.1.5 Ok")
        names.clear()
        time.sleep(2.1)
        self.assertEqual(self.rcpt(post, "friend@far.example"), "250 2.1.5 Ok")
        post.wait_log(r"to=<friend@far\.example>.* status=undeliverable ")
        self.assertEqual(self.rcpt(post, "friend@far.example"), "250 2.1.5 Ok")
        self.assertEqual(self.probes(sink, "friend"), 2)

    def test_without_a_negative_cache_failures_are_never_kept(self):
        sink = self.sink(known())
        post = self.instance(sink.port, more="address_verify_negative_cache = no\naddress_verify_poll_count = 1\n")
        for _ in range(2):
            self.assertRegex(self.rcpt(post, "nobody@far.example"), "^450 4.1.1 .*unverified address: .*in progress")
            post.wait_log(r"to=<nobody@far\.example>.* status=undeliverable ")

    def test_senders_are_verified_as_well_and_the_null_sender_and_our_own_are_good(self):
        sink = self.sink(known("friend"))
        post = self.instance(sink.port, "reject_unverified_sender", "unverified_sender_reject_code = 550\n")
        self.assertRegex(self.rcpt(post, "friend@far.example", "nobody@far.example"),
                         r"^550 5\.1\.0 <nobody@far\.example>: Sender address rejected: undeliverable address: ")
        self.assertEqual(self.rcpt(post, "friend@far.example", "friend@far.example"), "250 2.1.5 Ok")
        self.assertEqual(self.rcpt(post, "friend@far.example", ""), "250 2.1.5 Ok")
        self.assertEqual(self.rcpt(post, "friend@far.example", "double-bounce@post.test.example"), "250 2.1.5 Ok")
        self.assertEqual(self.probes(sink, "friend"), 1)

    def test_the_sender_of_probes_is_configured_changes_with_its_time_and_is_taken_as_recipient(self):
        sink = self.sink(known("friend"))
        post = self.instance(sink.port, "permit", "mydestination = $myhostname\nlocal_recipient_maps = inline:{{ {{x=x}} }}\n"
                             "address_verify_sender = prober\naddress_verify_sender_ttl = 1000s\n"
                             "smtpd_sender_restrictions = check_sender_access inline:{{ {{far.example=reject_unverified_sender}} }}\n")
        self.assertEqual(self.rcpt(post, "friend@far.example", "friend@far.example"), "250 2.1.5 Ok")
        sender, = {m for line in sink.commands for m in re.findall(r"MAIL FROM:<(prober\d+@post\.test\.example)>", line)}
        self.assertEqual(self.rcpt(post, sender), "250 2.1.5 Ok")
        self.assertRegex(self.rcpt(post, "prober1@post.test.example"), "^550 ")
        post.send(SENDER, [sender], "Hello.")
        post.wait_queue(0)
        self.assertNotRegex(post.log(), "status=bounced")

    def test_the_transport_of_probes_may_be_another_than_that_of_mail(self):
        mail, probes = self.sink(), self.sink(known("friend"))
        post = self.instance(mail.port, more="address_verify_relayhost = [127.0.0.1]:%d\n" % probes.port)
        self.assertRegex(self.rcpt(post, "nobody@far.example"), "undeliverable address")
        post.send(SENDER, ["friend@far.example"], "Hello.")
        self.wait_until(lambda: mail.messages, "delivery")
        self.assertEqual(len(probes.messages), 0)
        self.assertEqual(self.probes(mail, "nobody"), 0)
        other = self.instance(mail.port, more="address_verify_transport_maps = inline:{{ {{far.example=error:5.1.2 closed}} }}\n")
        self.assertRegex(self.rcpt(other, "friend@far.example"), "^450 4.1.2 .*undeliverable address: closed")

    def test_addresses_here_are_looked_up_without_delivery(self):
        post = self.instance(harness.free_port(), "reject_unverified_recipient",
                             "smtpd_reject_unlisted_recipient = no\n"
                             "virtual_mailbox_maps = inline:{{ {{friend@example.com=friend/}} }}\n"
                             "mydestination = $myhostname\nalias_maps = inline:{{ {{team=a@far.example, b@far.example}} }}\n")
        self.assertEqual(self.rcpt(post, "friend@example.com"), "250 2.1.5 Ok")
        self.assertRegex(self.rcpt(post, "nobody@example.com"), '^450 4.1.1 .*undeliverable address: unknown user: "nobody@')
        self.assertEqual(self.rcpt(post, "team@post.test.example"), "250 2.1.5 Ok")
        self.assertEqual(self.rcpt(post, "root@post.test.example"), "250 2.1.5 Ok")
        self.assertRegex(self.rcpt(post, "no-such-user@post.test.example"), "^450 4.1.1 .*undeliverable address: unknown user")
        post.wait_log(r"to=<team@post\.test\.example>.* status=deliverable \(forwards to 2 addresses\)")
        post.wait_log(r"to=<friend@example\.com>.* status=deliverable \(delivers to mailbox\)")
        self.assertEqual(post.mail("friend"), [])
        post.wait_queue(0)

    def test_an_alias_is_as_good_as_the_best_of_what_it_stands_for(self):
        aliases = ("virtual_alias_maps = inline:{{ {{team@far.example = nobody@far.example, friend@far.example}} "
                   "{{ghost@far.example = nobody@far.example}} }}\nrecipient_canonical_maps = inline:{{ {{old@far.example=friend@far.example}} }}\n")
        post = self.instance(self.sink(known("friend")).port, more=aliases)
        self.assertEqual(self.rcpt(post, "team@far.example"), "250 2.1.5 Ok")
        self.assertEqual(self.rcpt(post, "old@far.example"), "250 2.1.5 Ok")
        self.assertRegex(self.rcpt(post, "ghost@far.example"), "^450 4.1.1 <ghost@.*undeliverable address")

    def test_an_lmtp_server_is_asked_as_well(self):
        lhlo = lambda verb, argument: "250-sink\r\n250 PIPELINING" if verb == "LHLO" else known("friend")(verb, argument)
        sink = self.sink(lhlo)
        post = self.instance(sink.port, more="transport_maps = inline:{{ {{far.example=lmtp:inet:127.0.0.1:%d}} }}\n" % sink.port)
        self.assertEqual(self.rcpt(post, "friend@far.example"), "250 2.1.5 Ok")
        self.assertRegex(self.rcpt(post, "nobody@far.example"), "^450 4.1.1 .*undeliverable address")

    def test_a_second_instance_is_asked_and_asks_back_without_a_loop(self):
        port = harness.free_port()
        inner = self.instance(port, "reject_unverified_sender", "virtual_mailbox_maps = inline:{{ {{friend@far.example=friend/}} }}\n"
                              "virtual_mailbox_domains = far.example\nrelay_domains =\n", name="inner")
        post = harness.Instance(self, main_cf=RELAY % (inner.port, RECIPIENTS), smtp_port=port)
        self.addCleanup(post.close)
        post.start()
        self.assertRegex(self.rcpt(post, "nobody@far.example", ""), r"^450 4\.1\.1 .*undeliverable address: host .* said: 550 5\.1\.1 ")
        self.assertEqual(self.rcpt(post, "friend@far.example", ""), "250 2.1.5 Ok")
        post.send("", ["friend@far.example"], "Hello.")
        inner.wait_mail("friend")

    def test_more_probes_than_are_allowed_are_not_begun_and_delay_no_mail(self):
        def stuck(verb, argument):
            if verb == "RCPT" and "<stuck" in argument:
                time.sleep(5)
            return None
        sink = self.sink(stuck)
        post = self.instance(sink.port, RECIPIENTS, "address_verify_pending_request_limit = 2\naddress_verify_poll_count = 1\n"
                             "smtp_destination_concurrency_limit = 1\n")
        for number in range(4):
            self.assertRegex(self.rcpt(post, "stuck%d@far.example" % number), "in progress")
        post.tool("sendmail", "-f", SENDER, "friend@far.example", input="Subject: x\n\nHello.\n")
        begun = time.monotonic()
        self.wait_until(lambda: sink.messages, "mail goes before the probes", 4)
        self.assertLess(time.monotonic() - begun, 4)
        self.assertLessEqual(sum("stuck" in line for line in sink.commands), 2)

    def test_a_cache_that_is_damaged_or_removed_costs_a_probe(self):
        sink = self.sink(known("friend"))
        post = self.instance(sink.port)
        self.assertEqual(self.rcpt(post, "friend@far.example"), "250 2.1.5 Ok")
        path = os.path.join(post.folder, "data", "verify_cache.cache")
        with open(path, "r+b") as cache:
            size = os.path.getsize(path)
            cache.seek(4096)
            cache.write(b"\xff" * (size - 4096))
        self.assertEqual(self.rcpt(post, "friend@far.example"), "250 2.1.5 Ok")
        os.unlink(path)
        self.wait_until(lambda: self.rcpt(post, "friend@far.example").startswith("250") and os.path.exists(path), "a new one", 15)

    @unittest.skipIf(os.geteuid(), "privileges need root")
    def test_it_works_where_smtpd_is_in_a_chroot_and_a_sandbox(self):
        sink = self.sink(known("friend"))
        post = self.instance(sink.port, privileged=True)
        self.assertEqual(self.rcpt(post, "friend@far.example"), "250 2.1.5 Ok")
        self.assertRegex(self.rcpt(post, "nobody@far.example"), "undeliverable address")
        self.assertEqual(os.stat(os.path.join(post.folder, "data", "verify_cache.cache")).st_uid, pwd.getpwnam("mail").pw_uid)

    def test_sendmail_bv_tells_the_sender_what_the_next_host_says(self):
        sink = self.sink(known("friend"))
        post = self.instance(sink.port)
        post.tool("sendmail", "-bv", "-f", "me@example.com", "friend@far.example", "nobody@far.example", input="")
        report = post.wait_mail("me")[0]
        self.assertRegex(report, r"(?s)friend@far\.example.*Action: deliverable.*nobody@far\.example.*Action: undeliverable")
        self.assertIn("no such user", report)
        self.assertEqual(sink.messages, [])
        self.assertRegex(" ".join(sink.commands), "MAIL FROM:<me@example.com>")


if __name__ == "__main__":
    harness.main()
