"""A private Dovecot for a test: its auth service alone, with a passwd-file and an auth client socket. The real program of
Debian's dovecot-core; no mail is kept in it.

    dovecot = Dovecot(test, "/some/place/auth", owner=pwd.getpwnam("nobody"))
    dovecot.start() ... dovecot.stop()      # ended with the test in any case
    dovecot.freeze() ... dovecot.thaw()                           # there, and silent
"""
import grp
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness

PROGRAM = shutil.which("dovecot") or "/usr/sbin/dovecot"
AVAILABLE = os.path.exists(PROGRAM) and os.geteuid() == 0
WHY_NOT = "needs Debian's dovecot-core, and root, which Dovecot starts as"

CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
instance_name = {name}
protocols =
listen = 127.0.0.1
first_valid_gid = 1
first_valid_uid = 1
ssl = no
mail_location = maildir:{folder}/mail
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_failure_delay = {failure_delay}
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {internal}
{more}
passdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail
}}
service auth {{
  unix_listener {socket} {{
    mode = 0600
    user = {owner}
  }}
  {more_listeners}
}}
service auth-worker {{
  user = {internal}
}}
service anvil {{
  # Its own growing pause for an address after failures: ours is what is tested.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


def internal_user():
    for name in ("dovecot", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise unittest.SkipTest("no account for Dovecot")


class Dovecot:
    def __init__(self, test, socket, owner, users=None, mechanisms="plain login scram-sha-256", failure_delay="0",
                 inet_port=None, more=""):
        self.folder = tempfile.mkdtemp(prefix="posthouse-dovecot-")
        os.chmod(self.folder, 0o755)
        self.socket, self.process = socket, None
        internal = internal_user()
        listeners = "" if inet_port is None else "inet_listener {\n    address = 127.0.0.1\n    port = %d\n  }" % inet_port
        text = CONFIGURATION.format(folder=self.folder, name=os.path.basename(self.folder), mechanisms=mechanisms,
                                    failure_delay=failure_delay, internal=internal.pw_name,
                                    internal_group=grp.getgrgid(internal.pw_gid).gr_name,
                                    owner=owner.pw_name, uid=owner.pw_uid, gid=owner.pw_gid, socket=socket, more_listeners=listeners,
                                    more=more.format(folder=self.folder))
        with open(os.path.join(self.folder, "dovecot.conf"), "w") as out:
            out.write(text)
        self.set_users(users or {"bob": "secret", "alice@example.com": "wonder land"})
        test.addCleanup(self.close)

    def set_users(self, users):
        with open(os.path.join(self.folder, "users"), "w") as out:
            for name, password in users.items():
                out.write("%s:{PLAIN}%s::::::\n" % (name, password))
        os.chmod(os.path.join(self.folder, "users"), 0o644)

    def start(self):
        self.process = subprocess.Popen([PROGRAM, "-F", "-c", os.path.join(self.folder, "dovecot.conf")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        harness.wait_until(lambda: os.path.exists(self.socket) or self.process.poll() is not None, "Dovecot listens")
        if self.process.poll() is not None:
            raise AssertionError("Dovecot did not start: %s%s" % (self.process.stdout.read().decode(), self.log()))
        return self

    def stop(self):
        if self.process:
            self.thaw()
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process.stdout.close()
            self.process = None
        # Dovecot removes its sockets only in its base_dir.
        if os.path.exists(self.socket):
            os.unlink(self.socket)

    def processes(self):
        """Dovecot's own and those that it has started."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            with open("/proc/%d/task/%d/children" % (pid, pid)) as children:
                todo += [int(child) for child in children.read().split()]
        return found

    def kill(self):
        """All at once, as if the host had no memory left for it."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.process.wait(20)
        self.stop()

    def freeze(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        if self.process and self.process.poll() is None:
            for pid in self.processes():
                os.kill(pid, signal.SIGCONT)

    def log(self):
        try:
            with open(os.path.join(self.folder, "log"), errors="replace") as log:
                return log.read()
        except OSError:
            return ""

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
