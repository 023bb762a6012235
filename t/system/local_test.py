#!/usr/bin/env python3
"""Delivery into mailboxes: local and virtual, aliases, and the commands that make alias tables."""
import glob
import os
import pwd
import re
import signal
import stat
import subprocess
import unittest

import harness
import inject


def the_user():
    """Whom an instance of an ordinary user can deliver to: as harness.Instance has it."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def users_in_spool(post, user):
    return sorted(glob.glob(os.path.join(post.folder, "spool-mail", user, "new", "*")))


def read(path):
    with open(path, errors="surrogateescape") as text:
        return text.read()


class Local(harness.TestCase):
    """mydestination, aliases and mailboxes in a spool of Maildirs; the user is the one the suite runs as."""

    @classmethod
    def setUpClass(cls):
        cls.post = harness.Instance(cls, main_cf="""
mydestination = here.example
alias_maps = lmdb:{etc}/aliases
alias_database = lmdb:{etc}/aliases
mail_spool_directory = {folder}/spool-mail/
recipient_delimiter = +
default_privs = """ + the_user().pw_name + "\n")
        cls.user = cls.post.user.pw_name
        os.mkdir(os.path.join(cls.post.folder, "spool-mail"))
        os.chmod(os.path.join(cls.post.folder, "spool-mail"), 0o1777)
        cls.post.write("aliases", """
postmaster: %s
# several at a time become a message of their own
all:    %s, friend@example.com,
        other@example.com
