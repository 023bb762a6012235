"""A private instance of the whole suite for a test: its own folder, free loopback ports, real programs.

    import harness

    class Relay(harness.TestCase):
        def test_a_message_is_delivered_into_a_maildir(self):
            with harness.Instance(self, main_cf="virtual_mailbox_domains = example.com") as post:
                post.send("you@example.org", ["friend@example.com"], "Hello.")
                self.assertIn("Hello.", post.wait_mail("friend")[0])

    if __name__ == "__main__":
        harness.main()

What it needs is in the environment: POSTHOUSE_BUILD, the build folder (default: the current one).
Every Instance delivers *@example.com into Maildirs (mail/USER/), is an open door for 127.0.0.0/8, logs to
mail.log in its folder, and retries fast. `main_cf` comes last and so overrides; `master_cf` lines with the
name and type of a default one replace it, others are added.

Run by root, the instance runs as `nobody` (the programs' ordinary-user mode), unless privileged=True: then
master is root and the suite takes its privileges from mail_owner (the account `mail`).
A test that fails shows the log.
"""
import email.utils
import faulthandler
import glob
import json
import os
import pwd
import random
import re
import shutil
import signal
import smtplib
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BUILD = os.path.abspath(os.environ.get("POSTHOUSE_BUILD", "."))
SOURCE = os.path.abspath(os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", "..")))
# Seconds until something that does not happen is a failure. Where a test names its own, they are meant for a patience of
# 20, and grow with it: a sanitizer build is slower, a loaded machine too.
# No bound from above grows with it: that would let pass what it is to find.
PATIENCE = float(os.environ.get("POSTHOUSE_TEST_PATIENCE", "60"))

DAEMONS = {"master": "master/master", "smtpd": "smtpd/smtpd", "lmtpd": "smtpd/lmtpd", "pickup": "smtpd/pickup", "qmgr": "qmgr/qmgr",
           "smtp": "smtp/smtp", "lmtp": "smtp/lmtp", "local": "local/local",
           "virtual": "local/virtual"}
# What a sanitizer says of a fault: the test then fails. A daemon says it where master's output goes.
REPORT = re.compile(r"^.*(?:ERROR: AddressSanitizer|ERROR: LeakSanitizer|: runtime error: ).*", re.M)

COMMAND_LINKS = {"mailq": "sendmail", "newaliases": "sendmail"}

MAIN_CF = """
compatibility_level = 3.11
myhostname = {name}.test.example
mydestination =
mynetworks = 127.0.0.0/8 [::1]/128
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = {folder}/spool
data_directory = {folder}/data
daemon_directory = {programs}/daemons
command_directory = {programs}/commands
maillog_file = {folder}/mail.log
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
smtp_host_lookup = native
virtual_mailbox_domains = example.com
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = regexp:{{{{/^([a-z0-9.-]+)@example\\.com$$/ $$1/}}}}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
minimal_backoff_time = 1s
maximal_backoff_time = 2s
transport_retry_time = 1s
service_throttle_time = 1s
stop_deadline = 10s
"""

MASTER_CF = """
127.0.0.1:{port} inet n - {chroot} - - smtpd
pickup    unix  n - {chroot} 60  1 pickup
qmgr      unix  n - n 300 1 qmgr
smtp      unix  - - {chroot} -   - smtp
relay     unix  - - {chroot} -   - smtp
lmtp      unix  - - {chroot} -   - lmtp
local     unix  - n n -   - local
virtual   unix  - n n -   - virtual
"""


def sanitized():
    try:
        with open(os.path.join(BUILD, DAEMONS["master"]), "rb") as program:
            return b"__asan_init" in program.read()
    except OSError:
        return False


SANITIZED = sanitized()


RESERVED = []  # sockets whose abstract names stand for ports, as long as this process lives


def free_port():
    """A port that neither another test that runs beside this one gets, nor the system for an outgoing connection (those
    begin at 32768)."""
    while True:
        port = random.randrange(10240, 32768)
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind("\0posthouse-test-port-%d" % port)
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("", port))
        except OSError:
            reservation.close()
            continue
        RESERVED.append(reservation)
        return port


