#!/usr/bin/env python3
"""header_checks and its kin as an administrator sees them: what a client hears, what arrives, and what the log says, in
Postfix's words; for mail from the network and from this host."""
import re
import smtplib

import harness

ATTACHMENT = ("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\ntext\r\n"
              "--b\r\nContent-Type: application/octet-stream; name=\"%s\"\r\n\r\nMZ\r\n--b--\r\n")


class ContentCase(harness.TestCase):
    def instance(self, **tables):
        """With the rules of each table in a file, one a line."""
        master_cf = tables.pop("master_cf", "")
        main_cf = tables.pop("main_cf", "")
        post = harness.Instance(self, master_cf=master_cf)
        for name, rules in tables.items():
            main_cf += "%s = regexp:%s\n" % (name, post.write(name, rules + "\n"))
        post.configure(main_cf.replace("{", "{{").replace("}", "}}"), master_cf)
        return post

    def submit(self, post, text, sender="you@example.net", recipients=("friend@example.com",)):
        """The reply at the end of the content."""
        with post.smtp() as client:
            client.ehlo("client.test.example")
            client.mail(sender)
            for recipient in recipients:
                client.rcpt(recipient)
            code, reply = client.data(text)
            return code, reply.decode()


class Actions(ContentCase):
    def test_reject_is_said_at_the_end_of_the_content_and_logged_as_postfix_does(self):
        with self.instance(header_checks="/^Subject: buy/ REJECT no thanks") as post:
            self.assertEqual(self.submit(post, "Subject: buy now\r\n\r\nx\r\n"), (550, "5.7.1 no thanks"))
            post.wait_log(r"smtpd\[\d+\]: \w+: reject: header Subject: buy now from unknown\[127\.0\.0\.1\]; "
                          r"from=<you@example\.net> to=<friend@example\.com> proto=ESMTP helo=<client\.test\.example>: "
                          r"5\.7\.1 no thanks$")
            # Once is enough for who counts them.
            self.assertEqual(len(re.findall(r"reject:", post.log())), 1)
            self.assertEqual(self.submit(post, "Subject: hello\r\n\r\nbuy\r\n")[0], 250)
            self.assertEqual(len(post.wait_mail("friend")), 1)

    def test_a_refused_message_leaves_the_session_as_it_was(self):
        with self.instance(header_checks="/^Subject: bad/ REJECT") as post, post.smtp() as client:
            client.ehlo()
            for subject, code in (("bad", 550), ("good", 250), ("bad", 550), ("good", 250)):
                client.mail("you@example.net")
                client.rcpt("friend@example.com")
                self.assertEqual(client.data("Subject: %s\r\n\r\n%s\r\n" % (subject, "line\r\n" * 20000))[0], code)
            self.assertEqual(len(post.wait_mail("friend", 2)), 2)

    def test_what_actions_do_to_a_message(self):
        rules = ("/^X-Hide/ IGNORE\n/^X-Strip/ STRIP gone\n/^Subject: (.*)/ REPLACE Subject: [$1]\n/^X-Mark/ PREPEND X-Found: mark\n"
                 "/^X-Warn/ WARN look\n/^X-Info/ INFO just so\n/^X-Odd/ FROBNICATE")
        with self.instance(header_checks=rules, body_checks="/^secret/ REPLACE (left out)") as post:
            text = ("X-Hide: 1\r\nX-Strip: 1\r\nSubject: hello\r\nX-Mark: 1\r\nX-Warn: 1\r\nX-Info: 1\r\nX-Odd: 1\r\n\r\n"
                    "first\r\nsecret word\r\n")
            self.assertEqual(self.submit(post, text)[0], 250)
            mail = post.wait_mail("friend")[0]
            self.assertIn("\nSubject: [hello]\nX-Found: mark\nX-Mark: 1\nX-Warn: 1\nX-Info: 1\nX-Odd: 1\n", mail)
            self.assertTrue(mail.endswith("\n\nfirst\n(left out)\n"), mail)
            self.assertNotIn("X-Strip", mail)
            for line in (r"strip: header X-Strip: 1 from unknown\[127\.0\.0\.1\]; .*: gone$", r"replace: header Subject: hello from ",
                         r"prepend: header X-Mark: 1 from .*: X-Found: mark$", r"warning: header X-Warn: 1 from .*: look$",
                         r"info: header X-Info: 1 from .*: just so$", r"replace: body secret word from .*: \(left out\)$",
                         r"warning: \w+: header_checks: unknown action: FROBNICATE$"):
                post.wait_log(line)
            self.assertNotIn("X-Hide", mail + post.log())

    def test_what_actions_do_to_the_envelope(self):
        rules = ("/^Subject: discard/ DISCARD\n/^Subject: hold/ HOLD\n/^Subject: redirect/ REDIRECT trap@example.com\n"
                 "/^Subject: copy/ BCC archive@example.com\n/^Subject: filter/ FILTER smtp:[127.0.0.1]:%d")
        with harness.SinkServer() as sink, self.instance(header_checks=rules % sink.port) as post:
            for word in ("discard", "hold", "redirect", "copy", "filter"):
                self.assertEqual(self.submit(post, "Subject: %s\r\n\r\n%s\r\n" % (word, word))[0], 250)
            self.assertIn("redirect", post.wait_mail("trap")[0])
            self.assertIn("copy", post.wait_mail("archive")[0])
            self.assertIn("copy", post.wait_mail("friend")[0])
            self.wait_until(lambda: sink.messages, "the filter has a message")
            self.assertIn("filter", sink.messages[0][2])
            held = post.wait_queue(1)
            self.assertEqual(held[0]["queue_name"], "hold")
            post.wait_log(r"discard: header Subject: discard from ")
            post.wait_log(r"hold: header Subject: hold from ")
            self.assertEqual((len(post.mail("friend")), len(post.mail("trap"))), (1, 1))

    def test_reject_with_a_4xx_code_puts_the_client_off(self):
        with self.instance(body_checks="/^busy/ REJECT 4.7.1 later") as post:
            self.assertEqual(self.submit(post, "Subject: x\r\n\r\nbusy\r\n"), (451, "4.7.1 later"))

    def test_a_table_that_cannot_be_read_puts_mail_off(self):
        with self.instance(main_cf="header_checks = regexp:/nowhere/checks\n") as post:
            self.assertEqual(self.submit(post, "Subject: x\r\n\r\nx\r\n")[0], 451)
            post.wait_log(r"warning: \w+: header_checks .* -- message not accepted, try again later")