list:   :include:%s/members
owner-list: %s
loop1:  loop2@example.com
cmd:    "|/bin/cat"
archive: %s/mail/archive
mixed:  no-such-user, colleague@example.com, "|/bin/sort -u", %s/spool-mail/late/file
owner-mixed: keeper@example.com
""" % (cls.user, cls.user, cls.post.etc, cls.user, cls.post.folder, cls.post.folder))
        cls.post.write("members", "# the members\nfirst@example.com\nsecond@example.com\n")
        if cls.post.drops:
            os.chown(cls.post.etc, cls.post.user.pw_uid, cls.post.user.pw_gid)
        cls.post.tool("newaliases")
        try:
            cls.post.start()
        except BaseException:
            cls.post.close(failed=True)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.post.close()

    def wait_user(self, text):
        """The one message with this text in the user's mailbox."""
        def found():
            return [m for m in map(read, users_in_spool(self.post, self.user)) if text in m]
        return harness.wait_until(found, text)

    def test_a_user_gets_mail_with_extension_and_by_alias(self):
        self.post.send("you@example.org", [self.user + "+ext@here.example"], "plain one")
        message, = self.wait_user("plain one")
        self.assertTrue(message.startswith("Return-Path: <you@example.org>\n"), message)
        self.assertIn("Delivered-To: %s+ext@here.example\n" % self.user, message)
        self.assertNotIn("\r", message)
        self.post.send("you@example.org", ["postmaster@here.example"], "by alias")
        message, = self.wait_user("by alias")
        self.post.wait_log(r"to=<postmaster@here.example>.* relay=local,.* dsn=2.0.0, status=sent \(delivered to maildir\)")

    def test_an_alias_for_several_is_forwarded_once_to_all(self):
        self.post.send("you@example.org", ["all@here.example"], "to everybody")
        self.wait_user("to everybody")
        message, = self.post.wait_mail("friend")
        self.assertIn("Delivered-To: all@here.example\n", message)
        self.assertIn("Return-Path: <you@example.org>", message)
        self.post.wait_mail("other")
        self.post.wait_log(r"to=<all@here.example>.*status=sent \(forwarded as \w+\)")
        self.assertEqual(len(self.wait_user("to everybody")), 1)

    def test_a_list_has_its_owner_as_sender(self):
        self.post.send("you@example.org", ["list@here.example"], "for the list")
        message, = self.post.wait_mail("first")
        self.assertIn("Return-Path: <owner-list@here.example>", message)
        self.post.wait_mail("second")

    def test_unknown_users_are_returned_and_loops_noticed(self):
        self.post.send("sender@example.com", ["nobody-here@here.example"], "who")
        message, = self.post.wait_mail("sender")
        self.assertIn('unknown user: "nobody-here"', message)
        with self.post.smtp() as client:
            client.sendmail("looper@example.com", [self.user + "@here.example"],
                            "Delivered-To: %s@here.example\r\nSubject: loop\r\n\r\nround\r\n" % self.user)
        message, = self.post.wait_mail("looper")
        self.assertIn("mail forwarding loop", message)

    def test_each_end_of_an_alias_has_its_own_fate(self):
        self.post.send("you@example.org", ["mixed@here.example"], "to all kinds")
        self.post.wait_log(r"to=<mixed@here.example>.*status=sent \(forwarded as \w+\)")
        self.assertIn("to all kinds", self.post.wait_mail("colleague")[0])
        bounce, = self.post.wait_mail("keeper") # what is returned goes to the list's owner, for that member alone
        self.assertIn('unknown user: "no-such-user"', bounce)
        self.assertNotIn("sort", bounce.split("Content-Type: message/rfc822")[0])
        self.post.wait_log(r"to=<\"mixed:#\w+\"@here.example>.*status=deferred "
                           r"\(delivery to commands is not available: \|/bin/sort -u\)")
        file = os.path.join(self.post.folder, "spool-mail", "late", "file")
        self.post.wait_log(r'to=<"mixed:%s"@here.example>, orig_to=<mixed@here.example>.*status=deferred' % file)
        os.mkdir(os.path.dirname(file))
        os.chmod(os.path.dirname(file), 0o777)
        harness.wait_until(lambda: os.path.exists(file) and "to all kinds\n" in read(file), "the file, after all")
        # What was tried again has not been tried for the others as well.
        self.assertEqual(len(self.post.mail("colleague")), 1)
        self.assertEqual(len(self.post.mail("keeper")), 1)

    def test_a_command_waits_in_the_queue(self):
        before = len(self.post.queue())
        self.post.send("you@example.org", ["cmd@here.example"], "for a command")
        self.post.wait_log(r"to=<cmd@here.example>.*status=deferred \(delivery to commands is not available: \|/bin/cat\)")
        self.post.wait_queue(before + 1)

    def test_new_aliases_are_used_without_restart(self):
        with open(os.path.join(self.post.etc, "aliases"), "a") as aliases:
            aliases.write("fresh: newcomer@example.com\n")
        self.post.tool("newaliases")

        def delivered():
            self.post.send("you@example.org", ["fresh@here.example"], "fresh")
            return self.post.mail("newcomer")
        harness.wait_until(delivered, "the new alias")


class Copies(harness.TestCase):
    def test_a_user_whose_alias_names_himself_keeps_one_copy_and_sends_the_others_on(self):
        user = the_user().pw_name
        post = harness.Instance(self, main_cf="""
mydestination = here.example
alias_maps = texthash:{etc}/aliases.txt
mail_spool_directory = {folder}/spool-mail
""")
        os.mkdir(os.path.join(post.folder, "spool-mail"))
        os.chmod(os.path.join(post.folder, "spool-mail"), 0o1777)
        post.write("aliases.txt", "%s %s, copy@example.com\n" % (user, user))
        with post:
            post.send("you@example.org", [user + "@here.example"], "one for each")
            self.assertIn("one for each", post.wait_mail("copy")[0])
            box = os.path.join(post.folder, "spool-mail", user)
            harness.wait_until(lambda: os.path.exists(box) and "one for each\n" in read(box), "his own copy")
            post.wait_queue(0)
            self.assertEqual(read(box).count("one for each\n"), 1)
            self.assertEqual(len(post.mail("copy")), 1)


