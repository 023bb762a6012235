"""What the tests of screening share: an instance with a postscreen, and clients that come by way of a PROXY header, so that each
can have an address of its own."""
import re
import time

import harness

SCREENED = """127.0.0.1:{port} inet n - {chroot} - 1 postscreen
  -o postscreen_upstream_proxy_protocol=haproxy
  {options}
smtpd pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
"""
# Those after the greeting.
TESTS = "".join("postscreen_%s_enable = yes\n" % test for test in ("pipelining", "non_smtp_command", "bare_newline"))


class ScreeningTestCase(harness.TestCase):
    def start(self, main_cf="", options="", wait="1s", instance=None, privileged=False):
        self.port = harness.free_port()
        settings = "postscreen_greet_wait = %s\n%s" % (wait, main_cf)
        lines = SCREENED.format(port=self.port, options=options, chroot="y" if privileged else "n")
        post = instance(settings, lines) if instance else harness.Instance(self, main_cf=settings, master_cf=lines,
                                                                             privileged=privileged)
        self.addCleanup(post.close)
        return post.start()

    def connect(self, address="192.0.2.1", say=""):
        client = harness.Dialogue(self.port)
        self.addCleanup(client.close)
        client.send("PROXY TCP%d %s %s 4711 25\r\n%s" % ((6, address, "2001:db8::25", say) if ":" in address
                                                       else (4, address, "198.51.100.25", say)))
        return client

    def greeted(self, address="192.0.2.1", say=""):
        """A client that has waited for its greeting."""
        client = self.connect(address, say)
        self.assertEqual(client.reply()[0], 220)
        return client

    def rcpt(self, client, recipient="friend@example.com"):
        """The reply to the first recipient."""
        self.assertEqual(client.command("EHLO client.example")[0], 250)
        self.assertEqual(client.command("MAIL FROM:<you@example.net>")[0], 250)
        return client.command("RCPT TO:<%s>" % recipient)

    def mail(self, client):
        self.assertEqual(self.rcpt(client)[0], 250)
        self.assertEqual(client.command("DATA")[0], 354)
        self.assertEqual(client.command("Subject: x\r\n\r\nx\r\n.")[0], 250)
        self.assertEqual(client.command("QUIT")[0], 221)

    def lines(self, post, address="192.0.2.1"):
        """What screening says of a client in the log, without port and times."""
        found = re.findall(r"smtpd\[\d+\]: ([A-Z][A-Z -]+:? .*\[%s\]:.*)" % re.escape(address), post.log())
        return [re.sub(r"after [0-9.]+ ", "after T ", re.sub(r"\[(\S+)\]:\d+", r"\1", line)) for line in found]


    def expect(self, post, wanted, first=0, address="192.0.2.1"):
        """These lines, from the first one on; the last of them may follow what a client sees."""
        end = time.monotonic() + 10
        while self.lines(post, address)[first:] != wanted and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(self.lines(post, address)[first:], wanted)
