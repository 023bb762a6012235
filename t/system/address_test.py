#!/usr/bin/env python3
"""Rewriting, expansion and routing, seen from outside."""
import smtplib

import harness


class Addresses(harness.TestCase):
    def test_an_alias_reaches_each_of_its_members_once(self):
        aliases = "inline:{ { team@example.com = ann@example.com, bob@example.com, sub@example.com }, " \
                  "{ sub@example.com = bob@example.com, carl@example.com } }"
        with harness.Instance(self, main_cf="virtual_alias_maps = %s\n" % aliases.replace("{", "{{").replace("}", "}}")
                              + "# {port}\n") as post:
            post.send("you@example.org", ["team@example.com"], "Hello.")
            for user in ("ann", "bob", "carl"):
                self.assertIn("X-Original-To: team@example.com", post.wait_mail(user)[0])
            post.wait_queue(0)
            self.assertEqual([1, 1, 1], [len(post.mail(user)) for user in ("ann", "bob", "carl")])

    def test_an_alias_that_turns_in_a_circle_is_refused_for_now(self):
        post = harness.Instance(self, main_cf="virtual_alias_maps = texthash:{etc}/aliases\n")
        post.write("aliases", "a@example.com b@example.com\nb@example.com a@example.com\n")
        with post:
            with self.assertRaises(smtplib.SMTPResponseException) as refused:
                post.send("you@example.org", ["a@example.com"], "Hello.")
            self.assertEqual(451, refused.exception.smtp_code)
            self.assertEqual([], post.queue())

    def test_canonical_maps_change_envelope_and_header_of_what_goes_out(self):
        with harness.SinkServer() as sink:
            post = harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d\nmyorigin = example.net\n"
                                                  "canonical_maps = texthash:{etc}/canonical\n" % sink.port)
            post.write("canonical", "ann@example.net Ann.Bee@example.net\n")
            with post:
                post.send("ann", ["you@example.org"], "Hello.")
                self.wait_until(lambda: sink.messages, "a message at the sink")
                sender, _, text = sink.messages[0]
                self.assertIn("<Ann.Bee@example.net>", sender)
                self.assertRegex(text, r"(?m)^From: Ann\.Bee@example\.net\r?$")
                self.assertRegex(text, r"(?m)^Message-Id: <\S+@post\.test\.example>\r?$")

    def test_copies_go_out_and_never_bounce(self):
        with harness.Instance(self, main_cf="always_bcc = archive@example.com\n"
                                            "sender_bcc_maps = static:gone@refused.invalid\n"
                                            "transport_maps = inline:{{refused.invalid=error:5.1.1_no}}\n#{port}\n") as post:
            post.send("sender@example.com", ["ann@example.com"], "Hello.")
            post.wait_mail("ann")
            post.wait_mail("archive")
            post.wait_log(r"to=<gone@refused\.invalid>.*status=bounced")
            post.wait_queue(0)
            self.assertEqual([], post.mail("sender"))

    def test_mail_is_routed_by_address_domain_sender_and_relayhost(self):
        with harness.SinkServer() as by_domain, harness.SinkServer() as by_sender, harness.SinkServer() as rest:
            post = harness.Instance(self, main_cf="relayhost = [127.0.0.1]:%d\n"
                                                  "transport_maps = texthash:{etc}/transport\n"
                                                  "sender_dependent_relayhost_maps = texthash:{etc}/relay\n" % rest.port)
            post.write("transport", "one.example smtp:[127.0.0.1]:%d\nstop.example error:5.7.1 not there\n"
                       "void.example discard:\n" % by_domain.port)
            post.write("relay", "@special.example [127.0.0.1]:%d\n" % by_sender.port)
            with post:
                post.send("me@example.com", ["a@one.example"], "domain")
                post.send("me@special.example", ["a@two.example"], "sender")
                post.send("me@example.com", ["a@two.example"], "rest")
                post.send("me@example.com", ["a@void.example"], "void")
                for sink, text in ((by_domain, "domain"), (by_sender, "sender"), (rest, "rest")):
                    self.wait_until(lambda: sink.messages, text)
                    self.assertIn(text, sink.messages[0][2])
                with self.assertRaises(smtplib.SMTPResponseException) as refused:
                    post.send("me@example.com", ["a@stop.example"], "stop")
                self.assertEqual(550, refused.exception.smtp_code)
                self.assertIn(b"not there", refused.exception.smtp_error)
                post.wait_queue(0)

    def test_a_message_that_has_come_too_far_is_refused(self):
        with harness.Instance(self) as post:
            hops = "Received: from a by b\r\n" * 60
            with harness.Dialogue(post.port) as client:
                client.reply()
                for line in ("EHLO me", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.com>", "DATA"):
                    client.command(line)
                client.send(hops + "Subject: far\r\n\r\nbody\r\n.\r\n")
                code, text = client.reply()
                self.assertEqual(554, code)
                self.assertIn("too many hops", text[0])
                self.assertEqual(250, client.command("NOOP")[0])

    def test_a_changed_table_is_seen_without_a_reload(self):
        post = harness.Instance(self, main_cf="virtual_alias_maps = texthash:{etc}/aliases\n")
        post.write("aliases", "x@example.com first@example.com\n")
        with post:
            post.send("you@example.org", ["x@example.com"], "one")
            post.wait_mail("first")
            post.write("aliases", "x@example.com second@example.com\n")

            def arrives():
                post.send("you@example.org", ["x@example.com"], "two")
                return post.mail("second")
            self.wait_until(arrives, "the changed alias")


if __name__ == "__main__":
    harness.main()
