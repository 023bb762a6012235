#!/usr/bin/env python3
"""What each process of an instance may do, read from /proc: user, root directory, capabilities, sandbox,
open files. Needs root; without it, only what holds for an ordinary user's instance is looked at."""
import ctypes
import errno
import glob
import grp
import os
import pwd
import resource
import socket
import struct
import time
import unittest

import harness
import take_over

MAIL_OWNER, SETGID_GROUP = "mail", "tape" # of harness.Instance(privileged=True)
CONFINED = ("smtpd", "pickup", "qmgr", "smtp")
SANITIZED = os.path.exists(os.path.join(harness.BUILD, "Makefile")) and \
    "-fsanitize=address" in open(os.path.join(harness.BUILD, "Makefile")).read()


def status(pid):
    with open("/proc/%d/status" % pid) as lines:
        return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)


def confined(pid):
    facts = status(pid)
    return facts["NoNewPrivs"] == "1" and (SANITIZED or facts["Seccomp"] == "2")


def open_files(pid):
    folder = "/proc/%d/fd" % pid
    return [os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder)]


def as_user(account, groups, ask):
    """What ask() returns (bytes) in a process of that account, with these groups beside its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([account.pw_gid] + groups)
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            os.write(writer, ask())
        except OSError as error:
            os.write(writer, b"error: " + str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return text


def ask_socket(path, question=b"", seconds=10):
    """The first bytes that the other side of a UNIX socket sends; b"" when it closes."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(seconds)
        client.connect(path)
        try:
            client.sendall(question)
            return client.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            return b""