def wait_until(condition, what, seconds=None):
    """Polls until condition() is true; returns its value. Raises AssertionError after the patience."""
    end = time.monotonic() + (seconds * PATIENCE / 20 if seconds else PATIENCE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not in time: " + what)
        time.sleep(0.02)


def alive(pid):
    """Whether the process runs; one that has ended and was not yet waited for does not."""
    try:
        with open("/proc/%d/stat" % pid) as stat_file:
            return stat_file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def cpu_ticks(pid):
    """CPU time that the process has used, in clock ticks."""
    with open("/proc/%d/stat" % pid) as stat_file:
        return sum(map(int, stat_file.read().rsplit(")", 1)[1].split()[11:13]))


def reachable_by_others(path):
    while path != "/":
        if not os.stat(path).st_mode & stat.S_IXOTH:
            return False
        path = os.path.dirname(path)
    return True


class Programs:
    """One folder with all daemons, one with all commands, made once for a test run."""
    folder = None

    @classmethod
    def prepare(cls):
        if cls.folder:
            return cls.folder
        cls.folder = tempfile.mkdtemp(prefix="posthouse-programs-")
        os.chmod(cls.folder, 0o755)
        place = os.symlink if os.geteuid() or reachable_by_others(BUILD) else shutil.copy2
        for kind in ("daemons", "commands"):
            os.mkdir(os.path.join(cls.folder, kind), 0o755)
        for name, path in DAEMONS.items():
            if os.path.exists(os.path.join(BUILD, path)):
                place(os.path.join(BUILD, path), os.path.join(cls.folder, "daemons", name))
        for path in glob.glob(os.path.join(BUILD, "tools", "*")):
            if os.access(path, os.X_OK) and os.path.isfile(path) and "." not in os.path.basename(path):
                place(path, os.path.join(cls.folder, "commands", os.path.basename(path)))
        for link, target in COMMAND_LINKS.items():
            at = os.path.join(cls.folder, "commands", link)
            if not os.path.exists(at):
                os.symlink(target, at)
        return cls.folder

    @classmethod
    def remove(cls):
        if cls.folder:
            shutil.rmtree(cls.folder, ignore_errors=True)
            cls.folder = None


class Instance:
    live = []  # those whose folders are still there

    def __init__(self, test, name="post", main_cf="", master_cf="", privileged=False, smtp_port=None):
        self.test, self.name, self.privileged = test, name, privileged
        self.folder = tempfile.mkdtemp(prefix="posthouse-%s-" % name)
        os.chmod(self.folder, 0o755)
        self.running = False
        self.foreground = None  # in a sanitizer build: master, so that its output and the daemons' is kept
        Instance.live.append(self)
        self.etc, self.spool = os.path.join(self.folder, "etc"), os.path.join(self.folder, "spool")
        self.main_cf_path, self.master_cf_path = os.path.join(self.etc, "main.cf"), os.path.join(self.etc, "master.cf")
        self.port = smtp_port or free_port()
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.drops = os.geteuid() == 0 and not privileged
        self.programs = Programs.prepare()
        # master makes the others with their proper owners.
        for folder in ("etc", "mail") if privileged else ("etc", "spool", "data", "mail"):
            os.mkdir(os.path.join(self.folder, folder), 0o700 if folder == "data" else 0o755)
        self.configure(main_cf, master_cf)
        if os.geteuid() == 0:
            os.chown(os.path.join(self.folder, "mail"), self.user.pw_uid, self.user.pw_gid)
        if self.drops:
            for where, _, names in os.walk(self.folder):
                for path in [where] + [os.path.join(where, n) for n in names]:
                    os.chown(path, self.user.pw_uid, self.user.pw_gid)

    # ---- configuration
    def configure(self, main_cf="", master_cf=""):
        text = MAIN_CF.format(name=self.name, folder=self.folder, programs=self.programs, uid=self.user.pw_uid,
                              gid=self.user.pw_gid)
        if SANITIZED:
            # In a chroot or a sandbox the leak check cannot look at its own process.
            text += "import_environment = MAIL_CONFIG TZ LANG=C ASAN_OPTIONS=detect_leaks=0\n"
        if self.privileged:
            text += "mail_owner = mail\nsetgid_group = tape\n"
        with open(self.main_cf_path, "w") as out:
            out.write(text + main_cf.format(folder=self.folder, port=self.port, etc=self.etc) + "\n"
                      if "{" in main_cf else text + main_cf + "\n")
        lines = [line for line in MASTER_CF.format(port=self.port, chroot="y" if self.privileged else "n")
                 .splitlines() if line]
        extra = [line for line in master_cf.splitlines() if line.strip()]
        replaced = {tuple(line.split()[:2]) for line in extra if not line[0].isspace()}
        if any(key[0] == "smtp" and key[1] == "inet" for key in replaced):
            lines = lines[1:]
        with open(self.master_cf_path, "w") as out:
            out.write("\n".join([line for line in lines if tuple(line.split()[:2]) not in replaced] + extra) + "\n")

    def write(self, name, text):
        """A file in the configuration folder; returns its path."""
        path = os.path.join(self.etc, name)
        with open(path, "w") as out:
            out.write(text)
        if self.drops:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        return path

    # ---- running
    def become_user(self):
        os.setgroups([])
        os.setgid(self.user.pw_gid)
        os.setuid(self.user.pw_uid)

    def tool(self, name, *arguments, input=None, check=True, as_user=True, seconds=60):
        """Runs a command of ours against this instance; returns a CompletedProcess with text output."""
        environment = dict(os.environ, MAIL_CONFIG=self.etc, LC_ALL="C",
                           PATH=os.path.join(self.programs, "commands") + ":" + os.environ["PATH"])
        done = subprocess.run([os.path.join(self.programs, "commands", name), *arguments],
                              input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=not isinstance(input, bytes), timeout=seconds, env=environment, cwd="/",
                              preexec_fn=self.become_user if self.drops and as_user else None)
        self.check_reports(done.stderr if isinstance(done.stderr, str) else done.stderr.decode(errors="replace"))
        if check and done.returncode:
            raise AssertionError("%s %s: exit %d\n%s%s" % (name, " ".join(arguments), done.returncode, done.stdout,
                                                           done.stderr))
        return done

    def start(self):
        if SANITIZED:
            self.start_in_foreground()
        else:
            try:
                self.tool("posthouse", "-c", self.etc, "start")
            except AssertionError: # master may run without the service that failed
                self.tool("posthouse", "-c", self.etc, "abort", check=False)
                raise
        self.running = True
        wait_until(lambda: self.answers(self.port), "port %d answers" % self.port)
        return self

    def start_in_foreground(self):
        command = [os.path.join(self.programs, "commands", "posthouse"), "-c", self.etc, "start-fg"]
        with open(self.output_path(), "ab") as output:
            self.foreground = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/",
                                               preexec_fn=self.become_user if self.drops else None)
        pid_path = os.path.join(self.spool, "pid", "master.pid")
        wait_until(lambda: self.foreground.poll() is not None or os.path.exists(pid_path), "master runs")
        # `posthouse start` returns when all programs are up; here one waits for the last of them.
        end = time.monotonic() + 10
        while time.monotonic() < end and self.tool("postqueue", "-p", check=False).returncode:
            time.sleep(0.1)

    def end_foreground(self):
        try:
            self.foreground.wait(60)
        except subprocess.TimeoutExpired:
            self.foreground.terminate()
            self.foreground.wait(60)
            raise

    def output_path(self):
        return os.path.join(self.folder, "output")

    def output(self):
        try:
            with open(self.output_path(), errors="replace") as output:
                return output.read()
        except OSError:
            return ""

    @staticmethod
    def check_reports(text):
        report = REPORT.search(text)
        if report:
            raise AssertionError("a sanitizer's report:\n" + text[report.start():report.start() + 6000])

    def answers(self, port):
        with socket.socket() as s:
            s.settimeout(2)
            if s.connect_ex(("127.0.0.1", port)):
                return False
            try:
                return s.recv(4) == b"220 "
            except OSError:
                return False

    def stop(self):
        if self.running:
            self.running = False
            # When the time is over, nobody has that of a stop.
            self.tool("posthouse", "-c", self.etc, "abort" if OutOfTime.told else "stop", check=False)

    def reload(self):
        self.tool("posthouse", "-c", self.etc, "reload")

    def master_pid(self):
        with open(os.path.join(self.spool, "pid", "master.pid")) as pid:
            return int(pid.read().split()[0])

    def pids(self, program=None):
        """Processes of this instance, by program name; below master."""
        children = {}
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path) as line:
                    text = line.read()
            except OSError:
                continue
            children.setdefault(int(text.rsplit(")", 1)[1].split()[1]), []).append(
                (int(text.split()[0]), text[text.index("(") + 1:text.rindex(")")]))
        found, todo = [], [self.master_pid()]
        while todo:
            for pid, name in children.get(todo.pop(), []):
                todo.append(pid)
                if program in (None, name):
                    found.append(pid)
        return found

    def kill(self, program, with_signal=signal.SIGKILL):
        """Kills every process of that name in this instance (also "master"); returns how many."""
        pids = [self.master_pid()] if program == "master" else self.pids(program)
        for pid in pids:
            try:
                os.kill(pid, with_signal)
            except ProcessLookupError:
                pass
        return len(pids)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close(failed=True)
            raise

    def __exit__(self, kind, *_):
        self.close(failed=kind is not None)

    def close(self, failed=False):
        try:
            self.stop()
            if self.foreground:
                self.end_foreground()
            self.check_reports(self.output())
        finally:
            if failed or OutOfTime.told:
                print("--- log of %s\n%s\n---" % (self.name, self.log()[-6000:] + self.output()[-6000:]), file=sys.stderr)
            if not os.environ.get("POSTHOUSE_KEEP"):
                shutil.rmtree(self.folder, ignore_errors=True)
            if self in Instance.live:
                Instance.live.remove(self)

    @classmethod
    def close_all(cls):
        """What a test that was broken off has left."""
        for post in list(cls.live):
            try:
                post.running = post.running or os.path.exists(os.path.join(post.spool, "pid", "master.pid"))
                post.close()
            except (OSError, AssertionError, subprocess.SubprocessError) as error:
                print("closing %s: %s" % (post.name, error), file=sys.stderr)

    # ---- mail
    def smtp(self, timeout=30):
        return smtplib.SMTP("127.0.0.1", self.port, timeout=timeout)

    def send(self, sender, recipients, text, subject="test", **options):
        """One message by smtplib; returns the reply text with the queue id."""
        with self.smtp() as client:
            client.ehlo("client.test.example")
            client.mail(sender, options.get("mail_options", []))
            for recipient in recipients:
                code, reply = client.rcpt(recipient, options.get("rcpt_options", []))
                if code != 250:
                    raise smtplib.SMTPResponseException(code, reply)
            code, reply = client.data("From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\n\r\n%s\r\n" % (
                sender or "MAILER-DAEMON", ", ".join(recipients), subject, email.utils.formatdate(), text))
            if code != 250:
                raise smtplib.SMTPResponseException(code, reply)
            return reply.decode()

    def send_id(self, *arguments, **options):
        return re.search(r"queued as (\w+)", self.send(*arguments, **options))[1]

    def mail(self, user):
        """Messages in the user's Maildir, oldest name first, as text."""
        paths = sorted(glob.glob(os.path.join(self.folder, "mail", user, "new", "*")) +
                       glob.glob(os.path.join(self.folder, "mail", user, "cur", "*")))
        messages = []
        for path in paths:
            with open(path, encoding="utf-8", errors="surrogateescape") as message:
                messages.append(message.read())
        return messages

    def wait_mail(self, user, count=1, seconds=None):
        wait_until(lambda: len(self.mail(user)) >= count, "%d messages for %s" % (count, user), seconds)
        return self.mail(user)

    def queue(self):
        """What postqueue -j says, as a list of dictionaries."""
        return [json.loads(line) for line in self.tool("postqueue", "-c", self.etc, "-j").stdout.splitlines()]

    def wait_queue(self, count=0, seconds=None):
        return wait_until(lambda: len(self.queue()) == count and [True] + self.queue(),
                          "%d messages in the queue" % count, seconds)[1:]

    # ---- log
    def log(self):
        try:
            with open(os.path.join(self.folder, "mail.log"), errors="replace") as log:
                return log.read()
        except OSError:
            return ""

    def wait_log(self, pattern, seconds=None):
        """The first match of the regular expression in the log."""
        return wait_until(lambda: re.search(pattern, self.log(), re.M), "in the log: " + pattern, seconds)