class Mime(ContentCase):
    def test_attachments_are_found_by_their_names(self):
        with self.instance(mime_header_checks=r"/name=[^>]*\.(exe|scr)/ REJECT executable content") as post:
            self.assertEqual(self.submit(post, ATTACHMENT % "run.exe"), (550, "5.7.1 executable content"))
            self.assertEqual(self.submit(post, ATTACHMENT % "run.txt")[0], 250)
            # Forwarded as an attachment.
            forwarded = "Content-Type: message/rfc822\r\n\r\n" + ATTACHMENT % "inner.scr"
            self.assertEqual(self.submit(post, forwarded)[0], 550)

    def test_what_is_split_between_chunks_is_found(self):
        with self.instance(mime_header_checks=r"/name=[^>]*\.exe/ REJECT") as post, harness.Dialogue(post.port) as client:
            client.reply()
            for line in ("EHLO client.example", "MAIL FROM:<you@example.net>", "RCPT TO:<friend@example.com>"):
                client.command(line)
            text = ATTACHMENT % "run.exe"
            for at in range(0, len(text), 40):
                piece = text[at:at + 40]
                client.send("BDAT %d%s\r\n%s" % (len(piece), " LAST" if at + 40 >= len(text) else "", piece))
                code = client.reply()[0]
            self.assertEqual(code, 550)

    def test_a_bomb_of_nested_parts_is_refused_quickly(self):
        bomb = "Content-Type: multipart/mixed; boundary=b0\r\n\r\n" + "".join(
            "--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (level, level + 1) for level in range(20000))
        with self.instance(header_checks="/nothing/ REJECT") as post:
            self.assertEqual(self.submit(post, bomb), (550, "5.6.0 MIME nesting exceeds safety limit"))
            post.wait_log(r"reject: mime-error MIME nesting exceeds safety limit: from unknown\[127\.0\.0\.1\]; from=<you@example\.net> ")


class Origins(ContentCase):
    def test_local_mail_is_checked_too_and_returned_when_refused(self):
        main_cf = "mydestination =\nmyorigin = example.com\n"
        with self.instance(header_checks="/^Subject: bad/ REJECT no such mail here", main_cf=main_cf) as post:
            post.tool("sendmail", "-C", post.etc, "-f", "me@example.com", "friend@example.com",
                      input="Subject: bad\n\nx\n")
            self.assertIn("no such mail here", post.wait_mail("me")[0])
            post.wait_log(r"pickup\[\d+\]: \w+: reject: header Subject: bad from local; from=<me@example\.com> "
                          r"to=<friend@example\.com>: 5\.7\.1 no such mail here$")
            self.assertEqual(post.mail("friend"), [])

    def test_our_own_notices_are_not_checked(self):
        with harness.SinkServer(lambda verb, _: "550 5.1.1 nobody" if verb == "RCPT" else None) as sink, self.instance(
                header_checks="/^Subject: Undelivered/ REJECT\n/^Content-Type: message/ REJECT",
                main_cf="transport_maps = inline:{ far.example=smtp:[127.0.0.1]:%d }\n" % sink.port) as post:
            self.submit(post, "Subject: x\r\n\r\nx\r\n", "me@example.com", ["a@far.example"])
            self.assertIn("550 5.1.1 nobody", post.wait_mail("me")[0])

    def test_receive_override_options_turn_checks_off_for_one_service(self):
        port = harness.free_port()
        with self.instance(header_checks="/^Subject: bad/ REJECT", master_cf="127.0.0.1:%d inet n - n - - smtpd\n"
                           "  -o receive_override_options=no_header_body_checks\n" % port) as post:
            self.assertEqual(self.submit(post, "Subject: bad\r\n\r\nx\r\n")[0], 550)
            with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
                client.sendmail("you@example.net", ["friend@example.com"], "Subject: bad\r\n\r\nx\r\n")
            post.wait_mail("friend")

    def test_a_table_that_was_changed_counts_without_a_reload(self):
        with self.instance(header_checks="/^Subject: old/ REJECT") as post:
            self.assertEqual(self.submit(post, "Subject: new\r\n\r\nx\r\n")[0], 250)
            post.write("header_checks", "/^Subject: new/ REJECT\n")
            self.wait_until(lambda: self.submit(post, "Subject: new\r\n\r\nx\r\n")[0] == 550, "the new table is read")


if __name__ == "__main__":
    harness.main()
