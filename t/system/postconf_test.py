#!/usr/bin/env python3
"""postconf as an administrator and a package's scripts use it."""
import os
import stat
import subprocess
import tempfile
import unittest

POSTCONF = os.path.join(os.environ.get("POSTHOUSE_BUILD", "."), "tools", "postconf")
MAIN_CF = "# ours\ncompatibility_level = 3.11\nmyhostname = mail.example.com\n\nour_net = 10.0.0.0/8\nmynetworks = 127.0.0.0/8\n  $our_net\n"
MASTER_CF = "smtp inet n - y - - smtpd\n  -o smtpd_timeout=5 -o { smtpd_banner = $myhostname hi }\n# end\nqmgr unix n - n 300 1 qmgr\n"


class Postconf(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.write("main.cf", MAIN_CF)
        self.write("master.cf", MASTER_CF)

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def run_it(self, *words, status=0):
        done = subprocess.run([POSTCONF, "-c", self.folder.name, *words], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, status, done.stderr)
        self.errors = done.stderr
        return done.stdout

    def test_n_prints_what_main_cf_sets_sorted_and_as_written(self):
        self.assertEqual(self.run_it("-n"), "compatibility_level = 3.11\nmyhostname = mail.example.com\n"
                         "mynetworks = 127.0.0.0/8 $our_net\nour_net = 10.0.0.0/8\n")
        self.assertEqual(self.errors, "")

    def test_x_expands_and_h_leaves_the_names_out(self):
        self.assertEqual(self.run_it("-x", "mynetworks", "mydomain"),
                         "mynetworks = 127.0.0.0/8 10.0.0.0/8\nmydomain = example.com\n")
        self.assertEqual(self.run_it("-xh", "smtpd_banner"), "mail.example.com ESMTP Posthouse\n")
        self.assertEqual(self.run_it("-H", "mydomain"), "mydomain\n")

    def test_d_prints_defaults_and_plain_everything(self):
        self.assertEqual(self.run_it("-d", "smtpd_timeout", "relayhost"),
                         "smtpd_timeout = ${stress?{10}:{300}}s\nrelayhost = \n")
        everything = self.run_it().splitlines()
        self.assertIn("mynetworks = 127.0.0.0/8 $our_net", everything)
        self.assertIn("hopcount_limit = 50", everything)
        self.assertIn("our_net = 10.0.0.0/8", everything)
        self.assertEqual(everything, sorted(everything, key=lambda line: line.split(" =")[0]))

    def test_o_counts_for_this_output_only(self):
        self.assertEqual(self.run_it("-o", "our_net=192.0.2.0/24", "-xh", "mynetworks"), "127.0.0.0/8 192.0.2.0/24\n")
        self.assertEqual(self.read("main.cf"), MAIN_CF)

    def test_an_unknown_name_is_warned_of(self):
        self.assertEqual(self.run_it("no_such_name"), "")
        self.assertIn("warning: no_such_name: unknown parameter", self.errors)

    def test_a_fault_in_main_cf_is_told_and_the_rest_is_shown(self):
        self.run_it("-e", "smtpd_timeout=soon")
        self.assertEqual(self.run_it("smtpd_timeout"), "smtpd_timeout = soon\n")
        self.assertIn("main.cf, line 8: smtpd_timeout: expected a time", self.errors)

    def test_e_changes_in_place_and_keeps_comments_order_and_mode(self):
        os.chmod(self.path("main.cf"), 0o640)
        self.run_it("-e", "myhostname = mx.example.com", "relayhost=[a.example]:587")
        self.assertEqual(self.read("main.cf"), MAIN_CF.replace("mail.example.com", "mx.example.com") + "relayhost = [a.example]:587\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.path("main.cf")).st_mode), 0o640)
        self.run_it("mynetworks=127.0.0.0/8")
        self.assertIn("mynetworks = 127.0.0.0/8\nrelayhost", self.read("main.cf"))

    def test_a_symbolic_link_stays_one(self):
        os.rename(self.path("main.cf"), self.path("real.cf"))
        os.symlink("real.cf", self.path("main.cf"))
        self.run_it("-e", "relayhost=a")
        self.assertTrue(os.path.islink(self.path("main.cf")))
        self.assertIn("relayhost = a\n", self.read("real.cf"))

    def test_entries_are_made_comments_and_removed(self):
        self.run_it("-#", "mynetworks")
        self.assertIn("#mynetworks = 127.0.0.0/8\n#  $our_net\n", self.read("main.cf"))
        self.run_it("-X", "our_net")
        self.assertNotIn("our_net =", self.read("main.cf"))

    def test_M_and_P_show_services_and_their_options(self):
        self.assertEqual(self.run_it("-M", "smtp/inet"), "smtp       inet  n       -       y       -       -       smtpd "
                         "-o smtpd_timeout=5 -o { smtpd_banner = $myhostname hi }\n")
        self.assertEqual(self.run_it("-P"), "smtp/inet/smtpd_timeout = 5\nsmtp/inet/smtpd_banner = $myhostname hi\n")

    def test_M_and_P_change_services_and_their_options(self):
        self.run_it("-P", "smtp/inet/smtpd_timeout=7")
        self.assertEqual(self.run_it("-P", "smtp/inet/smtpd_timeout"), "smtp/inet/smtpd_timeout = 7\n")
        self.run_it("-Me", "pickup/unix=pickup unix n - y 60 1 pickup")
        self.assertEqual(len(self.run_it("-M").splitlines()), 3)
        self.run_it("-MX", "qmgr/unix")
        self.assertEqual(len(self.run_it("-M").splitlines()), 2)
        self.assertIn("# end\n", self.read("master.cf"))

    def test_F_shows_fields_and_changes_them(self):
        self.assertEqual(self.run_it("-F", "qmgr/unix"), "qmgr/unix/service = qmgr\nqmgr/unix/type = unix\n"
                         "qmgr/unix/private = n\nqmgr/unix/unprivileged = -\nqmgr/unix/chroot = n\n"
                         "qmgr/unix/wakeup = 300\nqmgr/unix/process_limit = 1\nqmgr/unix/command = qmgr\n")
        self.assertEqual(self.run_it("-Fh", "*/*/wakeup"), "-\n300\n")
        self.run_it("-Fe", "smtp/inet/chroot=n", "smtp/inet/command = smtpd -v")
        self.assertEqual(self.run_it("-Fh", "smtp/inet/chroot", "smtp/inet/command"), "n\nsmtpd -v\n")
        self.assertIn("# end\n", self.read("master.cf"))
        before = self.read("master.cf")
        self.run_it("-Fe", "smtp/inet/colour=red", status=1)
        self.assertIn("the fields are service, type, private,", self.errors)
        self.run_it("-Fe", "smtp/inet/chroot=y n", status=1)
        self.run_it("-FX", "smtp/inet/chroot", status=64)
        self.assertEqual(self.read("master.cf"), before)

    def test_x_expands_in_services_too(self):
        self.assertEqual(self.run_it("-Pxh", "smtp/inet/smtpd_banner"), "mail.example.com hi\n")

    def test_an_option_of_a_service_is_removed_and_never_by_the_comment_flag(self):
        self.run_it("-P#", "smtp/inet/smtpd_timeout", status=64)
        self.assertIn("cannot be made a comment", self.errors)
        self.assertEqual(self.read("master.cf"), MASTER_CF)
        self.run_it("-PX", "smtp/inet/smtpd_timeout")
        self.assertEqual(self.run_it("-P"), "smtp/inet/smtpd_banner = $myhostname hi\n")

    def test_C_chooses_the_class_of_parameters(self):
        self.run_it("-e", "relay_destination_concurrency_limit = 3")
        self.assertEqual(self.run_it("-C", "user"), "our_net = 10.0.0.0/8\n")
        self.assertEqual(self.run_it("-nC", "service"), "relay_destination_concurrency_limit = 3\n")
        self.assertNotIn("our_net =", self.run_it("-C", "builtin,service"))
        self.assertEqual(self.run_it("-C", "all"), self.run_it())
        self.run_it("-C", "colour", status=64)
        self.assertIn("expected builtin, service, user or all", self.errors)

    def test_q_warns_of_nothing(self):
        self.run_it("-e", "smtpd_bannner = x")
        self.run_it("-n")
        self.assertIn("smtpd_bannner", self.errors)
        self.run_it("-nq")
        self.assertEqual(self.errors, "")

    def test_what_is_not_there_is_refused_with_a_reason(self):
        for flag in ("-a", "-A", "-b", "-j", "-t"):
            self.assertEqual(self.run_it(flag, status=64), "")
            self.assertRegex(self.errors, "postconf: %s: " % flag)
        self.run_it("-T", "compile-version", status=64)
        self.run_it("-ne", "a=b", status=64)
        self.run_it("-MP", status=64)

    def test_m_lists_the_types_of_tables(self):
        types = self.run_it("-m").split("\n")
        for name in ("hash", "lmdb", "cidr", "regexp", "pcre", "static", "inline", "texthash", "unionmap"):
            self.assertIn(name, types)

    def test_help_works_and_wrong_words_are_refused(self):
        help_text = subprocess.run([POSTCONF, "--help"], capture_output=True, text=True, timeout=60)
        self.assertEqual(help_text.returncode, 0)
        self.assertTrue(help_text.stdout.startswith("usage: postconf"))
        self.run_it("-Z", status=64)
        self.run_it("-e", status=64)
        self.run_it("-e", "novalue", status=1)
        self.run_it("-e", "a b=c", status=1)

    def test_a_missing_main_cf_is_fatal_except_for_defaults(self):
        os.remove(self.path("main.cf"))
        self.run_it("-n", status=1)
        self.assertIn("fatal: open", self.errors)
        self.assertEqual(self.run_it("-dh", "mail_name"), "Posthouse\n")


if __name__ == "__main__":
    unittest.main()
