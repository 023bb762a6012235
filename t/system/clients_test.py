#!/usr/bin/env python3
"""Mail from the programs that people and scripts send it with. One that is not installed is skipped."""
import email
import os
import shutil
import subprocess
import unittest

import harness


def needs(*programs):
    missing = [name for name in programs if not shutil.which(name)]
    return unittest.skipIf(missing, "not installed: " + ", ".join(missing))


class Clients(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.post = harness.Instance(cls)
        cls.addClassCleanup(cls.post.close)
        cls.post.start()
        cls.home = os.path.join(cls.post.folder, "home")
        os.mkdir(cls.home)
        if cls.post.drops:
            os.chown(cls.home, cls.post.user.pw_uid, cls.post.user.pw_gid)

    def run_it(self, *words, input="", **more):
        """A program of the system, as the instance's user, with our sendmail in its path and nobody's settings."""
        environment = dict(PATH=os.path.join(self.post.programs, "commands") + ":/usr/bin:/bin:/usr/lib/git-core",
                           HOME=self.home, MAIL_CONFIG=self.post.etc, LC_ALL="C.UTF-8", USER="tester", TERM="dumb",
                           NO_PROXY="*", **more)
        done = subprocess.run(words, input=input, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              env=environment, cwd=self.home,
                              preexec_fn=self.post.become_user if self.post.drops else None)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    @property
    def sendmail(self):
        return os.path.join(self.post.programs, "commands", "sendmail")

    def one_message(self, user):
        text, = self.post.wait_mail(user)
        return email.message_from_string(text)

    @needs("s-nail")
    def test_s_nail_through_sendmail(self):
        self.run_it("s-nail", "-n", "-S", "mta=" + self.sendmail, "-S", "v15-compat", "-r", "me@example.org", "-s", "hello",
                    "-a", "/etc/passwd", "snail@example.com", input="text\n")
        message = self.one_message("snail")
        self.assertEqual(message["Subject"], "hello")
        self.assertEqual(message["Return-Path"], "<me@example.org>")
        self.assertTrue(message.is_multipart())

    @needs("s-nail")
    def test_s_nail_by_smtp(self):
        self.run_it("s-nail", "-n", "-S", "v15-compat", "-S", "mta=smtp://127.0.0.1:%d" % self.post.port,
                    "-S", "smtp-auth=none", "-S", "smtp-config=-all", "-S", "from=me@example.org", "-s", "hello",
                    "snailsmtp@example.com", input="text\n.\nmore\n")
        self.assertIn("\n.\nmore", self.one_message("snailsmtp").get_payload().replace("\r", ""))

    @needs("bsd-mailx")
    def test_bsd_mailx_uses_the_sendmail_of_the_system(self):
        with open(os.path.join(self.home, ".mailrc"), "w") as rc:
            rc.write("set sendmail=%s\n" % self.sendmail)
        self.run_it("bsd-mailx", "-s", "hello", "-r", "me@example.org", "bsd@example.com", input="text\n")
        self.assertEqual(self.one_message("bsd")["Return-Path"], "<me@example.org>")

    @needs("mutt")
    def test_mutt_sends_dsn_wishes_and_eight_bit(self):
        self.run_it("mutt", "-n", "-F", "/dev/null", "-e", "set sendmail='%s -oem -oi'" % self.sendmail,
                    "-e", "set from=me@example.org use_envelope_from=yes dsn_notify=never dsn_return=hdrs copy=no", "-s", "Gr\u00fc\u00dfe",
                    "mutt@example.com", input="Gr\u00fc\u00dfe\n.\nend\n")
        message = self.one_message("mutt")
        self.assertEqual(message["Return-Path"], "<me@example.org>")
        self.assertIn("end", message.get_payload(decode=True).decode(message.get_content_charset()))

    def git_patch(self):
        self.run_it("git", "init", "-q", "repository")
        repository = ("git", "-C", "repository", "-c", "user.name=J\u00fcrgen Me", "-c", "user.email=me@example.org")
        self.run_it(*repository, "commit", "-q", "--allow-empty", "-m", "one", "-m", "Text.")
        with open(os.path.join(self.post.etc, "patch"), "w") as out:
            out.write(self.run_it(*repository, "show", "--format=email", "--root"))
        return repository, os.path.join(self.post.etc, "patch")

    @needs("git", "/usr/lib/git-core/git-send-email")
    @unittest.skipIf(shutil.which("perl") and subprocess.run(["perl", "-MMail::Address", "-e1"], stderr=subprocess.DEVNULL).returncode,
                     "git send-email needs Perl's Mail::Address")
    def test_git_send_email_through_sendmail_and_by_smtp(self):
        repository, patch = self.git_patch()
        common = ("send-email", "--quiet", "--confirm=never", "--suppress-cc=all", "--from=me@example.org", "--envelope-sender=me@example.org")
        self.run_it(*repository, *common, "--smtp-server=" + self.sendmail, "--to=git@example.com", patch)
        self.assertEqual(self.one_message("git")["Return-Path"], "<me@example.org>")
        self.run_it(*repository, *common, "--smtp-server=127.0.0.1", "--smtp-server-port=%d" % self.post.port, "--to=gitsmtp@example.com",
                    patch)
        self.assertIn("one", self.one_message("gitsmtp")["Subject"])

    @needs("php")
    def test_php_mail(self):
        self.run_it("php", "-n", "-d", "sendmail_path=%s -t -i" % self.sendmail, "-r",
                    'exit(mail("php@example.com", "hello", "text\\n.\\nend", "From: me@example.org\\r\\nBcc: phpbcc@example.com",'
                    ' "-fbounces@example.org") ? 0 : 1);')
        message = self.one_message("php")
        self.assertEqual((message["Return-Path"], message["From"]), ("<bounces@example.org>", "me@example.org"))
        self.assertIn("end", message.get_payload())
        self.assertIsNone(self.one_message("phpbcc")["Bcc"])

    @needs("curl")
    def test_curl_uploads_a_message(self):
        self.run_it("curl", "-sS", "--url", "smtp://127.0.0.1:%d/client.example" % self.post.port, "--mail-from", "me@example.org",
                    "--mail-rcpt", "curl@example.com", "--crlf", "--upload-file", "-",
                    input="Subject: hello\n\n.text\n")
        self.assertEqual(self.one_message("curl").get_payload().strip(), ".text")

    @needs("swaks")
    def test_swaks_by_smtp_pipelined_and_through_a_pipe(self):
        self.run_it("swaks", "--silent", "2", "--server", "127.0.0.1", "--port", str(self.post.port), "--pipeline",
                    "--from", "me@example.org", "--to", "swaks@example.com")
        self.assertIn("test", self.one_message("swaks")["Subject"])
        self.run_it("swaks", "--silent", "2", "--pipe", self.sendmail + " -bs", "--from", "me@example.org", "--to", "swakspipe@example.com")
        self.one_message("swakspipe")

    def test_python_smtplib_with_eight_bit_and_smtputf8(self):
        with self.post.smtp() as client:
            client.send_message(email.message_from_string("From: me@example.org\nTo: py@example.com\nSubject: hello\n\ntext\n"))
            client.sendmail("me@example.org", ["py8@example.com"], "Subject: s\r\n\r\nGr\u00fc\u00dfe\r\n".encode(), ["BODY=8BITMIME", "SMTPUTF8"])
        self.assertEqual(self.one_message("py")["Subject"], "hello")
        self.one_message("py8")

    def test_sendmail_verifies_without_delivering(self):
        self.post.tool("sendmail", "-bv", "-fme@example.com", "verified@example.com")
        report = self.one_message("me")
        self.assertIn("report", report["Subject"].lower())
        self.assertEqual(self.post.mail("verified"), [])

    def test_sendmail_passes_dsn_parameters_on(self):
        with harness.SinkServer() as sink:
            with harness.Instance(self, name="dsn", main_cf="relayhost = [127.0.0.1]:%d\n" % sink.port) as post:
                post.tool("sendmail", "-N", "success,failure", "-R", "hdrs", "-V", "tag", "-F", "My Name", "-f", "me@example.org",
                          "far@far.example", input="Subject: s\n\nx\n")
                self.wait_until(lambda: sink.messages, "delivery")
                sender, (recipient,), text = sink.messages[0]
        self.assertRegex(sender, "RET=HDRS.*ENVID=tag|ENVID=tag.*RET=HDRS")
        self.assertRegex(recipient, "NOTIFY=SUCCESS,FAILURE")
        self.assertIn("From: My Name <me@example.org>", text)

    def test_sendmail_q_and_bp_speak_to_the_queue(self):
        self.post.tool("sendmail", "-q")
        self.post.tool("sendmail", "-qR", "example.com")
        self.assertRegex(self.post.tool("sendmail", "-bp").stdout, "Mail queue is empty|Queue ID")


if __name__ == "__main__":
    harness.main()