def busy_instance(test, **options):
    """With a process of every program: mail for a mailbox, and for a host that does not answer quickly."""
    post = harness.Instance(test, **options)
    post.start()
    post.send("you@example.org", ["friend@example.com", "far@[127.0.0.1]"], "Hello.")
    harness.wait_until(lambda: all(post.pids(name) for name in CONFINED + ("virtual",)), "every program runs")
    # One that is still on its way up has not given away everything yet.
    harness.wait_until(lambda: all(confined(pid) for name in CONFINED for pid in post.pids(name)), "all are confined")
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


    def test_a_lease_can_be_written_and_not_read(self):
        # The slot still holds what its last message left there.
        post = busy_instance(self)
        try:
            for name in ("smtpd", "pickup"):
                for pid in post.pids(name):
                    folder = "/proc/%d/fd" % pid
                    leases = [fd for fd in os.listdir(folder) if "/spool/mail/" in os.readlink(os.path.join(folder, fd))]
                    with self.subTest(name):
                        self.assertTrue(leases)
                        for fd in leases:
                            with open("/proc/%d/fdinfo/%s" % (pid, fd)) as info:
                                flags = int(info.read().split("flags:")[1].split()[0], 8)
                            self.assertEqual(flags & os.O_ACCMODE, os.O_WRONLY)
        finally:
            post.close()


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Privileges(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.post = busy_instance(self, privileged=True,
                                  main_cf="transport_maps = inline:{{ waits.example=smtp:[127.0.0.1]:1 }}\n")

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
                    groups = {str(owner.pw_gid)}
                    if name == "qmgr": # by which agents know it
                        groups.add(str(grp.getgrnam(SETGID_GROUP).gr_gid))
                    self.assertEqual(set(facts["Groups"].split()), groups)
                    for kind in ("CapEff", "CapPrm"):
                        self.assertEqual(int(facts[kind], 16), 0)

    def test_what_forks_workers_keeps_of_root_only_the_change_of_user_and_the_look_at_folders(self):
        dac_read_search, setgid, setuid = 2, 6, 7
        most = 1 << dac_read_search | 1 << setgid | 1 << setuid
        pids = self.post.pids("local-spawner")
        self.assertTrue(pids)
        for pid in pids:
            facts = status(pid)
            self.assertEqual(facts["NoNewPrivs"], "1")
            for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                self.assertEqual(int(facts[kind], 16) & ~most, 0, kind)

    def test_nothing_that_holds_mail_leaves_a_core_file_whatever_the_shell_of_the_start_allows(self):
        self.post.stop()
        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        try:
            self.post.start()
            self.post.send("you@example.org", ["friend@example.com"], "Hello.")
            self.post.wait_mail("friend", 2)
        finally:
            resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
        for name in CONFINED + ("virtual", "local-spawner", "local-worker"):
            for pid in self.post.pids(name):
                with open("/proc/%d/limits" % pid) as limits:
                    self.assertRegex(limits.read(), r"Max core file size +0 +0 ", name)

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

    def test_agents_take_work_from_qmgr_alone(self):
        owner, group = pwd.getpwnam(MAIL_OWNER), [grp.getgrnam(SETGID_GROUP).gr_gid]
        for name in ("virtual", "smtp"):
            path = os.path.join(self.post.spool, "private", name)
            with self.subTest(name):
                # What smtpd, smtp or the router of local could try: they are the same user, and no more.
                self.assertEqual(as_user(owner, [], lambda: ask_socket(path)), b"")
                hello = as_user(owner, group, lambda: ask_socket(path))
                self.assertEqual(struct.unpack("<IHH", hello[:8])[1], 0x0201)
                self.assertIn(b"Permission denied", as_user(self.post.user, group, lambda: ask_socket(path)))
        self.post.wait_log("warning: connection refused: it does not come from qmgr")
        self.post.send("you@example.org", ["friend@example.com"], "Still there.")
        self.post.wait_mail("friend", 2)

    def first_bytes(self, program, path):
        """What it hears first from a socket that it connects to; a negative errno when it cannot."""
        fd = program.call("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0)
        self.assertGreaterEqual(fd, 0)
        address = struct.pack("<H", socket.AF_UNIX) + path + b"\0"
        result = program.call("connect", fd, address, len(address))
        buffer, limit = bytearray(64), time.monotonic() + 10
        while result == 0:
            got = program.call("recvfrom", fd, buffer, len(buffer), socket.MSG_DONTWAIT, 0, 0)
            if got != -errno.EAGAIN or time.monotonic() > limit:
                result = bytes(buffer[:got]) if got >= 0 else got
                break
            time.sleep(0.05)
        program.call("close", fd)
        return result

    @unittest.skipIf(take_over.why_not() or SANITIZED, take_over.why_not() or "the sanitizer needs the calls")
    def test_a_network_program_that_was_taken_over_reaches_no_file_no_program_and_no_agent(self):
        landlock = ctypes.CDLL(None).syscall(444, None, 0, 1) >= 1 # landlock_create_ruleset, its version
        for name in ("smtpd", "smtp"):
            with self.subTest(name), take_over.TakenOver(self.post.pids(name)[0]) as program:
                for path in (b"/mail", b"/maildrop", b"/private", b"/"):
                    opened = program.call("open", path, os.O_RDONLY | os.O_DIRECTORY, 0)
                    self.assertEqual(opened, -errno.EACCES if landlock else opened, path)
                if landlock:
                    self.assertEqual(program.call("open", b"/maildrop/new", os.O_WRONLY | os.O_CREAT, 0o600), -errno.EACCES)
                    self.assertEqual(program.call("unlink", b"/private/qmgr"), -errno.EACCES)
                self.assertLess(program.call("open", b"/etc/passwd", os.O_RDONLY, 0), 0)
                self.assertEqual(program.call("execve", b"/x", 0, 0), -errno.EPERM)
                self.assertEqual(program.call("kill", self.post.master_pid(), 0), -errno.EPERM)
                self.assertEqual(program.call("ptrace", 16, self.post.pids("qmgr")[0], 0, 0), -errno.EPERM)
                self.assertEqual(program.call("setgroups", 0, 0), -errno.EPERM)
                self.assertEqual(program.call("socket", socket.AF_PACKET, socket.SOCK_RAW, 0), -errno.EAFNOSUPPORT)
                # Nothing keeps it from connecting: the other side has to ask who it is.
                self.assertEqual(self.first_bytes(program, b"/private/virtual"), b"")
        # And they work on.
        self.post.send("you@example.org", ["friend@example.com"], "Still there.")
        self.post.wait_mail("friend", 2)

    def test_nobody_else_can_lock_the_pid_file_and_so_keep_master_from_starting(self):
        with harness.Instance(self, privileged=True) as post:
            self.assertEqual(os.stat(os.path.join(post.spool, "pid", "master.pid")).st_mode & 0o7777, 0o600)

    def test_what_root_makes_in_the_queue_belongs_to_the_mail_owner(self):
        self.post.send("you@example.org", ["friend@waits.example"], "Patience.")
        self.post.wait_log("to=<friend@waits.example>.* status=deferred")
        self.post.stop()
        mail = os.path.join(self.post.spool, "mail")
        os.unlink(os.path.join(mail, "lock"))
        for folder in glob.glob(os.path.join(mail, "??")):
            if not os.listdir(folder):
                os.rmdir(folder)
        self.post.tool("postsuper", "-s")
        self.assertEqual(len(glob.glob(os.path.join(mail, "??"))), 256)
        self.assertIn("placed on hold", self.post.tool("postsuper", "-h", "ALL").stderr)
        owner = pwd.getpwnam(MAIL_OWNER)
        for path in [mail] + glob.glob(os.path.join(mail, "*")):
            self.assertEqual((os.stat(path).st_uid, os.stat(path).st_gid), (owner.pw_uid, owner.pw_gid), path)
        self.post.start()
        self.wait_until(lambda: [e["queue_name"] for e in self.post.queue()] == ["hold"], "the hold is seen")
        self.post.send("you@example.org", ["friend@example.com"], "It works on.")
        self.post.wait_mail("friend", 2)

    def test_only_root_acts_on_messages(self):
        self.post.send("you@example.org", ["friend@waits.example"], "Patience.")
        self.post.wait_log("to=<friend@waits.example>.* status=deferred")
        delete_all = struct.pack("<BBBI", 3, 0x0f, 1, 0) # ControlAct: Delete, every queue, all, no ids
        question = struct.pack("<IHH", len(delete_all), 0x0304, 0) + delete_all
        path = os.path.join(self.post.spool, "public", "qmgr")
        group = [grp.getgrnam(SETGID_GROUP).gr_gid]
        for account in (pwd.getpwnam(MAIL_OWNER), self.post.user):
            with self.subTest(account.pw_name):
                answer = as_user(account, group, lambda: ask_socket(path, question))
                self.assertIn(b"only root may act on messages", answer)
        self.assertEqual(len(self.post.queue()), 1)
        self.assertIn(b"\x06\x03", ask_socket(path, question)[:8]) # ControlEnd for root
        self.post.wait_queue(0)


if __name__ == "__main__":
    harness.main()