class ChangedTables(harness.TestCase):
    """A mailbox that somebody keeps locked holds a delivery in the process, which so is never without work."""

    def deliver_with_a_change_of_tables(self, post, locked, change, sent_to_the_new_place):
        """`locked`: the address and path of an mbox; `change` alters a table; then the other function is true."""
        address, box = locked
        harness.wait_until(lambda: post.send("you@example.org", ["user@example.com"], "warm up") and post.mail("user"), "start")
        self.lock(post, box)
        post.send("you@example.org", [address], "kept waiting")
        numbers = []

        def under_load():
            numbers.append(len(numbers))
            post.send("you@example.org", ["user@example.com"], "number %d." % numbers[-1])
            return sent_to_the_new_place()
        for _ in range(5):
            under_load()
        change()
        harness.wait_until(under_load, "mail by the new table")
        self.assertFalse(os.path.exists(box) and read(box))  # the old process still had its work
        os.unlink(box + ".lock")
        harness.wait_until(lambda: "kept waiting" in read(box), "the locked mailbox's message")
        post.wait_queue(0)
        self.assertEqual(read(box).count("kept waiting"), 1)
        found = sorted(int(n) for m in post.mail("user") for n in re.findall(r"number (\d+)\.", m))
        self.assertEqual(found, numbers)  # each of them, once
        self.assertNotRegex(post.log(), "status=(deferred|bounced)|deliveries to be repeated")

    def lock(self, post, box):
        with open(box + ".lock", "w"):
            pass
        if os.geteuid() == 0:
            os.chown(box + ".lock", post.user.pw_uid, post.user.pw_gid)

    def test_virtual_uses_changed_tables_while_it_has_work_without_end_and_repeats_nothing(self):
        post = harness.Instance(self, main_cf="""
deliver_lock_attempts = 500
virtual_mailbox_maps = texthash:{etc}/boxes
""")
        post.write("boxes", "user@example.com user/\nlocked@example.com locked.box\nmoved@example.com old-place/\n")
        with post:
            def moved():
                post.send("you@example.org", ["moved@example.com"], "moving")
                return post.mail("new-place")
            box = os.path.join(post.folder, "mail", "locked.box")
            self.deliver_with_a_change_of_tables(
                post, ("locked@example.com", box),
                lambda: post.write("boxes", read(os.path.join(post.etc, "boxes")).replace("old-place", "new-place")), moved)

    def test_local_uses_changed_aliases_while_it_has_work_without_end_and_repeats_nothing(self):
        user = the_user().pw_name
        post = harness.Instance(self, main_cf="""
deliver_lock_attempts = 500
mydestination = here.example
alias_maps = texthash:{etc}/aliases.txt
mail_spool_directory = {folder}/spool-mail
""")
        os.mkdir(os.path.join(post.folder, "spool-mail"))
        os.chmod(os.path.join(post.folder, "spool-mail"), 0o1777)
        post.write("aliases.txt", "changing old@example.com\n")
        with post:
            def moved():
                post.send("you@example.org", ["changing@here.example"], "moving")
                return post.mail("new")
            box = os.path.join(post.folder, "spool-mail", user)
            self.deliver_with_a_change_of_tables(post, (user + "@here.example", box),
                                                 lambda: post.write("aliases.txt", "changing new@example.com\n"), moved)


class Damage(harness.TestCase):
    def test_a_message_damaged_on_the_disk_is_kept_and_never_delivered(self):
        with harness.Instance(self) as post:
            blocked = os.path.join(post.folder, "mail", "box")
            with open(blocked, "w"):
                pass # in the Maildir's place
            post.send("you@example.org", ["box@example.com"], "precious words")
            post.wait_log(r"to=<box@example.com>.*status=deferred")
            damaged = 0
            for path in glob.glob(os.path.join(post.spool, "mail", "*", "*")):
                with open(path, "r+b") as queued:
                    text = queued.read()
                    if b"precious words" in text:
                        queued.seek(text.index(b"precious words"))
                        queued.write(b"q")
                        damaged += 1
            self.assertEqual(damaged, 1)
            os.unlink(blocked)
            post.wait_log(r"to=<box@example.com>.*status=deferred \(.*damaged queue file: the content does not agree with its checksum")
            self.assertEqual(post.mail("box"), [])
            self.assertEqual(len(post.queue()), 1)
            self.assertEqual(glob.glob(os.path.join(post.folder, "mail", "box", "tmp", "*")), [])


