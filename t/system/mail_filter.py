"""A content filter for tests, as administrators run them: takes mail by SMTP, marks it, and gives it back to another port.
For queue based filters (content_filter) and for those before the queue (smtpd_proxy_filter)."""
import re
import smtplib

import harness


class MailFilter(harness.SinkServer):
    """`give_back`: the port for what has passed; None keeps it. `verdict(text)` may return a refusal. `answers` are
    replies by verb instead of the usual ones. `forwarded` are the XFORWARD attributes, message by message."""
    EHLO = ("250-filter.test.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n"
            "250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")

    def __init__(self, give_back=None, verdict=None, answers=None):
        self.give_back, self.verdict, self.answers = give_back, verdict, answers or {}
        self.forwarded, self.attributes, self.sender, self.recipients = [], {}, "", []
        super().__init__(self.reply_to)

    def reply_to(self, verb, argument):
        if verb in self.answers:
            return self.answers[verb]
        if verb == "EHLO":
            return self.EHLO
        if verb == "XFORWARD":
            self.attributes.update(word.split("=", 1) for word in argument.split())
        elif verb == "MAIL":
            self.sender, self.recipients = re.search("<(.*?)>", argument)[1], []
        elif verb == "RCPT":
            self.recipients.append(re.search("<(.*?)>", argument)[1])
        elif verb == "END":
            self.forwarded.append(self.attributes)
            attributes, self.attributes = self.attributes, {}
            return self.pass_on(attributes, argument)
        return None

    def pass_on(self, attributes, text):
        refusal = self.verdict and self.verdict(text)
        if refusal or not self.give_back:
            return refusal
        with smtplib.SMTP("127.0.0.1", self.give_back, timeout=30) as client:
            client.ehlo("filter.test.example")
            if attributes and client.has_extn("xforward"):
                client.docmd("XFORWARD", " ".join("%s=%s" % item for item in attributes.items()))
            client.mail(self.sender)
            for recipient in self.recipients:
                client.rcpt(recipient)
            code, reply = client.data(("X-Filtered: yes\r\n" + text).encode("latin-1"))
            return "%d %s" % (code, reply.decode())
