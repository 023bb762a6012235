#!/usr/bin/env python3
"""What each process of an instance may do, read from /proc: user, root directory, capabilities, sandbox,
open files. Needs root; without it, only what holds for an ordinary user's instance is looked at."""
import os
import pwd
import socket
import unittest

import harness

MAIL_OWNER = "mail" # of harness.Instance(privileged=True)
CONFINED = ("smtpd", "pickup", "qmgr", "smtp")
SANITIZED = os.path.exists(os.path.join(harness.BUILD, "Makefile")) and \
    "-fsanitize=address" in open(os.path.join(harness.BUILD, "Makefile")).read()


def status(pid):
    with open("/proc/%d/status" % pid) as lines:
        return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)


def open_files(pid):
    folder = "/proc/%d/fd" % pid
    return [os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder)]


def busy_instance(test, **options):
    """With a process of every program: mail for a mailbox, and for a host that does not answer quickly."""
    post = harness.Instance(test, **options)
    post.start()
    post.send("you@example.org", ["friend@example.com", "far@[127.0.0.1]"], "Hello.")
    harness.wait_until(lambda: all(post.pids(name) for name in CONFINED + ("virtual",)), "every program runs")
    return post


class Confinement(harness.TestCase):
    def test_the_filter_and_no_new_privileges_are_in_force(self):
        post = busy_instance(self)
        try:
            for name in CONFINED:
                for pid in post.pids(name):
                    with self.subTest(name):
                        facts = status(pid)
                        self.assertEqual(facts["NoNewPrivs"], "1")
                        if not SANITIZED:
                            self.assertEqual(facts["Seccomp"], "2")
        finally:
            post.close()

    def test_no_process_has_a_file_open_that_is_not_its_own(self):
        post = busy_instance(self)
        try:
            for name in CONFINED:
                for pid in post.pids(name):
                    with self.subTest(name):
                        for path in open_files(pid):
                            self.assertNotIn(os.path.join(post.folder, "mail/"), path)
                            self.assertNotIn("/pid/", path)
                            self.assertNotIn("/etc/shadow", path)
        finally:
            post.close()


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Privileges(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.post = busy_instance(self, privileged=True)

    def tearDown(self):
        self.post.close()
        super().tearDown()

    def test_what_meets_strangers_has_no_root_no_capability_and_no_group(self):
        owner = pwd.getpwnam(MAIL_OWNER)
        for name in CONFINED:
            for pid in self.post.pids(name):
                with self.subTest(name):
                    facts = status(pid)
                    self.assertEqual(set(facts["Uid"].split()), {str(owner.pw_uid)})
                    self.assertEqual(set(facts["Gid"].split()), {str(owner.pw_gid)})
                    self.assertEqual(facts["Groups"].split(), [str(owner.pw_gid)])
                    for kind in ("CapEff", "CapPrm"):
                        self.assertEqual(int(facts[kind], 16), 0)

    def test_the_network_programs_see_only_the_queue_directory(self):
        for name in ("smtpd", "smtp", "pickup"):
            for pid in self.post.pids(name):
                with self.subTest(name):
                    self.assertEqual(os.readlink("/proc/%d/root" % pid), self.post.spool)

    def test_private_sockets_are_out_of_a_strangers_reach(self):
        pid = os.fork()
        if pid == 0:
            self.post.become_user()
            reached = 0
            for path in ("private/qmgr", "private/smtp", "public/qmgr"):
                with socket.socket(socket.AF_UNIX) as client:
                    try:
                        client.connect(os.path.join(self.post.spool, path))
                        reached += 1
                    except OSError:
                        pass
            os._exit(reached)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)


if __name__ == "__main__":
    harness.main()