class Virtual(harness.TestCase):
    def test_maildir_and_mbox_by_tables(self):
        with harness.Instance(self, main_cf="virtual_mailbox_maps = inline:{{ a@example.com=a/, b@example.com=b.box }}\n") as post:
            post.send("you@example.org", ["a@example.com"], "in a Maildir")
            message, = post.wait_mail("a")
            self.assertIn("in a Maildir\n", message)
            name = os.path.basename(glob.glob(os.path.join(post.folder, "mail", "a", "new", "*"))[0])
            self.assertRegex(name, r"^\d+\.M\d+P\d+Q\d+\.post\.test\.example,S=%d,W=\d+$" % len(message))
            post.send("you@example.org", ["b@example.com"], "From the box")
            post.send("you@example.org", ["b@example.com"], "again")
            box = os.path.join(post.folder, "mail", "b.box")
            harness.wait_until(lambda: os.path.exists(box) and read(box).count("\nSubject: test\n") == 2, "two in the box")
            self.assertIn("\n>From the box\n", read(box))
            self.assertEqual(len(re.findall(r"^From you@example.org  ", read(box), re.M)), 2)
            self.assertEqual(stat.S_IMODE(os.stat(box).st_mode), 0o600)

    def test_a_full_mailbox_waits_and_is_tried_again(self):
        with harness.Instance(self, main_cf="virtual_mailbox_maps = inline:{{ b@example.com=b.box }}\n") as post:
            box = os.path.join(post.folder, "mail", "b.box")
            os.mkdir(box)  # in the way
            os.chown(box, post.user.pw_uid, post.user.pw_gid) if os.geteuid() == 0 else None
            post.send("you@example.org", ["b@example.com"], "patience")
            post.wait_log(r"to=<b@example.com>.*status=deferred")
            os.rmdir(box)
            harness.wait_until(lambda: os.path.exists(box) and "patience" in read(box), "delivery after all")

    def test_a_killed_spawner_is_replaced_with_its_process(self):
        with harness.Instance(self) as post:
            post.send("you@example.org", ["box@example.com"], "before")
            post.wait_mail("box")
            post.wait_queue(0)
            self.assertGreater(post.kill("local-spawner"), 0)
            post.kill("local-worker")
            post.send("you@example.org", ["box@example.com"], "after")
            post.wait_mail("box", 2)

    def test_while_the_spawner_stands_still_workers_go_on_and_what_needs_a_new_one_waits(self):
        with harness.Instance(self) as post:
            post.send("you@example.org", ["box@example.com"], "before")
            post.wait_mail("box")
            self.assertEqual(post.kill("local-spawner", signal.SIGSTOP), 1)
            try:
                post.send("you@example.org", ["box@example.com"], "by the worker that runs")
                post.wait_mail("box", 2)
                post.wait_queue(0)  # a worker that is killed before it has answered delivers again
                post.kill("local-worker")
                for i in range(3):
                    post.send("you@example.org", ["other@example.com"], "needs a worker")
                post.wait_queue(3)
                self.assertEqual(post.mail("other"), [])
            finally:
                post.kill("local-spawner", signal.SIGCONT)
            post.wait_mail("other", 3)
            post.wait_queue(0)
            self.assertEqual(len(post.mail("box")), 2)

    def test_workers_killed_at_any_time_lose_nothing(self):
        with harness.Instance(self) as post:
            for i in range(30):
                post.send("you@example.org", ["box@example.com"], "number %d." % i)
                if i % 5 == 2:
                    post.kill("local-worker")
            def all_there():
                return {int(re.search(r"number (\d+)\.", m)[1]) for m in post.mail("box")} == set(range(30))
            harness.wait_until(all_there, "all thirty")
            for message in post.mail("box"):
                self.assertTrue(message.endswith(".\n"))


