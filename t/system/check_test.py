#!/usr/bin/env python3
"""What `posthouse check` finds, and how a start that fails is told of: on the terminal and in the log."""
import os
import re
import shutil
import socket
import unittest

import harness


class CheckCase(harness.TestCase):
    def instance(self, **options):
        post = harness.Instance(self, **options)
        self.addCleanup(post.close)
        return post

    def check(self, post, status):
        done = post.tool("posthouse", "check", check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr


class Check(CheckCase):
    def test_a_sound_instance_is_passed_over_in_silence(self):
        self.assertEqual(self.check(self.instance(), 0), "")

    def test_a_missing_table_is_named_with_file_line_parameter_and_remedy(self):
        post = self.instance(main_cf="virtual_alias_maps = hash:{etc}/valias\n")
        text = self.check(post, 1)
        self.assertRegex(text, r"main\.cf, line \d+: virtual_alias_maps: hash:\S+/valias: open \S+/valias\.lmdb: No such file "
                               r"or directory; make it with postmap hash:\S+/valias\n")

    def test_missing_alias_tables_are_made_with_postalias(self):
        text = self.check(self.instance(main_cf="alias_maps = hash:{etc}/aliases\n"), 1)
        self.assertRegex(text, r"alias_maps: .*; make it with postalias hash:")

    def test_tables_inside_lists_and_in_options_of_master_cf_are_looked_at(self):
        port = harness.free_port()
        post = self.instance(main_cf="relay_domains = example.net, texthash:{etc}/relayed\n",
                             master_cf="127.0.0.1:%d inet n - n - - smtpd -o transport_maps=texthash:/nothing/here\n" % port)
        text = self.check(post, 1)
        self.assertRegex(text, r"main\.cf, line \d+: relay_domains: texthash:\S+/relayed: open")
        self.assertRegex(text, r"master\.cf, line \d+: 127\.0\.0\.1:%d: -o transport_maps: texthash:/nothing/here: open" % port)

    def test_a_faulty_table_is_named(self):
        post = self.instance(main_cf="transport_maps = regexp:{etc}/rules\n")
        post.write("rules", "if /a/\n/x/ error:no\n")
        self.assertRegex(self.check(post, 1), r'transport_maps: regexp:\S+/rules: line 1: "if" without "endif"')

    def test_an_unknown_type_of_table_is_named(self):
        self.assertRegex(self.check(self.instance(main_cf="transport_maps = nosuch:x\n"), 1),
                         "transport_maps: nosuch:x: unsupported table type: nosuch")

    def test_faults_of_both_files_are_told_at_once(self):
        post = self.instance(main_cf="smtpd_timeout = soon\n", master_cf="bad unix - - - smtpd\n")
        text = self.check(post, 1)
        self.assertRegex(text, r"main\.cf, line \d+: smtpd_timeout: expected a time")
        self.assertRegex(text, r"master\.cf, line \d+: bad: expected eight columns")

    def test_an_empty_master_cf_is_a_fault(self):
        post = self.instance()
        post.write("master.cf", "# nothing\n")
        self.assertRegex(self.check(post, 1), r"master\.cf: expected at least one service")

    def test_a_missing_master_cf_is_a_fault(self):
        post = self.instance()
        os.unlink(post.master_cf_path)
        self.assertRegex(self.check(post, 1), r"open \S+/master\.cf: No such file")

    def test_a_program_that_does_not_exist_is_named_with_its_line(self):
        text = self.check(self.instance(master_cf="scan unix - - n - - antivirus\n"), 1)
        self.assertRegex(text, r'master\.cf, line \d+: scan: expected a program of the mail system, not "antivirus"')

    def test_an_unknown_parameter_is_a_warning_in_main_cf_and_after_o(self):
        post = self.instance(main_cf="smtpd_bannner = x\n",
                             master_cf="127.0.0.1:%d inet n - n - - smtpd -o nosuch=1\n" % harness.free_port())
        text = self.check(post, 0)
        self.assertRegex(text, r"warning: \S+main\.cf, line \d+: smtpd_bannner: unknown parameter.*did you mean smtpd_banner")
        self.assertRegex(text, r"warning: \S+master\.cf, line \d+: .*-o nosuch: unknown parameter")

    def test_a_queue_directory_with_a_wrong_mode_is_a_fault(self):
        post = self.instance()
        os.mkdir(os.path.join(post.spool, "mail"), 0o755)
        os.chmod(os.path.join(post.spool, "mail"), 0o755)
        if post.drops:
            os.chown(os.path.join(post.spool, "mail"), post.user.pw_uid, post.user.pw_gid)
        self.assertRegex(self.check(post, 1), r"spool/mail: mode 0755 lets others in; chmod 0700 ")

    @unittest.skipIf(os.geteuid(), "accounts count for root")
    def test_missing_accounts_are_both_named_with_the_command_that_makes_them(self):
        post = self.instance(privileged=True, main_cf="mail_owner = nosuchuser\nsetgid_group = nosuchgroup\n")
        text = self.check(post, 1)
        self.assertRegex(text, r"main\.cf, line \d+: mail_owner: unknown user nosuchuser; useradd ")
        self.assertRegex(text, r"main\.cf, line \d+: setgid_group: unknown group nosuchgroup; groupadd ")
        self.assertEqual(post.tool("posthouse", "start", check=False).returncode, 1)

    @unittest.skipIf(os.geteuid(), "owners count for root")
    def test_a_queue_directory_of_a_wrong_owner_is_a_fault(self):
        with harness.Instance(self, privileged=True) as post:
            os.chown(os.path.join(post.spool, "mail"), 0, 0)
            self.assertRegex(self.check(post, 1), r"spool/mail: wrong owner; chown ")


class Start(CheckCase):
    def test_a_missing_table_does_not_keep_the_mail_system_from_starting(self):
        with self.instance(main_cf="relocated_maps =\nvirtual_alias_maps = hash:{etc}/valias\n") as post:
            self.assertTrue(post.answers(post.port))

    def test_directories_above_the_queue_are_made(self):
        post = self.instance()
        shutil.rmtree(post.spool)
        shutil.rmtree(os.path.join(post.folder, "data"))
        with open(post.main_cf_path, "a") as main:
            main.write("queue_directory = %s/a/b/spool\ndata_directory = %s/c/d/data\n" % (post.folder, post.folder))
        post.spool = post.folder + "/a/b/spool"
        post.start()
        self.assertTrue(os.path.isdir(post.folder + "/c/d/data"))
        self.assertTrue(os.path.isdir(post.spool + "/maildrop"))

    def test_a_queue_directory_that_cannot_be_made_is_told_with_its_parameter(self):
        post = self.instance(main_cf="queue_directory = /proc/nothing/spool\n")
        done = post.tool("posthouse", "start", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"queue_directory: mkdir /proc/nothing: ")
        self.assertRegex(post.log(), r"posthouse/master\[\d+\]: fatal: queue_directory: mkdir /proc/nothing: ")

    def test_a_program_that_fails_at_the_start_says_why_on_the_terminal_and_in_the_log(self):
        port = harness.free_port()
        post = self.instance(master_cf="127.0.0.1:%d inet n - n - - smtpd -o smtpd_client_restrictions=no_such_thing\n" % port)
        done = post.tool("posthouse", "start", check=False)
        post.running = True
        self.assertEqual(done.returncode, 1)
        for text in (done.stderr, post.log()):
            self.assertRegex(text, r"smtpd(\[\d+\])?: fatal: .*unknown restriction: no_such_thing")
        self.assertRegex(done.stderr, "the mail system runs, but without: 127.0.0.1:%d" % port)

    def test_a_fault_that_comes_while_it_runs_is_in_the_log_with_its_line(self):
        with self.instance() as post:
            with open(post.main_cf_path, "a") as main:
                main.write("smtpd_timeout = soon\n")
            post.kill("smtpd")
            with socket.create_connection(("127.0.0.1", post.port)):
                post.wait_log(r"posthouse/smtpd\[\d+\]: error: \S+/main\.cf, line \d+: smtpd_timeout: expected a time")
            self.assertTrue(re.search(r"posthouse/smtpd\[\d+\]: fatal: the configuration in \S+ cannot be used", post.log()))

    def test_it_can_be_looked_at_and_stopped_with_a_fault_in_its_configuration(self):
        with self.instance() as post:
            with open(post.main_cf_path, "a") as main:
                main.write("smtpd_timeout = soon\n")
            self.assertEqual(post.tool("posthouse", "reload", check=False).returncode, 1)
            self.assertIn("is running", post.tool("posthouse", "status").stdout)
            post.tool("posthouse", "stop")
            self.assertEqual(post.tool("posthouse", "status", check=False).returncode, 1)
            post.running = False


if __name__ == "__main__":
    harness.main()
