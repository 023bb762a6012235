#!/usr/bin/env python3
"""An instance as its administrator sees it: start, reload, status, check, and what crashes do."""
import os
import signal
import socket
import subprocess
import time
import unittest

import harness


class Start(harness.TestCase):
    def test_start_returns_when_mail_is_taken(self):
        post = harness.Instance(self)
        try:
            post.tool("posthouse", "-c", post.etc, "start")
            post.running = True
            with post.smtp() as client:
                self.assertEqual(client.noop()[0], 250)
        finally:
            post.close()

    def test_status_lists_the_processes_with_pid_age_and_user(self):
        with harness.Instance(self) as post:
            text = post.tool("posthouse", "status").stdout
            self.assertIn("master pid %d" % post.master_pid(), text)
            self.assertRegex(text, r"qmgr +pid \d+ +up \d+s +user \w+")

    def test_a_second_start_is_refused_with_the_pid_of_the_first(self):
        with harness.Instance(self) as post:
            done = post.tool("posthouse", "start", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("already running (master pid %d)" % post.master_pid(), done.stderr)

    def test_a_port_that_is_taken_stops_the_start_and_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            post = harness.Instance(self, smtp_port=taken.getsockname()[1])
            try:
                done = post.tool("posthouse", "start", check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn("Address already in use", done.stderr)
                self.assertIn(str(taken.getsockname()[1]), done.stderr)
                self.assertEqual(post.tool("posthouse", "status", check=False).returncode, 1)
            finally:
                post.close()

    def test_all_faults_of_the_configuration_are_told_at_once_with_their_lines(self):
        post = harness.Instance(self, main_cf="smtpd_timeout = soon\nmaximal_backoff_time = -1s\n")
        try:
            done = post.tool("posthouse", "start", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"main\.cf.*\d+.*smtpd_timeout")
            self.assertRegex(done.stderr, r"main\.cf.*\d+.*maximal_backoff_time")
        finally:
            post.close()

    def test_a_misspelt_parameter_is_a_warning_with_the_nearest_name(self):
        post = harness.Instance(self, main_cf="smtpd_recipient_limits = 3\n")
        try:
            done = post.tool("posthouse", "check", check=False)
            self.assertIn("smtpd_recipient_limit", done.stderr.replace("smtpd_recipient_limits", ""))
        finally:
            post.close()

    def test_the_configuration_may_be_named_by_a_relative_path(self):
        post = harness.Instance(self)
        try:
            done = post.tool("posthouse", "-c", os.path.relpath(post.etc, "/"), "start")
            post.running = True
            self.assertNotIn("fatal", done.stderr)
            harness.wait_until(lambda: post.answers(post.port), "the port answers")
        finally:
            post.close()

    def test_start_fg_stays_and_ends_on_a_signal(self):
        post = harness.Instance(self)
        try:
            process = subprocess.Popen([os.path.join(post.programs, "commands", "posthouse"), "-c", post.etc, "start-fg"],
                                       preexec_fn=post.become_user if post.drops else None)
            harness.wait_until(lambda: post.answers(post.port), "the port answers")
            self.assertIsNone(process.poll())
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(30), 0)
        finally:
            post.close()


    def test_a_program_that_does_not_come_up_says_why_on_the_terminal(self):
        post = harness.Instance(self, master_cf="127.0.0.1:%d inet n - n - - no-such-program\n" % harness.free_port())
        try:
            done = post.tool("posthouse", "start", check=False)
            post.running = True
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, "cannot run .*/no-such-program: No such file")
            self.assertIn("bad command startup", done.stderr)
            self.assertRegex(done.stderr, r"the mail system runs, but without: 127\.0\.0\.1:\d+")
            for text in ("cannot run", "runs, but without"):
                self.assertRegex(post.log(), r"posthouse/master\[\d+\]: warning: .*" + text)
            harness.wait_until(lambda: post.answers(post.port), "the other port answers")
        finally:
            post.close()


    def test_in_the_foreground_the_log_can_be_standard_output(self):
        post = harness.Instance(self, main_cf="maillog_file = /dev/stdout\n")
        try:
            process = subprocess.Popen([os.path.join(post.programs, "commands", "posthouse"), "-c", post.etc, "start-fg"],
                                       stdout=subprocess.PIPE, text=True,
                                       preexec_fn=post.become_user if post.drops else None)
            harness.wait_until(lambda: post.answers(post.port), "the port answers")
            process.send_signal(signal.SIGTERM)
            text = process.communicate(timeout=30)[0]
            self.assertRegex(text, r"posthouse/master\[\d+\]: daemon started")
            self.assertRegex(text, r"posthouse/smtpd\[\d+\]: connect from")
        finally:
            post.close()


