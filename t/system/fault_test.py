#!/usr/bin/env python3
"""What the machine does to the programs: calls that fail, disks that are full, things that are away, processes that
hang. Each ends in a temporary answer or a retry, never in loss and never in a second copy. inject.py makes
system calls of the shipped programs fail."""
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import client_test
import harness
import inject

SENDER = "sender@example.com"
CANNOT_TRACE = inject.why_not()
ONE_OF_EACH = "default_process_limit = 1\n"
LONG = 400000  # longer than a slot, so that it is written while it comes


def relay_to(port, more=""):
    return ONE_OF_EACH + "relayhost = [127.0.0.1]:%d\n%s" % (port, more)


def can_mount():
    """None, or why file systems cannot be mounted here."""
    if os.geteuid() != 0:
        return "needs root"
    place = "/tmp/posthouse-mount-%d" % os.getpid()
    os.mkdir(place)
    try:
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", place]
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
            return "cannot mount"
        subprocess.run(["umount", place], check=True)
        return None
    finally:
        os.rmdir(place)


CANNOT_MOUNT = can_mount()


class NameServerAt(client_test.NameServer):
    def __init__(self, port):
        self.records, self.codes, self.port = {}, {}, port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        threading.Thread(target=self.serve, daemon=True).start()


class Faults(harness.TestCase):
    """One message, sent until it is taken, and how many copies arrive of it."""

    def started(self, **options):
        """Every program of it runs, and user's Maildir is there."""
        options.setdefault("main_cf", ONE_OF_EACH)
        post = harness.Instance(self, **options)
        self.addCleanup(lambda: post.close(failed=bool(self._outcome and not self._outcome.success)))
        post.start()
        post.send(SENDER, ["user@example.com"], "first")
        post.wait_mail("user")
        post.wait_queue(0)
        return post

    def answer_to(self, post, text, size=100, to="user@example.com"):
        """The last reply to one message."""
        with harness.Dialogue(post.port, timeout=60) as client:
            client.reply()
            for line in ("EHLO client.example", "MAIL FROM:<%s>" % SENDER, "RCPT TO:<%s>" % to, "DATA"):
                reply = client.command(line)
                if reply[0] not in (250, 354):
                    return reply
            client.send("Subject: x\r\n\r\n" + ("y" * 70 + "\r\n") * (size // 72) + text + "\r\n.\r\n")
            return client.reply()

    def count(self, post, text, user="user"):
        return sum(text in one for one in post.mail(user))

    def arrives_once(self, post, text, user="user", seconds=40):
        self.wait_until(lambda: self.count(post, text, user), text + " arrives", seconds)
        post.wait_queue(0, seconds)
        self.assertEqual(self.count(post, text, user), 1, text)


@unittest.skipIf(CANNOT_TRACE, CANNOT_TRACE)
class BrokenDisk(Faults):
    def refused_then_taken(self, what, size=100):
        post = self.started()
        with inject.Fault(post.pids("smtpd")[0], what) as fault:
            code, lines = self.answer_to(post, "unlucky", size)
            self.assertEqual(fault.hits(), 1)
        self.assertIn(code, (451, 452), lines)
        self.assertEqual(self.answer_to(post, "lucky", size)[0], 250)
        self.arrives_once(post, "\nlucky")
        self.assertEqual(self.count(post, "unlucky"), 0)
        return post

    def test_what_cannot_be_written_is_refused_for_now_and_never_delivered(self):
        self.refused_then_taken("pwritev:error=EIO:when=1")

    def test_what_cannot_be_synced_is_refused_for_now_and_its_file_kept_out_of_use(self):
        post = self.refused_then_taken("fdatasync:error=EIO:when=1")
        post.wait_log("damaged queue file .*writing to it failed")

    def test_a_long_message_that_cannot_be_written_on_is_refused_at_its_end(self):
        self.refused_then_taken("pwritev:error=EIO:when=2", LONG)

    def test_a_disk_that_is_full_in_mid_message_refuses_it_for_now(self):
        self.refused_then_taken("pwritev:error=ENOSPC:when=1")

    def test_a_drop_that_cannot_be_synced_stays_and_is_taken_later(self):
        post = self.started()
        post.tool("sendmail", "user@example.com", input="Subject: x\n\nzero\n")
        self.arrives_once(post, "zero")
        with inject.Fault(post.pids("pickup")[0], "fdatasync:error=EIO:when=1") as fault:
            post.tool("sendmail", "user@example.com", input="Subject: x\n\ndropped\n")
            self.wait_until(fault.hits, "the fault")
        self.arrives_once(post, "dropped", seconds=70)

    def test_a_drop_that_cannot_be_read_stays_and_is_taken_later(self):
        post = self.started()
        with inject.Fault(post.pids("pickup")[0], "read:error=EIO:when=1",
                          path=os.path.join(post.spool, "maildrop")) as fault:
            post.tool("sendmail", "user@example.com", input="Subject: x\n\ndropped\n")
        self.arrives_once(post, "dropped", seconds=70)

    def test_a_mailbox_that_cannot_be_written_puts_delivery_off(self):
        post = self.started()
        for what in ("write:error=EIO:when=1", "fdatasync:error=EIO:when=1", "renameat2:error=EIO:when=1",
                     "openat:error=EIO:when=1", "pread64:error=EIO:when=1"):
            with self.subTest(what):
                text = what.split(":")[0]
                with inject.Fault(post.pids("local-worker")[0], what) as fault:
                    queue_id = post.send_id(SENDER, ["user@example.com"], text)
                    post.wait_log(queue_id + r": to=<user@example.com>.* status=deferred .*nput/output error")
                    self.assertEqual(fault.hits(), 1)
                self.arrives_once(post, text)
        self.assertEqual(os.listdir(os.path.join(post.folder, "mail", "user", "tmp")), [])

    def test_a_journal_that_cannot_be_synced_loses_nothing(self):
        post = self.started()
        with inject.Fault(post.pids("qmgr")[0], "fdatasync:error=EIO", path=os.path.join(post.spool, "mail/journal.0")):
            for number in range(5):
                self.assertIn(self.answer_to(post, "journal %d." % number)[0], (250, 451, 452))
                time.sleep(0.1)
        post.wait_log("mark journal")
        self.wait_until(lambda: self.answer_to(post, "afterwards")[0] == 250, "mail is taken again", 60)
        self.wait_until(lambda: self.count(post, "afterwards"), "it arrives", 60)

    def test_a_queue_file_that_cannot_be_opened_for_an_agent_is_tried_again(self):
        post = self.started()
        with inject.Fault(post.pids("qmgr")[0], "openat:error=EIO:when=1") as fault:
            self.assertEqual(self.answer_to(post, "opened later")[0], 250)
            self.wait_until(fault.hits, "the fault")
        self.arrives_once(post, "opened later")

    def test_a_message_that_cannot_be_read_for_the_next_host_is_tried_again(self):
        with harness.SinkServer() as sink:
            post = self.started(main_cf=relay_to(sink.port))
            post.send(SENDER, ["warm@far.example"], "warm")
            self.wait_until(lambda: sink.messages, "delivery")
            with inject.Fault(post.pids("smtp")[0], "preadv2,pread64:error=EIO") as fault:
                post.send(SENDER, ["friend@far.example"], "unreadable")
                self.wait_until(fault.hits, "the fault")
                post.wait_log(r"to=<friend@far.example>.* status=deferred")
            self.wait_until(lambda: len(sink.messages) == 2, "delivery")
            post.wait_queue(0)
            self.assertEqual(len(sink.messages), 2)


class FullDisk(Faults):
    @unittest.skipIf(CANNOT_MOUNT, CANNOT_MOUNT)
    def test_a_full_disk_leaves_no_part_of_a_message_in_an_mbox(self):
        post = harness.Instance(self, main_cf="virtual_mailbox_maps = inline:{{ b@example.com=b.box }}\n")
        box = os.path.join(post.folder, "mail")
        owner = "uid=%d,gid=%d" % (post.user.pw_uid, post.user.pw_gid)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k," + owner, "none", box], check=True)
        self.addCleanup(post.close)
        self.addCleanup(lambda: subprocess.run(["umount", "-l", box]))
        post.start()
        post.send(SENDER, ["b@example.com"], "small")
        path = os.path.join(box, "b.box")
        self.wait_until(lambda: os.path.exists(path) and os.path.getsize(path), "the first")
        size = os.path.getsize(path)
        post.send(SENDER, ["b@example.com"], ("y" * 70 + "\r\n") * 2000 + "large")
        post.wait_log(r"to=<b@example.com>.* dsn=4.3.1, status=deferred .*No space left")
        self.assertEqual(os.path.getsize(path), size)
        subprocess.run(["mount", "-o", "remount,size=4m", box], check=True)
        post.wait_queue(0)
        with open(path) as text:
            self.assertEqual(text.read().count("large\n"), 1)

    def test_a_log_that_cannot_be_written_stops_no_mail(self):
        with harness.Instance(self, main_cf="maillog_file = /dev/full\nmaillog_file_prefixes = /dev\n") as post:
            post.send(SENDER, ["user@example.com"], "unlogged")
            self.arrives_once(post, "unlogged")

    def test_without_a_syslog_daemon_mail_flows(self):
        with harness.Instance(self, main_cf="maillog_file =\n") as post:
            post.send(SENDER, ["user@example.com"], "unlogged")
            self.arrives_once(post, "unlogged")


class NoDescriptors(Faults):
    """prlimit takes the descriptors away from a process that runs, and gives them back."""

    def starve(self, post, pid, spare):
        have = len(os.listdir("/proc/%d/fd" % pid))
        self.limit(post, pid, have + spare)
        self.addCleanup(lambda: harness.alive(pid) and self.limit(post, pid, 4096))

    def limit(self, post, pid, count):
        subprocess.run(["prlimit", "--pid", str(pid), "--nofile=%d:4096" % count], check=True,
                       preexec_fn=post.become_user if post.drops else None)

    def test_out_of_descriptors_the_queue_manager_delivers_later(self):
        post = self.started()
        pid = post.pids("qmgr")[0]
        self.starve(post, pid, 0)
        answers = [self.answer_to(post, "starved %d." % number)[0] for number in range(40)]
        self.assertLessEqual(set(answers), {250, 451, 452})
        self.assertIn(250, answers)
        self.limit(post, pid, 4096)
        self.wait_until(lambda: self.answer_to(post, "fed")[0] == 250, "mail is taken again")
        self.arrives_once(post, "fed")
        for number, code in enumerate(answers):
            self.assertEqual(self.count(post, "starved %d." % number), 1 if code == 250 else 0)
        self.assertEqual(post.pids("qmgr"), [pid])

    def test_out_of_descriptors_a_client_delivers_later(self):
        with harness.SinkServer() as sink:
            post = self.started(main_cf=relay_to(sink.port))
            post.send(SENDER, ["warm@far.example"], "warm")
            self.wait_until(lambda: sink.messages, "delivery")
            pid = post.pids("smtp")[0]
            self.starve(post, pid, 0)
            for number in range(5):
                post.send(SENDER, ["friend%d@far.example" % number], "starved")
            time.sleep(1)
            self.limit(post, pid, 4096) if harness.alive(pid) else None
            self.wait_until(lambda: len(sink.messages) >= 6, "delivery", 40)
            post.wait_queue(0)
            self.assertEqual(len(sink.messages), 6)
            self.assertNotIn("status=bounced", post.log())

    def test_out_of_descriptors_local_delivery_happens_later(self):
        for program in ("virtual", "local-worker", "local-spawner"):
            with self.subTest(program):
                post = self.started()
                pid = post.pids(program)[0]
                self.starve(post, pid, 0)
                if program == "local-spawner":
                    post.kill("local-worker")
                for number in range(5):
                    post.send(SENDER, ["user@example.com"], "%s %d." % (program, number))
                time.sleep(1)
                self.limit(post, pid, 4096) if harness.alive(pid) else None
                for number in range(5):
                    self.wait_until(lambda: self.count(post, "%s %d." % (program, number)), "delivery", 40)
                post.wait_queue(0, 40)
                # An agent that lost a request for want of a descriptor gives up its connection: what was under way
                # on it is done again.
                self.assertLessEqual(len(post.mail("user")), 1 + 2 * 5)
                self.assertNotIn("status=bounced", post.log())


class Damage(Faults):
    def waiting(self, settings=""):
        """Five messages that wait; returns the instance and their files, the third of which is to be damaged."""
        post = self.started(main_cf=relay_to(harness.free_port(), "minimal_backoff_time = 1000s\n"
                                             "maximal_backoff_time = 1000s\n" + settings))
        for number in range(5):
            post.send(SENDER, ["friend@far.example"], "message-%d." % number)
        self.wait_until(lambda: sum(e["queue_name"] == "deferred" for e in post.queue()) == 5, "deferrals")

        def file_of(number):
            for path in glob.glob(os.path.join(post.spool, "mail", "??", "*")):
                with open(path, "rb") as slot:
                    data = slot.read()
                if data.startswith(b"PHqLIVE") and b"message-%d." % number in data:
                    return path, data
        return post, [self.wait_until(lambda: file_of(number), "its file") for number in range(5)]

    def damage(self, path, at, data):
        with open(path, "r+b") as slot:
            slot.seek(at)
            slot.write(data)

    def others_are_delivered_after(self, change, restart):
        post, files = self.waiting()
        path, data = files[2]
        if restart:
            post.stop()
        change(path, data)
        with harness.SinkServer() as sink:
            with open(post.main_cf_path, "a") as main:
                main.write("relayhost = [127.0.0.1]:%d\n" % sink.port)
            if restart:
                post.start()
            else:
                post.reload()
            time.sleep(0.5)
            post.tool("postqueue", "-f")
            self.wait_until(lambda: len(sink.messages) >= 4, "the other four")
            post.wait_queue(0)
            texts = sorted(re.search(r"message-(\d)\.", text)[1] for _, _, text in sink.messages)
            self.assertEqual(texts, ["0", "1", "3", "4"])
        self.assertEqual(len(os.listdir(os.path.join(post.spool, "corrupt"))), 1, "kept for a person")
        post.wait_log("damaged queue file")
        self.assertEqual(post.mail("sender"), [])
        # What is kept can be looked at.
        kept = os.path.join(post.spool, "corrupt", os.listdir(os.path.join(post.spool, "corrupt"))[0])
        with open(kept, errors="replace") as text:
            self.assertIn("From: sender@example.com", text.read())

    def flip_content(self, path, data):
        at = data.index(b"Subject:")
        self.damage(path, at, b"SubjecT:")

    def flip_envelope(self, path, data):
        at = data.rindex(b"friend@far.example")
        self.damage(path, at, b"fiend")

    def flip_header(self, path, data):
        self.damage(path, 40, bytes([data[40] ^ 1]))

    def cut_off(self, path, data):
        os.truncate(path, data.index(b"message-2") + 3)

    def test_damaged_content_is_never_delivered(self):
        # To qmgr it is the message that it has seen whole; who sends it reads it again.
        post, files = self.waiting()
        self.flip_content(*files[2])
        with harness.SinkServer() as sink:
            with open(post.main_cf_path, "a") as main:
                main.write("relayhost = [127.0.0.1]:%d\n" % sink.port)
            post.reload()
            time.sleep(0.5)
            post.tool("postqueue", "-f")
            self.wait_until(lambda: len(sink.messages) >= 4, "the other four")
            post.tool("postqueue", "-f")
            time.sleep(0.5)
            texts = sorted(re.search(r"message-(\d)\.", text)[1] for _, _, text in sink.messages)
            self.assertEqual(texts, ["0", "1", "3", "4"])
        kept = len(post.queue()) + len(os.listdir(os.path.join(post.spool, "corrupt")))
        self.assertEqual(kept, 1)
        self.assertEqual(post.mail("sender"), [])

    def test_damaged_content_is_found_at_the_next_start(self):
        self.others_are_delivered_after(self.flip_content, restart=True)

    def test_a_damaged_envelope_is_found_before_the_next_attempt(self):
        self.others_are_delivered_after(self.flip_envelope, restart=False)

    def test_a_damaged_header_is_found_at_the_next_start(self):
        self.others_are_delivered_after(self.flip_header, restart=True)

    def test_a_file_that_was_cut_off_is_kept_for_a_person(self):
        self.others_are_delivered_after(self.cut_off, restart=False)

    def test_a_file_that_was_removed_is_told_and_disturbs_no_other(self):
        post, files = self.waiting()
        os.unlink(files[2][0])
        with harness.SinkServer() as sink:
            with open(post.main_cf_path, "a") as main:
                main.write("relayhost = [127.0.0.1]:%d\n" % sink.port)
            post.reload()
            time.sleep(0.5)
            post.tool("postqueue", "-f")
            self.wait_until(lambda: len(sink.messages) >= 4, "the other four")
            post.wait_queue(0)


class Away(Faults):
    def test_a_next_host_that_is_down_gets_its_mail_when_it_is_back(self):
        port = harness.free_port()
        post = self.started(main_cf=relay_to(port))
        post.send(SENDER, ["friend@far.example"], "patience")
        post.wait_log(r"to=<friend@far.example>.* status=deferred .*Connection refused")
        with client_test.HostAt("127.0.0.1", port) as sink:
            self.wait_until(lambda: sink.messages, "delivery")
            post.wait_queue(0)
            self.assertEqual(len(sink.messages), 1)

    def test_while_the_name_server_is_down_mail_waits_and_local_mail_flows(self):
        with client_test.HostAt("127.0.0.2") as host:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            post = self.started(main_cf="dns_servers = 127.0.0.1:%d\nsmtp_host_lookup = dns\nsmtp_tcp_port = %d\n" %
                                (port, host.port))
            post.send(SENDER, ["friend@far.example"], "patience")
            post.send(SENDER, ["user@example.com"], "at home")
            self.wait_until(lambda: self.count(post, "at home"), "local mail", 10)
            post.wait_log(r"to=<friend@far.example>.* dsn=4.4.3, status=deferred .*domain name not found", 60)
            with NameServerAt(port) as names:
                names.mx("far.example", (10, "mx.far.example", "127.0.0.2"))
                self.wait_until(lambda: host.messages, "delivery", 60)
                post.wait_queue(0)
                self.assertEqual(len(host.messages), 1)

    def test_mail_comes_and_goes_after_a_queue_manager_that_stood_still(self):
        post = self.started()
        qmgr = post.pids("qmgr")[0]
        os.kill(qmgr, signal.SIGSTOP)
        codes, clients = [], []
        try:
            def one(number):
                codes.append((number, self.answer_to(post, "still %d." % number)[0]))
            for number in range(60):
                clients.append(threading.Thread(target=one, args=(number,)))
                clients[-1].start()
                time.sleep(0.05)
        finally:
            os.kill(qmgr, signal.SIGCONT)
        for client in clients:
            client.join()
        self.assertEqual(len(codes), 60)
        self.assertLessEqual({code for _, code in codes}, {250, 451, 452})
        self.assertIn(250, {code for _, code in codes})
        self.assertEqual(self.answer_to(post, "moving")[0], 250)
        self.arrives_once(post, "moving")
        for number, code in codes:
            self.assertEqual(self.count(post, "still %d." % number), 1 if code == 250 else 0)

    def test_an_agent_that_hangs_holds_up_nobody_else_and_a_stop_ends_it(self):
        with harness.SinkServer() as sink:
            post = self.started(main_cf=relay_to(sink.port))
            post.send(SENDER, ["warm@far.example"], "warm")
            self.wait_until(lambda: sink.messages, "delivery")
            agent = post.pids("smtp")[0]
            os.kill(agent, signal.SIGSTOP)
            queue_id = post.send_id(SENDER, ["friend@far.example"], "stuck")
            post.send(SENDER, ["user@example.com"], "at home")
            self.wait_until(lambda: self.count(post, "at home"), "local mail", 10)
            started = time.monotonic()
            post.stop()
            self.assertLess(time.monotonic() - started, 60)
            self.assertFalse(harness.alive(agent))
            post.start()
            self.wait_until(lambda: len(sink.messages) == 2, "delivery after the restart", 40)
            self.assertIn(queue_id, sink.messages[1][2])


class Gone(Faults):
    def test_a_mailbox_folder_that_is_removed_is_made_again(self):
        post = self.started()
        shutil.rmtree(os.path.join(post.folder, "mail", "user"))
        post.send(SENDER, ["user@example.com"], "again")
        self.arrives_once(post, "again")

    def test_a_queue_folder_that_is_removed_costs_no_message_that_is_taken_later(self):
        post = self.started()
        for path in glob.glob(os.path.join(post.spool, "mail", "??")):
            shutil.rmtree(path)
        codes = {}
        for number in range(60):
            codes[number] = self.answer_to(post, "removed %d." % number)[0]
        self.assertLessEqual(set(codes.values()), {250, 451, 452})
        post.wait_queue(0)
        for number, code in codes.items():
            self.assertEqual(self.count(post, "removed %d." % number), 1 if code == 250 else 0, number)

    def test_sockets_that_are_removed_are_made_by_a_restart_and_local_mail_waits(self):
        post = self.started()
        shutil.rmtree(os.path.join(post.spool, "private"))
        shutil.rmtree(os.path.join(post.spool, "public"))
        post.tool("sendmail", "user@example.com", input="Subject: x\n\ndropped\n")
        post.stop()
        post.start()
        self.arrives_once(post, "dropped")


class Start(Faults):
    def test_a_start_with_mail_that_waits_gives_the_terminal_back(self):
        # A program that is slow to come up keeps the command showing what programs say. An agent that comes up
        # meanwhile must not hold on to that for ever.
        post = self.started()
        post.stop()
        slow = os.path.join(post.programs, "daemons", "slow")
        with open(slow, "w") as script:
            script.write("#!/bin/sh\nexec sleep 3 2>/dev/null\n")
        os.chmod(slow, 0o755)
        with open(post.master_cf_path, "a") as master:
            master.write("slow unix n - n 300 1 slow\n")
        post.tool("sendmail", "user@example.com", input="Subject: x\n\nwaits\n")
        # It ends when nobody has its pipes any more; its exit code tells of the slow one.
        post.tool("posthouse", "-c", post.etc, "start", check=False, seconds=20)
        post.running = True
        self.arrives_once(post, "waits")


class Clock(Faults):
    def test_mail_of_a_clock_that_ran_ahead_does_not_wait_for_that_time(self):
        with harness.SinkServer(lambda verb, _: "451 4.3.0 later" if verb == "RCPT" else None) as sink:
            post = self.started(main_cf=relay_to(sink.port))
            post.send(SENDER, ["friend@far.example"], "early")
            self.wait_until(lambda: [e for e in post.queue() if e["queue_name"] == "deferred"], "deferral")
            post.stop()
            ahead = time.time() + 30 * 86400
            for path in glob.glob(os.path.join(post.spool, "mail", "??", "*")):
                os.utime(path, (ahead, ahead))
            sink.answer = None
            post.start()
            self.wait_until(lambda: sink.messages, "delivery", 15)

if __name__ == "__main__":
    harness.main()
