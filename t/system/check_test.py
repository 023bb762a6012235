#!/usr/bin/env python3
"""What `posthouse check` finds, and how a start that fails is told of: on the terminal and in the log."""
import ctypes
import errno
import grp
import os
import pwd
import re
import shutil
import smtplib
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

import certificates
import harness


def without_landlock(act):
    """Runs act() in a thread where landlock_create_ruleset is not implemented, nor in the processes that it starts."""
    def instruction(code, jump_true, jump_false, value):
        return struct.pack("<HBBI", code, jump_true, jump_false, value)
    load_number, jump_if_equal, answer = 0x20, 0x15, 0x06
    program = b"".join((instruction(load_number, 0, 0, 0), instruction(jump_if_equal, 0, 1, 444),
                        instruction(answer, 0, 0, 0x00050000 | errno.ENOSYS), instruction(answer, 0, 0, 0x7fff0000)))
    code = ctypes.create_string_buffer(program, len(program))
    filter_program = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    failures = []

    def run():
        try:
            prctl = ctypes.CDLL(None, use_errno=True).prctl
            if prctl(no_new_privileges, 1, 0, 0, 0) or prctl(set_seccomp, filter_mode, filter_program, 0, 0):
                raise OSError(ctypes.get_errno(), "seccomp")
            act()
        except BaseException as error:
            failures.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def whole_master_cf():
    """The entries that come with Postfix on Debian; and the file itself where it is installed."""
    pipes = ["%s pipe flags=R user=%s argv=/usr/bin/%s $recipient" % (name, name, name) for name in ("maildrop", "uucp")]
    entries = [("inet n - y - -", ["smtp smtpd"]), ("unix n - y 60 1", ["pickup"]), ("unix n - y - 0", ["cleanup"]),
               ("unix n - n 300 1", ["qmgr"]), ("unix - - y 1000? 1", ["tlsmgr"]),
               ("unix - - y - -", ["rewrite trivial-rewrite"]), ("unix - - y - 0", ["bounce", "defer bounce", "trace bounce"]),
               ("unix - - y - 1", ["verify"]), ("unix n - y 1000? 0", ["flush"]), ("unix - - n - -", ["proxymap"]),
               ("unix - - n - 1", ["proxywrite proxymap"]),
               ("unix - - y - -", ["smtp", "relay smtp -o syslog_name=postfix/$service_name"]),
               ("unix n - y - -", ["showq"]), ("unix - - y - -", ["error", "retry error", "discard"]),
               ("unix - n n - -", ["local", "virtual"]), ("unix - - y - -", ["lmtp"]),
               ("unix - - y - 1", ["anvil", "scache"]), ("unix-dgram n - n - 1", ["postlog postlogd"]),
               ("unix - n n - -", pipes)]
    texts = ["".join("%s %s %s\n" % (line.split()[0], columns, " ".join(line.split()[1:]) or line)
                     for columns, lines in entries for line in lines)]
    try:
        with open("/usr/share/postfix/master.cf.dist") as shipped:
            texts.append(shipped.read())
    except OSError:
        pass
    return texts


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

    def test_what_is_no_file_in_maildrop_is_named(self):
        post = self.instance()
        os.makedirs(os.path.join(post.spool, "maildrop", "folder"))
        os.chmod(os.path.join(post.spool, "maildrop"), 0o1730)
        os.chown(os.path.join(post.spool, "maildrop"), post.user.pw_uid, post.user.pw_gid)
        self.assertRegex(self.check(post, 0), r"warning: \S+/maildrop/folder is no plain file, and never becomes mail")

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

    def test_a_fault_of_syntax_or_of_a_value_hides_neither_tables_nor_certificates_nor_other_programs(self):
        post = self.instance(main_cf="this is no setting\nsmtpd_timeout = soon\nvirtual_alias_maps = hash:{etc}/none\n"
                                     "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {etc}/garbage\n"
                                     "smtpd_helo_restrictions = nonsense\n",
                             master_cf="bad unix - - - smtpd\n")
        post.write("garbage", "garbage\n")
        text = self.check(post, 1)
        for line in (r'main\.cf, line \d+: expected "name = value"', r"main\.cf, line \d+: smtpd_timeout: expected a time",
                     r"master\.cf, line \d+: bad: expected eight columns",
                     r"main\.cf, line \d+: virtual_alias_maps: hash:\S+/none: open",
                     r"main\.cf, line \d+: smtpd_tls_chain_files: \S+/garbage: neither a key nor a certificate in it",
                     r"main\.cf, line \d+: smtpd_helo_restrictions: unknown restriction: nonsense"):
            self.assertEqual(len(re.findall(line, text)), 1, line + " in " + text)
        self.assertNotIn("service qmgr", text)

    def test_a_bad_compatibility_level_is_told_once_with_file_line_and_parameter(self):
        text = self.check(self.instance(main_cf="compatibility_level = x.y\n"), 1)
        faults = [line for line in text.splitlines() if "warning:" not in line]
        self.assertEqual(len(faults), 1, text)
        self.assertRegex(faults[0], r'main\.cf, line \d+: compatibility_level: expected a level such as 3\.6, not "x\.y"$')

    def test_a_private_key_that_everybody_may_read_is_a_warning(self):
        post = self.instance(main_cf="smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {etc}/chain.pem\n")
        path = post.write("chain.pem", certificates.self_signed("mx.test.example"))
        os.chmod(path, 0o644)
        self.assertRegex(self.check(post, 0), r"warning: \S+main\.cf, line \d+: smtpd_tls_chain_files: \S+/chain\.pem: "
                                              r"everybody may read this private key; chmod o-r \S+/chain\.pem\n")
        os.chmod(path, 0o640)
        self.assertEqual(self.check(post, 0), "")

    def test_a_certificate_file_that_is_none_is_not_called_a_faulty_key(self):
        post = self.instance(main_cf="smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {etc}/cert.pem\n")
        post.write("cert.pem", "garbage\n")
        text = self.check(post, 1)
        self.assertRegex(text, r"main\.cf, line \d+: smtpd_tls_cert_file: \S+/cert\.pem: no certificate in it\n")
        self.assertNotIn("key", text)

    def test_postfix_s_master_cf_as_debian_ships_it_starts_with_one_line_for_all_that_is_left_out(self):
        for text in whole_master_cf():
            with self.subTest(text[:60]):
                self.start_with_master_cf(text)

    def start_with_master_cf(self, text):
        post = self.instance()
        post.write("master.cf", re.sub("(?m)^smtp +inet", "127.0.0.1:%d inet" % post.port, text))
        said = [line for line in self.check(post, 0).splitlines() if "master.cf" in line]
        self.assertEqual(len(said), 2, said)
        self.assertRegex(said[0], r"warning: \S+master\.cf: not started, for other programs do their work here: cleanup, "
                                  r"tlsmgr, rewrite, bounce, .*\banvil, scache, postlog$")
        self.assertRegex(said[1], r"warning: \S+master\.cf: not started, and mail for them waits: maildrop \(.*\), uucp ")
        with post:
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            post.wait_mail("friend")
            self.assertEqual(len(re.findall(r"master\[\d+\]: .*not started", post.log())), 2)
            self.assertNotRegex(post.log(), "(fatal|error|panic): ")

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

    def test_every_word_that_is_no_restriction_is_named_with_its_line_once(self):
        post = self.instance(main_cf="smtpd_recipient_restrictions = permit_mynetwork, reject_unauth_destination\n"
                                     "smtpd_helo_restrictions = nonsense\n",
                             master_cf="127.0.0.1:%d inet n - n - - smtpd -o smtpd_client_restrictions=more\n"
                                       % harness.free_port())
        text = self.check(post, 1)
        for line in (r"main\.cf, line \d+: smtpd_recipient_restrictions: unknown restriction: permit_mynetwork",
                     r"main\.cf, line \d+: smtpd_helo_restrictions: unknown restriction: nonsense",
                     r"master\.cf, line \d+: 127\.0\.0\.1:\d+: -o smtpd_client_restrictions: unknown restriction: more"):
            self.assertEqual(len(re.findall(line, text)), 1, text)
        self.assertEqual(text.count("unknown restriction"), 3, text)

    def test_networks_that_are_none_are_named(self):
        for network, said in (("300.1.1.1/8", "bad address pattern"), ("10.1.2.3/8", "perhaps you should use \"10.0.0.0/8\"")):
            post = self.instance(main_cf="mynetworks = 127.0.0.0/8, %s\n" % network)
            self.assertRegex(self.check(post, 1), r"main\.cf, line \d+: mynetworks: .*%s" % re.escape(said))

    def test_ports_and_addresses_that_this_host_has_not_are_named(self):
        post = self.instance(main_cf="inet_interfaces = 127.0.0.1, 192.0.2.77\n",
                             master_cf="nosuchport inet n - n - - smtpd\n%d inet n - n - - smtpd\n" % harness.free_port())
        text = self.check(post, 1)
        self.assertRegex(text, r'master\.cf, line \d+: nosuchport: unknown port "nosuchport"')
        self.assertRegex(text, r"no interface of this host has the address 192\.0\.2\.77: see inet_interfaces")

    def test_what_is_hardly_meant_is_a_warning(self):
        text = self.check(self.instance(main_cf="default_transport = uucp\nmydestination = Both.example\n"
                                                "virtual_mailbox_domains = both.example\nmyhostname = short\n"), 0)
        self.assertRegex(text, r'warning: .*default_transport: master\.cf has no service "uucp"')
        self.assertRegex(text, r"warning: .*virtual_mailbox_domains: both\.example is also in mydestination")
        self.assertRegex(text, r"warning: .*myhostname: expected a name with a domain")

    def test_a_master_cf_without_a_queue_manager_is_a_fault(self):
        post = self.instance()
        post.write("master.cf", "127.0.0.1:%d inet n - n - - smtpd\n" % harness.free_port())
        self.assertIn("expected a service qmgr", self.check(post, 1))

    def test_a_queue_directory_with_a_wrong_mode_is_a_fault(self):
        post = self.instance()
        os.mkdir(os.path.join(post.spool, "mail"), 0o755)
        os.chmod(os.path.join(post.spool, "mail"), 0o755)
        if post.drops:
            os.chown(os.path.join(post.spool, "mail"), post.user.pw_uid, post.user.pw_gid)
        self.assertRegex(self.check(post, 1), r"spool/mail: mode 0755 lets others in; chmod 0700 ")

    def test_a_kernel_without_landlock_is_told_by_the_check_and_once_at_each_start(self):
        post = self.instance()

        def look():
            self.assertRegex(self.check(post, 0), r"posthouse: warning: the kernel gives no Landlock \(.*not implemented\): ")
            post.start()
        without_landlock(look)
        post.send("you@example.org", ["friend@example.com"], "Hello.")
        post.wait_mail("friend")
        self.assertEqual(len(re.findall(r"/master\[\d+\]: warning: the kernel gives no Landlock", post.log())), 1)
        self.assertEqual(post.log().count("Landlock"), 1)

    @unittest.skipIf(os.geteuid(), "accounts count for root")
    def test_missing_accounts_are_both_named_with_the_command_that_makes_them(self):
        post = self.instance(privileged=True, main_cf="mail_owner = nosuchuser\nsetgid_group = nosuchgroup\n")
        text = self.check(post, 1)
        self.assertRegex(text, r"main\.cf, line \d+: mail_owner: unknown user nosuchuser; useradd ")
        self.assertRegex(text, r"main\.cf, line \d+: setgid_group: unknown group nosuchgroup; groupadd ")
        self.assertEqual(post.tool("posthouse", "start", check=False).returncode, 1)

    @unittest.skipIf(os.geteuid(), "accounts count for root")
    def test_root_as_the_mail_owner_is_not_to_be_made_anew(self):
        text = self.check(self.instance(privileged=True, main_cf="mail_owner = root\n"), 1)
        self.assertRegex(text, r"mail_owner: root has the uid or gid of root; name another account\n")

    @unittest.skipIf(os.geteuid(), "set-gid counts for root")
    def test_a_command_that_lost_its_group_or_bit_is_told_with_the_command_that_mends_it(self):
        with tempfile.TemporaryDirectory() as commands:
            for name in ("postdrop", "postqueue"):
                shutil.copy(os.path.join(harness.BUILD, "tools", name), commands)
            post = self.instance(privileged=True, main_cf="command_directory = %s\n" % commands)
            text = self.check(post, 0)
            for name in ("postdrop", "postqueue"):
                self.assertRegex(text, r"warning: %s/%s: expected owner root, group tape and mode 02755, .*; "
                                       r"posthouse -c %s set-permissions\n" % (commands, name, post.etc))
            post.tool("posthouse", "set-permissions")
            self.assertNotIn("02755", self.check(post, 0))

    @unittest.skipIf(os.geteuid(), "owners count for root")
    def test_a_data_directory_with_files_of_others_is_refused_and_left_as_it_is(self):
        with tempfile.TemporaryDirectory() as others:
            os.chmod(others, 0o755)
            with open(os.path.join(others, "precious"), "w"):
                pass
            post = self.instance(privileged=True, main_cf="data_directory = %s\n" % others)
            text = self.check(post, 1)
            self.assertIn("data_directory = %s: there are files of others; name a directory of its own" % others, text)
            self.assertNotIn("chown", text)
            done = post.tool("posthouse", "set-permissions", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("there are files of others", done.stderr)
            status = os.stat(others)
            self.assertEqual((status.st_uid, status.st_mode & 0o7777), (0, 0o755))

    @unittest.skipIf(os.geteuid(), "set-gid counts for root")
    def test_a_maildrop_that_keeps_sendmail_out_is_a_fault(self):
        with harness.Instance(self, privileged=True) as post:
            path = os.path.join(post.spool, "maildrop")
            for mode in (0o700, 0o1710):
                os.chmod(path, mode)
                self.assertRegex(self.check(post, 1), r"spool/maildrop: mode %04o keeps out who has to get in; chmod 1730 " % mode)
            os.chmod(path, 0o730)
            self.assertNotIn("maildrop", self.check(post, 0))

    @unittest.skipIf(os.geteuid(), "owners count for root")
    def test_a_queue_directory_of_a_wrong_owner_is_a_fault(self):
        with harness.Instance(self, privileged=True) as post:
            os.chown(os.path.join(post.spool, "mail"), 0, 0)
            self.assertRegex(self.check(post, 1), r"spool/mail: wrong owner; chown ")


class PrivateInstance(CheckCase):
    """doc/private-instance.md, as it stands, but for a free port and where the build's programs are."""
    @unittest.skipIf(os.geteuid(), "set-gid needs root")
    def test_the_commands_of_its_page_work_where_postdrop_and_postqueue_are_set_gid(self):
        home = tempfile.mkdtemp(prefix="posthouse-private-")
        self.addCleanup(shutil.rmtree, home)
        os.chmod(home, 0o755)
        commands, etc = home + "/sbin", home + "/home/post/etc"
        shutil.copytree(harness.Programs.prepare() + "/commands", commands, symlinks=False)
        user = pwd.getpwnam("nobody")
        os.mkdir(home + "/home")
        os.chown(home + "/home", user.pw_uid, user.pw_gid)
        for name in ("postdrop", "postqueue"):
            os.chown("%s/%s" % (commands, name), 0, grp.getgrnam("tape").gr_gid)
            os.chmod("%s/%s" % (commands, name), 0o2755)
        with open(os.path.join(harness.SOURCE, "doc/private-instance.md")) as page:
            lines = [line[4:] for line in page if line.startswith("    ")]
        script = "".join(lines).replace("2525 inet", "%d inet" % harness.free_port())
        script = script.replace("relayhost", "daemon_directory = %s/daemons\nrelayhost" % harness.Programs.prepare())

        def run(text):
            return subprocess.run(["bash", "-ec", text], user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/",
                                  env={"HOME": home + "/home", "PATH": commands + ":/usr/bin:/bin"}, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        try:
            done = run(script)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertIn("master pid", done.stdout)
            self.assertNotRegex(done.stdout, "mode|authorised")
            self.assertEqual(run("sendmail -C ~/post/etc x@example.org </dev/null").returncode, 0)
        finally:
            run("posthouse -c %s stop" % etc)


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

    def test_a_queue_or_data_directory_without_its_whole_path_is_a_fault_and_starts_nothing(self):
        for parameter in ("queue_directory", "data_directory"):
            post = self.instance(main_cf=parameter + " = some/where\n")
            expected = r"main\.cf, line \d+: %s: expected a path that begins with /, not \"some/where\"" % parameter
            self.assertRegex(self.check(post, 1), expected)
            done = post.tool("posthouse", "start", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, expected)

    def test_a_program_that_fails_at_the_start_says_why_on_the_terminal_and_in_the_log(self):
        port = harness.free_port()
        post = self.instance(master_cf="127.0.0.1:%d inet n - n - - smtpd -o mynetworks=300.1.1.1/8\n" % port)
        done = post.tool("posthouse", "start", check=False)
        post.running = True
        self.assertEqual(done.returncode, 1)
        for text in (done.stderr, post.log()):
            self.assertRegex(text, r"smtpd(\[\d+\])?: fatal: .*300\.1\.1\.1/8")
        self.assertRegex(done.stderr, "the mail system runs, but without: 127.0.0.1:%d" % port)

    def test_a_word_that_is_no_restriction_is_told_at_the_start_and_clients_are_put_off(self):
        post = self.instance(main_cf="smtpd_recipient_restrictions = permit_mynetwork, reject_unauth_destination\n")
        done = post.tool("posthouse", "start")
        post.running = True
        self.assertIn("smtpd_recipient_restrictions: unknown restriction: permit_mynetwork", done.stderr)
        with smtplib.SMTP("127.0.0.1", post.port, timeout=20) as client:
            client.ehlo("client.example")
            client.mail("you@example.org")
            self.assertEqual(client.rcpt("friend@example.com"), (451, b"4.3.5 Server configuration error"))

    def test_a_reload_that_programs_could_not_serve_with_is_refused_and_those_that_run_go_on(self):
        with self.instance() as post:
            for setting in ("smtpd_recipient_restrictions = permit_mynetwork, reject_unauth_destination",
                            "mynetworks = 127.0.0.0/8, 300.1.1.1/8"):
                with open(post.main_cf_path) as main:
                    before = main.read()
                with open(post.main_cf_path, "a") as main:
                    main.write(setting + "\n")
                done = post.tool("posthouse", "reload", check=False)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, r"main\.cf, line \d+: %s: (.|\n)*not reloaded" % setting.split()[0])
                self.assertTrue(post.answers(post.port))
                with open(post.main_cf_path, "w") as main:
                    main.write(before)
            self.assertNotIn("reload --", post.log())

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