class Check(harness.TestCase):
    def test_a_directory_that_lets_others_in_is_named_with_the_remedy(self):
        with harness.Instance(self) as post:
            os.chmod(os.path.join(post.spool, "private"), 0o777)
            done = post.tool("posthouse", "check", check=False)
            self.assertRegex(done.stderr, r"spool/private: mode 0777 .*chmod 0700 ")

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_configuration_that_others_can_write_is_named_when_root_would_obey_it(self):
        with harness.Instance(self, privileged=True) as post:
            os.chmod(post.main_cf_path, 0o666)
            done = post.tool("posthouse", "check", check=False)
            self.assertRegex(done.stderr, r"main\.cf: mode 0666 lets others write")

    def test_postlog_writes_into_the_same_log(self):
        with harness.Instance(self) as post:
            post.tool("postlog", "-t", "backup", "-p", "warn", "disk", "nearly full")
            post.wait_log(r"posthouse/backup\[\d+\]: warning: disk nearly full")


class Shortage(harness.TestCase):
    @unittest.skipIf(harness.SANITIZED, "the sanitizer opens a pipe to look at memory")
    def test_a_program_out_of_descriptors_neither_spins_nor_stops_accepting_for_good(self):
        with harness.Instance(self, main_cf="default_process_limit = 1\n") as post:
            pid = post.pids("smtpd")[0]
            subprocess.run(["prlimit", "--pid", str(pid), "--nofile=40:40"], check=True,
                           preexec_fn=post.become_user if post.drops else None)
            clients = [harness.Dialogue(post.port) for _ in range(60)]
            post.wait_log("accept: .*[Tt]oo many open files")
            before = harness.cpu_ticks(pid)
            time.sleep(1)
            self.assertLess(harness.cpu_ticks(pid) - before, os.sysconf("SC_CLK_TCK") / 4)
            for client in clients:
                client.close()
            harness.wait_until(lambda: post.answers(post.port), "smtpd answers again")
            self.assertEqual(post.pids("smtpd"), [pid])