class Dialogue:
    """A raw connection: exact bytes out, replies in."""

    def __init__(self, port, timeout=15, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        """A line; "" at the end of the connection, which is a reset when the other side had not read all."""
        try:
            return self.file.readline().decode("latin-1").rstrip("\r\n")
        except ConnectionResetError:
            return ""

    def reply(self):
        """(code, [lines]); code 0 at the end of the connection."""
        lines = []
        while True:
            line = self.line()
            if not line:
                return 0, lines
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), lines

    def command(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def at_end(self):
        """True when the server has closed the connection (what it still sent is dropped)."""
        try:
            while self.file.readline():
                pass
            return True
        except ConnectionResetError:
            return True
        except OSError:
            return False


def unix_listener(path):
    """A socket that anybody may connect to."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen(100)
    return listener


class Listener:
    """Gives each connection to connected(). On a free port, or whatever socket it is given."""

    def __init__(self, listener=None):
        self.listener = listener or socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1] if self.listener.family == socket.AF_INET else None
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connected(connection)

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError: # closed before
            pass
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class FakeServer(Listener):
    """A next host whose behaviour is a function of the test: handle(dialogue) for each connection, where
    dialogue has send(), line(). For what no real server can be made to do on demand."""

    def __init__(self, handle, port=0, address="127.0.0.1", listener=None):
        self.handle, self.connections, self.errors = handle, 0, []
        super().__init__(listener or socket.create_server((address, port), backlog=100))

    def connected(self, connection):
        self.connections += 1
        threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            dialogue = Dialogue.__new__(Dialogue)
            dialogue.socket, dialogue.file = connection, connection.makefile("rb")
            connection.settimeout(60)
            try:
                self.handle(dialogue)
            except (OSError, ValueError) as error:
                self.errors.append(error)


class SinkServer(FakeServer):
    """Takes everything; `messages` is a list of (sender, [recipients], text). `answer(verb, argument)` may
    return a reply line instead of the usual one."""

    def __init__(self, answer=None, port=0, address="127.0.0.1"):
        self.answer, self.messages, self.commands = answer, [], []
        super().__init__(self.session, port, address)

    def session(self, peer):
        reply = lambda line: peer.send(line + "\r\n")
        special = lambda verb, argument="": self.answer(verb, argument) if self.answer else None
        reply(special("CONNECT") or "220 sink.test.example ESMTP")
        sender, recipients = None, []
        while True:
            line = peer.line()
            verb, _, argument = line.partition(" ")
            verb = verb.upper()
            if not verb:
                return
            self.commands.append(line)
            wish = special(verb, argument)
            if verb == "EHLO":
                reply(wish or "250-sink.test.example\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250-DSN\r\n"
                              "250-SMTPUTF8\r\n250 8BITMIME")
            elif verb == "MAIL":
                sender, recipients = argument, []
                reply(wish or "250 2.1.0 Ok")
            elif verb == "RCPT":
                if not wish or wish.startswith("2"):
                    recipients.append(argument)
                reply(wish or "250 2.1.5 Ok")
            elif verb == "DATA":
                if not wish and not recipients:
                    wish = "554 5.5.1 Error: no valid recipients"
                reply(wish or "354 go ahead")
                if wish and not wish.startswith("3"):
                    continue
                text = ""
                while True:
                    data = peer.file.readline().decode("latin-1")
                    if data in ("", ".\r\n"):
                        break
                    text += data[1:] if data.startswith(".") else data
                if not data:
                    return
                wish = special("END", text)
                if not wish or wish.startswith("2"):
                    self.messages.append((sender, recipients, text))
                reply(wish or "250 2.0.0 Ok")
            elif verb == "QUIT":
                reply(wish or "221 2.0.0 Bye")
                return
            else:
                reply(wish or "250 2.0.0 Ok")


class TestCase(unittest.TestCase):
    longMessage = True
    maxDiff = 4000
    took = []  # (seconds, test), of all classes

    def run(self, result=None):
        begun = time.monotonic()
        try:
            return super().run(result)
        finally:
            TestCase.took.append((time.monotonic() - begun, self.id()))

    def assertListEqual(self, list1, list2, msg=None):
        """The module's own takes minutes to show how two long lists differ."""
        if list1 == list2 or len(list1) + len(list2) < 1000:
            return super().assertListEqual(list1, list2, msg)
        at = next((i for i, (a, b) in enumerate(zip(list1, list2)) if a != b), min(len(list1), len(list2)))
        self.fail("lists of %d and %d differ from %d on: %r, %r" % (len(list1), len(list2), at, list1[at:at + 3],
                                                                   list2[at:at + 3]))

    def wait_until(self, condition, what, seconds=None):
        return wait_until(condition, what, seconds)


class OutOfTime(Exception):
    """The test that runs is broken off, and none is begun any more. An exception as any other, so that what the test has
    started is taken down, and what has become of the tests before it is told."""
    told = False


def end_early(number, _):
    """What a limit of time sends, or Ctrl-C: says where the test hangs, and ends it."""
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: None)  # make, timeout and the terminal may all send it
    OutOfTime.told = True
    faulthandler.dump_traceback(all_threads=True)
    if Runner.result:
        Runner.result.failfast = True  # no further part of this test either
        Runner.result.stop()
    raise OutOfTime("ended by " + signal.Signals(number).name)


class Runner(unittest.TextTestRunner):
    result = None

    def _makeResult(self):
        Runner.result = super()._makeResult()
        return Runner.result


def main():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end_early)
    try:
        unittest.main(verbosity=2, testRunner=Runner)
    except OutOfTime:  # between two tests
        Runner.result.printErrors()
        raise
    finally:
        Instance.close_all()
        Programs.remove()
        for reservation in RESERVED:
            reservation.close()
        for seconds, test in sorted(TestCase.took, reverse=True)[:3]:
            print("%6.1f s  %s" % (seconds, test), file=sys.stderr)
