#!/usr/bin/env python3
"""Lookup tables that come, go and change while the mail system runs."""
import os
import smtplib
import time
import unittest

import harness


class MissingTable(harness.TestCase):
    """A table file that is not there yet: mail waits, and flows without a restart once it has been made."""

    def rcpt_code(self, post, address):
        with post.smtp() as client:
            client.ehlo("client.test.example")
            client.mail("you@example.org")
            return client.rcpt(address)[0]

    def check_smtpd(self, privileged):
        with harness.Instance(self, main_cf="virtual_alias_maps = hash:{etc}/valias\n", privileged=privileged) as post:
            self.assertEqual(self.rcpt_code(post, "nick@example.com"), 451)
            self.assertRegex(post.log(), r"smtpd\[\d+\]: warning: hash:\S+/valias is unavailable\. open \S+valias\.lmdb: No such")
            pids = post.pids("smtpd")
            post.tool("postmap", post.write("valias", "nick@example.com friend@example.com\n"))
            self.wait_until(lambda: self.rcpt_code(post, "nick@example.com") == 250, "the recipient is taken")
            self.wait_until(lambda: not set(pids) & set(post.pids("smtpd")), "a new process serves, and the old one ends")
            post.send("you@example.org", ["nick@example.com"], "Hello.")
            post.wait_mail("friend")

    def test_smtpd_puts_mail_off_until_the_table_is_made(self):
        self.check_smtpd(privileged=False)

    @unittest.skipIf(os.geteuid(), "chroot is for root")
    def test_smtpd_in_its_chroot_notices_a_table_that_is_made_outside(self):
        self.check_smtpd(privileged=True)

    def test_a_reading_process_is_not_replaced_while_the_table_is_still_missing(self):
        with harness.Instance(self, main_cf="virtual_alias_maps = hash:{etc}/valias\n") as post:
            before = post.pids("smtpd")
            post.write("something-else", "x\n")
            with post.smtp() as client:
                time.sleep(2.5)  # two looks at the tables
                self.assertEqual(client.noop()[0], 250)
            self.assertEqual(set(post.pids("smtpd")), set(before))

    def test_qmgr_puts_mail_off_until_the_transport_table_is_made(self):
        port = harness.free_port()
        with harness.Instance(self, smtp_port=port, main_cf="transport_maps = texthash:{etc}/transport\n",
                              master_cf="127.0.0.1:%d inet n - n - - smtpd -o transport_maps=\n" % port) as post:
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            post.wait_log(r"warning: texthash:\S+/transport is unavailable")
            self.assertEqual(len(post.wait_queue(1)), 1)
            post.write("transport", "nothing.example error:no\n")
            post.wait_mail("friend")

    def test_a_virtual_mailbox_table_that_is_made_later_delivers_what_waits(self):
        with harness.Instance(self, main_cf="virtual_mailbox_maps = hash:{etc}/boxes\n"
                              "smtpd_reject_unlisted_recipient = no\n") as post:
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            post.wait_log(r"status=deferred .*boxes")
            post.tool("postmap", post.write("boxes", "friend@example.com friend/\n"))
            post.wait_mail("friend")


class ChangedTable(harness.TestCase):
    def test_a_table_that_is_made_again_counts_without_a_restart(self):
        post = harness.Instance(self, main_cf="virtual_alias_maps = hash:{etc}/valias\n")
        post.tool("postmap", post.write("valias", "nick@example.com friend@example.com\n"))
        with post:
            post.send("you@example.org", ["nick@example.com"], "One.")
            post.wait_mail("friend")
            post.tool("postmap", post.write("valias", "nick@example.com other@example.com\n"))

            def sent_to_the_other():
                try:
                    post.send("you@example.org", ["nick@example.com"], "Two.")
                except smtplib.SMTPException:
                    return False
                return post.mail("other")
            self.wait_until(sent_to_the_other, "the new alias counts")


if __name__ == "__main__":
    harness.main()