class Reload(harness.TestCase):
    def test_a_session_survives_a_reload_and_new_ones_see_the_new_configuration(self):
        with harness.Instance(self) as post, harness.Dialogue(post.port) as old:
            self.assertEqual(old.reply()[0], 220)
            with open(post.main_cf_path, "a") as main:
                main.write("smtpd_banner = $myhostname ESMTP changed\n")
            post.reload()

            def greeting_has_changed():
                with harness.Dialogue(post.port) as new:
                    return "changed" in new.reply()[1][0]
            harness.wait_until(greeting_has_changed, "the new banner")
            self.assertEqual(old.command("NOOP")[0], 250)

    def test_no_connection_is_refused_during_reloads(self):
        with harness.Instance(self) as post:
            for _ in range(5):
                post.reload()
                for _ in range(5):
                    with harness.Dialogue(post.port) as client:
                        self.assertEqual(client.reply()[0], 220)

    def test_a_faulty_configuration_is_refused_and_the_old_one_stays(self):
        with harness.Instance(self) as post:
            with open(post.main_cf_path, "a") as main:
                main.write("smtpd_timeout = soon\n")
            self.assertEqual(post.tool("posthouse", "reload", check=False).returncode, 1)
            with post.smtp() as client:
                self.assertEqual(client.noop()[0], 250)

    def test_reloads_in_quick_succession_are_no_crash(self):
        with harness.Instance(self) as post:
            for turn in range(20):
                os.kill(post.master_pid(), signal.SIGHUP)
                time.sleep(0.007 * turn)
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            post.wait_mail("friend")
            self.assertNotIn("killed by signal", post.log())
            self.assertNotIn("throttling", post.log())

    def test_a_service_can_be_added_and_removed(self):
        with harness.Instance(self) as post:
            port = harness.free_port()
            with open(post.master_cf_path) as master:
                before = master.read()
            post.write("master.cf", before + "127.0.0.1:%d inet n - n - - smtpd\n" % port)
            post.reload()
            harness.wait_until(lambda: post.answers(port), "the new service answers")
            post.write("master.cf", before)
            post.reload()
            harness.wait_until(lambda: not post.answers(port), "the service is gone")

    def test_a_removed_service_refuses_new_clients_while_an_old_session_goes_on(self):
        port = harness.free_port()
        with harness.Instance(self, master_cf="127.0.0.1:%d inet n - n - - smtpd\n" % port) as post:
            with open(post.master_cf_path) as master:
                lines = master.read().splitlines()
            with harness.Dialogue(port) as old:
                self.assertEqual(old.reply()[0], 220)
                post.write("master.cf", "\n".join(line for line in lines if str(port) not in line) + "\n")
                post.reload()
                harness.wait_until(lambda: not post.answers(port), "the service is gone")
                self.assertEqual(old.command("NOOP")[0], 250)

    def test_an_old_session_does_not_hold_up_a_service_of_one_process(self):
        port = harness.free_port()
        with harness.Instance(self, master_cf="127.0.0.1:%d inet n - n - 1 smtpd\n" % port) as post:
            with harness.Dialogue(port) as old:
                self.assertEqual(old.reply()[0], 220)
                post.reload()
                with harness.Dialogue(port) as new:
                    self.assertEqual(new.reply()[0], 220)
                self.assertEqual(old.command("NOOP")[0], 250)


class Crash(harness.TestCase):
    def test_a_killed_program_is_started_again_when_it_is_needed(self):
        with harness.Instance(self) as post:
            for program in ("smtpd", "qmgr", "virtual"):
                with self.subTest(program):
                    post.send("you@example.org", [program + "@example.com"], "One.")
                    post.wait_mail(program, 1)
                    post.wait_queue(0)
                    self.assertTrue(post.kill(program))
                    harness.wait_until(lambda: post.answers(post.port), "smtpd answers")
                    post.send("you@example.org", [program + "@example.com"], "Two.")
                    post.wait_mail(program, 2)

    def test_a_program_that_cannot_start_is_throttled_and_the_others_go_on(self):
        post = harness.Instance(self, master_cf="127.0.0.1:%d inet n - n - - smtpd -o mynetworks=static\n"
                                "broken unix n - n 1 1 no-such-program\n" % harness.free_port())
        try:
            self.assertEqual(post.tool("posthouse", "start", check=False).returncode, 1)
            post.running = True
            post.wait_log("bad command startup -- throttling")
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            post.wait_mail("friend")
        finally:
            post.close()

    def test_the_children_of_a_killed_master_end_and_a_new_one_takes_over(self):
        with harness.Instance(self) as post:
            children = post.pids()
            post.kill("master")
            harness.wait_until(lambda: not any(map(harness.alive, children)), "they end")
            post.start()
            post.send("you@example.org", ["friend@example.com"], "Hello.")
            post.wait_mail("friend")


if __name__ == "__main__":
    harness.main()