@unittest.skipIf(inject.why_not(), inject.why_not())
class NewMailboxes(harness.TestCase):
    """What is new has a name on the disk before its message counts as delivered, whichever attempt made it."""

    def put_off_until_synced(self, path, folders, found):
        """Mail for the mailbox at `path` waits, as often as it is tried, while one of `folders` cannot be synced."""
        for folder in folders:
            boxes = "virtual_mailbox_maps = inline:{{ new@example.com=%s, first@example.com=first/ }}\n" % path
            with harness.Instance(self, main_cf=boxes) as post:
                post.send("you@example.org", ["first@example.com"], "starts the worker")
                post.wait_mail("first")
                worker, = post.pids("local-worker")
                with inject.Fault(worker, "fsync:error=EIO", os.path.join(post.folder, "mail", folder).rstrip("/")) as fault:
                    post.send("you@example.org", ["new@example.com"], "something new")
                    post.wait_log(r"to=<new@example.com>.*status=deferred \(sync .*folder .*: Input/output error")
                    self.assertGreaterEqual(fault.hits(), 1)
                    post.tool("postqueue", "-f")
                    harness.wait_until(lambda: fault.hits() >= 2, "a second attempt that syncs " + folder)
                    self.assertNotRegex(post.log(), "to=<new@example.com>.*status=sent")
                post.tool("postqueue", "-f")
                harness.wait_until(lambda: found(post), "the message, when the disk works")
                post.wait_queue(0)
                self.assertEqual(found(post).count("something new\n"), 1)

    def test_a_new_maildir_in_a_new_folder_is_delivered_to_once_all_of_them_are_synced(self):
        self.put_off_until_synced("example.com/new/", ["example.com/new", "example.com", ""],
                                  lambda post: "".join(post.mail("example.com/new")))

    def test_a_new_mbox_is_delivered_to_once_its_name_is_synced(self):
        def box(post):
            path = os.path.join(post.folder, "mail", "new.box")
            return os.path.exists(path) and read(path)
        self.put_off_until_synced("new.box", [""], box)


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Privileged(harness.TestCase):
    def test_each_part_of_local_runs_as_who_it_should(self):
        main_cf = "virtual_uid_maps = static:20001\nvirtual_gid_maps = static:20001\nvirtual_minimum_uid = 100\n"
        post = harness.Instance(self, privileged=True, main_cf=main_cf)
        os.chown(os.path.join(post.folder, "mail"), 20001, 20001)
        with post:
            post.send("you@example.org", ["u@example.com"], "as another")
            post.wait_mail("u")
            path = glob.glob(os.path.join(post.folder, "mail", "u", "new", "*"))[0]
            self.assertEqual((os.stat(path).st_uid, os.stat(path).st_gid), (20001, 20001))
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)

            def uids(name):
                return {int(re.search(r"^Uid:\s+(\d+)", read("/proc/%d/status" % pid), re.M)[1]) for pid in post.pids(name)}
            self.assertEqual(uids("local-spawner"), {0})
            self.assertEqual(uids("local-worker"), {20001})
            self.assertEqual(uids("virtual"), {pwd.getpwnam("mail").pw_uid})


    def test_a_full_disk_puts_delivery_off_until_there_is_room(self):
        with harness.Instance(self) as post:
            box = os.path.join(post.folder, "mail")
            owner = "uid=%d,gid=%d" % (post.user.pw_uid, post.user.pw_gid)
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k," + owner, "none", box]).returncode:
                self.skipTest("cannot mount")
            try:
                post.send("you@example.org", ["u@example.com"], "large\r\n" + "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 2000)
                post.wait_log(r"to=<u@example.com>.* dsn=4.3.1, status=deferred \(write maildir file: .*No space left")
                self.assertEqual(glob.glob(os.path.join(box, "u", "*", "*")), [])
                subprocess.run(["mount", "-o", "remount,size=4m", box], check=True)
                self.assertIn("large", post.wait_mail("u")[0])
            finally:
                subprocess.run(["umount", "-l", box])

    def test_a_full_disk_leaves_an_mbox_as_it_was_until_there_is_room(self):
        with harness.Instance(self, main_cf="virtual_mailbox_maps = inline:{{ b@example.com=b.box }}\n") as post:
            folder = os.path.join(post.folder, "mail")
            owner = "uid=%d,gid=%d" % (post.user.pw_uid, post.user.pw_gid)
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k," + owner, "none", folder]).returncode:
                self.skipTest("cannot mount")
            try:
                box = os.path.join(folder, "b.box")
                post.send("you@example.org", ["b@example.com"], "small")
                harness.wait_until(lambda: os.path.exists(box) and "small\n\n" in read(box), "the small one")
                before = read(box)
                post.send("you@example.org", ["b@example.com"], "large\r\n" + ("y" * 70 + "\r\n") * 2000)
                post.wait_log(r"to=<b@example.com>.* dsn=4.3.1, status=deferred \(write .*b.box: No space left")
                self.assertEqual(read(box), before)
                subprocess.run(["mount", "-o", "remount,size=4m", folder], check=True)
                post.tool("postqueue", "-f")
                harness.wait_until(lambda: read(box).count("\nSubject: test\n") == 2, "both")
                post.wait_queue(0)
                self.assertTrue(read(box).startswith(before))
                self.assertEqual(read(box).count("\nSubject: test\n"), 2)
            finally:
                subprocess.run(["umount", "-l", folder])

    def test_a_chrooted_smtpd_knows_the_users_of_the_host(self):
        post = harness.Instance(self, privileged=True, main_cf="""
mydestination = here.example
local_recipient_maps = proxy:unix:passwd.byname $alias_maps
mail_spool_directory = {folder}/spool-mail/
""")
        os.mkdir(os.path.join(post.folder, "spool-mail"))
        os.chmod(os.path.join(post.folder, "spool-mail"), 0o1777)
        with post:
            with post.smtp() as client:
                client.ehlo("client.test.example")
                client.mail("you@example.org")
                self.assertEqual(client.rcpt("games@here.example")[0], 250)
                code, text = client.rcpt("no-such-user@here.example")
                self.assertEqual(code, 550)
                self.assertIn(b"User unknown in local recipient table", text)
            post.send("you@example.org", ["games@here.example"], "to a user")
            harness.wait_until(lambda: users_in_spool(post, "games"), "the message")
            path, = users_in_spool(post, "games")
            self.assertEqual(os.stat(path).st_uid, pwd.getpwnam("games").pw_uid)


class Tables(harness.TestCase):
    """postmap and postalias need main.cf and nothing that runs."""

    def setUp(self):
        self.post = harness.Instance(self)
        self.path = self.post.write("table", "# comment\nAlice@Example.com  first\nbob  second,\n   third\nbob again\n")

    def tearDown(self):
        self.post.close()

    def run_tool(self, *arguments, **options):
        return self.post.tool(*arguments, check=False, **options)

    def test_postmap_makes_asks_lists_and_changes_a_table(self):
        done = self.run_tool("postmap", "hash:" + self.path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('duplicate entry: "bob"', done.stderr)
        found = self.run_tool("postmap", "-q", "ALICE@example.com", self.path)
        self.assertEqual((found.returncode, found.stdout), (0, "first\n"))
        self.assertEqual(self.run_tool("postmap", "-q", "nobody", self.path).returncode, 1)
        many = self.run_tool("postmap", "-q", "-", "lmdb:" + self.path, input="bob\nnobody\n")
        self.assertEqual((many.returncode, many.stdout), (0, "bob\tsecond,   third\n"))
        self.assertEqual(self.run_tool("postmap", "-s", self.path).stdout.splitlines()[0], "alice@example.com\tfirst")
        self.assertEqual(self.run_tool("postmap", "-d", "bob", self.path).returncode, 0)
        self.assertEqual(self.run_tool("postmap", "-d", "bob", self.path).returncode, 1)
        self.assertEqual(self.run_tool("postmap", "-i", self.path, input="carol  added\nAlice@example.com new\n").returncode, 0)
        self.assertEqual(self.run_tool("postmap", "-q", "carol", self.path).stdout, "added\n")
        self.assertEqual(self.run_tool("postmap", "-q", "alice@example.com", self.path).stdout, "first\n")
        self.run_tool("postmap", "-ir", self.path, input="Alice@example.com new\n")
        self.assertEqual(self.run_tool("postmap", "-q", "alice@example.com", self.path).stdout, "new\n")
        self.assertEqual(glob.glob(self.path + ".lmdb.*"), [])

    def test_other_tables_can_be_asked(self):
        pcre = "pcre:{{/^(.*)@x$/ user $1}}"
        self.assertEqual(self.run_tool("postmap", "-q", "joe@x", pcre).stdout, "user joe\n")
        self.assertEqual(self.run_tool("postmap", "-q", "k", "static:v").stdout, "v\n")
        self.assertEqual(self.run_tool("postmap", "-q", "k", "nosuch:v").returncode, 1)
        self.assertEqual(self.run_tool("postmap", "pcre:" + self.path).returncode, 1)
        headers = self.run_tool("postmap", "-h", "-q", "-", "regexp:{{/^subject: .*bad/ REJECT}}",
                                input="From: a\nSubject: very\n bad\n\nSubject: bad body\n")
        self.assertEqual(headers.stdout, "Subject: very\n bad\tREJECT\n")

    def test_a_failed_build_leaves_the_old_table(self):
        self.run_tool("postmap", self.path)
        os.rename(self.path, self.path + ".away")
        self.assertEqual(self.run_tool("postmap", self.path).returncode, 1)
        self.assertEqual(self.run_tool("postmap", "-q", "alice@example.com", self.path).stdout, "first\n")

    def test_files_as_values(self):
        certificate = self.post.write("cert", "line 1\nline 2\n")
        path = self.post.write("files", "a.example %s\n" % certificate)
        self.run_tool("postmap", "-F", path)
        self.assertEqual(self.run_tool("postmap", "-q", "a.example", path).stdout, "bGluZSAxCmxpbmUgMgo=\n")
        self.assertEqual(self.run_tool("postmap", "-Fq", "a.example", path).stdout, "line 1\nline 2\n\n")

    def test_postalias_checks_what_it_stores(self):
        path = self.post.write("aliases", "Root: joe\n\"a b\": ann, \"|cmd x\"\nbad line\nworse: \"x\n")
        done = self.run_tool("postalias", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("line 3: need name:value pair", done.stderr)
        self.assertIn("line 4: unbalanced double quote", done.stderr)
        self.assertEqual(self.run_tool("postalias", "-q", "root", path).stdout, "joe\n")
        self.assertEqual(self.run_tool("postalias", "-q", "a b", path).stdout, "ann, \"|cmd x\"\n")
        self.assertEqual(self.run_tool("postalias", "-q", "bad", path).returncode, 1)

    def test_usage(self):
        for tool in ("postmap", "postalias", "newaliases"):
            self.assertEqual(self.run_tool(tool, "--help").returncode, 0)
            self.assertEqual(self.run_tool(tool, "-Z").returncode, 64)


if __name__ == "__main__":
    harness.main()
