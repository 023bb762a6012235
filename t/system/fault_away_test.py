#!/usr/bin/env python3
"""What is away, hangs, or runs out: hosts, name servers, programs, folders, sockets, descriptors."""
import glob
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import client_test
import harness
from faults import SENDER, Faults, relay_to


class NameServerAt(client_test.NameServer):
    def __init__(self, port):
        self.records, self.codes, self.port = {}, {}, port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        threading.Thread(target=self.serve, daemon=True).start()


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
            port = harness.free_port()
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

    def no_more(self, answers):
        """How many there are when none has come for two seconds, but one has."""
        seen = [0, time.monotonic()]

        def ended():
            if len(answers) != seen[0]:
                seen[:] = len(answers), time.monotonic()
            return seen[0] and time.monotonic() - seen[1] > 2
        self.wait_until(ended, "the answers cease")
        return seen[0]

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
                time.sleep(0.01)
            # smtpd takes what it has slots for; the others wait for the queue manager.
            answered = self.no_more(codes)
            self.assertIn(answered, range(1, 60))
        finally:
            os.kill(qmgr, signal.SIGCONT)
        for client in clients:
            client.join()
        self.assertEqual(len(codes), 60)
        self.assertLessEqual({code for _, code in codes}, {250, 451, 452})
        self.assertIn(250, {code for _, code in codes[answered:]})
        self.assertEqual(self.answer_to(post, "moving")[0], 250)
        self.arrives_once(post, "moving")
        for number, code in codes:
            self.assertEqual(self.count(post, "still %d." % number), 1 if code == 250 else 0)

    def test_an_agent_that_hangs_holds_up_nobody_else_and_a_stop_ends_it(self):
        with harness.SinkServer() as sink:
            post = self.started(main_cf=relay_to(sink.port, "stop_deadline = 1s\n"))
            post.send(SENDER, ["warm@far.example"], "warm")
            self.wait_until(lambda: sink.messages, "delivery")
            agent = post.pids("smtp")[0]
            os.kill(agent, signal.SIGSTOP)
            queue_id = post.send_id(SENDER, ["friend@far.example"], "stuck")
            post.send(SENDER, ["user@example.com"], "at home")
            self.wait_until(lambda: self.count(post, "at home"), "local mail", 10)
            post.running = False
            post.tool("posthouse", "stop")  # fails if master has not ended in its time
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


class NoDescriptors(Faults):
    """prlimit takes the descriptors away from a process that runs, and gives them back."""

    def starve(self, post, pid):
        """It gets no descriptor more. The limit is one of numbers, and the lowest free number is taken next."""
        used = {int(number) for number in os.listdir("/proc/%d/fd" % pid)}
        self.limit(post, pid, min(set(range(len(used) + 1)) - used))
        self.addCleanup(lambda: harness.alive(pid) and self.limit(post, pid, 4096))

    def limit(self, post, pid, count):
        subprocess.run(["prlimit", "--pid", str(pid), "--nofile=%d:4096" % count], check=True,
                       preexec_fn=post.become_user if post.drops else None)

    def test_out_of_descriptors_the_queue_manager_delivers_later(self):
        post = self.started()
        pid = post.pids("qmgr")[0]
        self.starve(post, pid)
        answers = [self.answer_to(post, "starved %d." % number)[0] for number in range(40)]
        self.assertLessEqual(set(answers), {250, 451, 452})
        self.assertIn(250, answers)
        post.wait_log("Too many open files")
        self.limit(post, pid, 4096)
        self.wait_until(lambda: self.answer_to(post, "fed")[0] == 250, "mail is taken again")
        self.arrives_once(post, "fed")
        for number, code in enumerate(answers):
            self.assertEqual(self.count(post, "starved %d." % number), 1 if code == 250 else 0)
        self.assertEqual(post.pids("qmgr"), [pid])

    def put_off_then_delivered(self, post, pid, recipients, all_are_there):
        """A message to each while the process is starved, each of which is deferred, not bounced."""
        self.starve(post, pid)
        ids = [post.send_id(SENDER, [recipient], recipient) for recipient in recipients]
        for queue_id in ids:
            post.wait_log(queue_id + ": to=.* status=deferred")
        self.assertEqual(len(post.queue()), len(ids))
        self.limit(post, pid, 4096)
        post.tool("postqueue", "-f")
        self.wait_until(all_are_there, "delivery")
        post.wait_queue(0)
        self.assertNotIn("status=bounced", post.log())
        self.assertTrue(harness.alive(pid))

    def test_out_of_descriptors_a_client_delivers_later(self):
        with harness.SinkServer() as sink:
            post = self.started(main_cf=relay_to(sink.port))
            post.send(SENDER, ["warm@far.example"], "warm")
            self.wait_until(lambda: sink.messages, "delivery")
            friends = ["friend%d@far.example" % number for number in range(5)]
            self.put_off_then_delivered(post, post.pids("smtp")[0], friends, lambda: len(sink.messages) >= 6)
            self.assertEqual(len(sink.messages), 6)

    def test_out_of_descriptors_local_delivery_happens_later(self):
        # What came without its descriptor is given back untouched, so that each message arrives once.
        post = self.started()
        for program in ("virtual", "local-worker", "local-spawner"):
            with self.subTest(program):
                users = ["%s%d" % (program, number) for number in range(5)]
                pid = post.pids(program)[0]
                if program == "local-spawner":
                    post.kill("local-worker")
                self.put_off_then_delivered(post, pid, [user + "@example.com" for user in users],
                                            lambda: all(post.mail(user) for user in users))
                self.assertEqual([len(post.mail(user)) for user in users], [1] * 5)


class Start(Faults):
    def test_a_start_with_mail_that_waits_gives_the_terminal_back(self):
        # A program that is slow to come up keeps the command showing what programs say. An agent that comes up
        # meanwhile must not hold on to that for ever.
        post = self.started()
        post.stop()
        slow, go_on = os.path.join(post.programs, "daemons", "slow"), os.path.join(post.folder, "go-on")
        with open(slow, "w") as script:
            script.write("#!/bin/sh\nexec 2>/dev/null\nuntil [ -e %s ]; do sleep 0.1; done\n" % go_on)
        os.chmod(slow, 0o755)
        with open(post.master_cf_path, "a") as master:
            master.write("slow unix n - n 300 1 slow\n")
        post.tool("sendmail", "user@example.com", input="Subject: x\n\nwaits\n")
        # It ends when nobody has its pipes any more; its exit code tells of the slow one.
        starting = threading.Thread(target=post.tool, args=("posthouse", "start"), kwargs={"check": False})
        starting.start()
        post.running = True
        try:
            self.wait_until(lambda: self.count(post, "waits"), "delivery")
            self.assertTrue(starting.is_alive())
        finally:
            open(go_on, "w").close()
        starting.join(harness.PATIENCE)
        self.assertFalse(starting.is_alive())
        self.arrives_once(post, "waits")


if __name__ == "__main__":
    harness.main()
