#!/usr/bin/env python3
"""Restriction lists with a real name server: what clients hear, and what the log says of it."""
import socket
import threading

import harness
import name_server

ZONE = """
2.100.51.198.bl A 127.0.0.2
2.100.51.198.bl TXT "see https://bl.example.test/198.51.100.2"
3.100.51.198.wl A 127.0.0.5
@ MX 10 mail
mail A 192.0.2.66
bad A 192.0.2.66
"""
MAIN_CF = "smtpd_authorized_xclient_hosts = 127.0.0.0/8\nmynetworks = 192.0.2.1\nsmtpd_client_connection_count_limit = 0\n"


class Restrictions(harness.TestCase):
    def setUp(self):
        self.names = name_server.NameServer(self, {"example.test": ZONE})

    def instance(self, main_cf):
        return harness.Instance(self, main_cf="dns_servers = %s\n" % self.names.address + MAIN_CF + main_cf)

    def rcpt(self, post, address, sender="you@example.net", recipient="friend@example.com"):
        """What a client at this address hears at RCPT."""
        with harness.Dialogue(post.port) as client:
            client.reply()
            self.assertEqual(client.command("XCLIENT ADDR=%s NAME=[UNAVAILABLE]" % address)[0], 220)
            client.command("EHLO client.example")
            client.command("MAIL FROM:<%s>" % sender)
            code, lines = client.command("RCPT TO:<%s>" % recipient)
            return "%d %s" % (code, lines[-1])

    def test_a_listed_client_is_refused_in_the_lists_words_and_the_log_says_so(self):
        with self.instance("smtpd_client_restrictions = permit_mynetworks, reject_rbl_client bl.example.test=127.0.0.[2..11]\n") as post:
            text = ("554 5.7.1 Service unavailable; Client host [198.51.100.2] blocked using bl.example.test; "
                    "see https://bl.example.test/198.51.100.2")
            self.assertEqual(self.rcpt(post, "198.51.100.2"), text)
            self.assertEqual(self.rcpt(post, "198.51.100.9"), "250 2.1.5 Ok")
            log = post.wait_log(r"NOQUEUE: reject: RCPT from unknown\[198\.51\.100\.2\]: (.*)")[1]
            self.assertEqual(log, text + "; from=<you@example.net> to=<friend@example.com> proto=ESMTP helo=<client.example>")

    def test_a_list_that_does_not_answer_refuses_nobody_and_is_in_the_log(self):
        with self.instance("smtpd_client_restrictions = reject_rbl_client bl.broken.test\n") as post:
            self.assertEqual(self.rcpt(post, "198.51.100.2"), "250 2.1.5 Ok")
            post.wait_log(r"warning: 2\.100\.51\.198\.bl\.broken\.test: RBL lookup error: .*try again")

    def test_an_allow_list_permits_and_the_log_says_who_was_permitted(self):
        with self.instance("smtpd_recipient_restrictions = permit_dnswl_client wl.example.test, reject\n"
                           "smtpd_log_access_permit_actions = permit_dnswl_client\n") as post:
            self.assertEqual(self.rcpt(post, "198.51.100.3"), "250 2.1.5 Ok")
            self.assertEqual(self.rcpt(post, "198.51.100.9")[:3], "554")
            self.assertEqual(self.rcpt(post, "198.51.100.3", recipient="x@far.example")[:3], "454")
            post.wait_log(r"NOQUEUE: permit: RCPT from unknown\[198\.51\.100\.3\]: action=permit_dnswl_client for "
                          r"Client host=unknown\[198\.51\.100\.3\] ; from=<you@example\.net> to=<friend@example\.com>")

    def test_a_sender_whose_mail_exchanger_is_in_an_access_table_is_refused(self):
        with self.instance("smtpd_sender_restrictions = check_sender_mx_access cidr:{{192.0.2.66/32 REJECT fake MX}}\n"
                           .replace("{", "{{").replace("}", "}}")) as post:
            self.assertEqual(self.rcpt(post, "198.51.100.9", sender="you@example.test"),
                             "554 5.7.1 <you@example.test>: Sender address rejected: fake MX")
            self.assertEqual(self.rcpt(post, "198.51.100.9"), "250 2.1.5 Ok")

    def test_a_warning_instead_of_a_refusal_is_in_the_log(self):
        with self.instance("smtpd_recipient_restrictions = warn_if_reject reject_rbl_client bl.example.test\n") as post:
            self.assertEqual(self.rcpt(post, "198.51.100.2"), "250 2.1.5 Ok")
            post.wait_log(r"NOQUEUE: reject_warning: RCPT from unknown\[198\.51\.100\.2\]: 554 5\.7\.1 Service unavailable; ")

    def test_a_name_server_that_is_silent_holds_up_those_alone_who_need_it(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            with harness.Instance(self, main_cf=MAIN_CF + "dns_servers = 127.0.0.1:%d\nsmtpd_dns_timeout = 2s\n" %
                                  silent.getsockname()[1] +
                                  "smtpd_client_restrictions = permit_mynetworks, reject_rbl_client bl.example.test\n") as post:
                heard = []
                waits = threading.Thread(target=lambda: heard.append(self.rcpt(post, "198.51.100.2")))
                waits.start()
                post.wait_log(r"connect from unknown")
                self.assertEqual(silent.recv(500)[13:15], b"2\3")  # it has been asked about 2.100...
                self.assertEqual(self.rcpt(post, "192.0.2.1"), "250 2.1.5 Ok")
                self.assertEqual(heard, [])
                waits.join()
                self.assertEqual(heard, ["250 2.1.5 Ok"])


if __name__ == "__main__":
    harness.main()
