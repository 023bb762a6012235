"""The two mail servers of a benchmark, each in a folder of its own, and what they talk to."""
import json
import os
import pwd
import shutil
import socket
import subprocess
import time

POSTFIX_DAEMONS = "/usr/lib/postfix/sbin"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=300, **options)
    return done.returncode, done.stdout


def answers(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def process_table():
    """pid -> (parent, CPU seconds of it and of its children that have ended)"""
    table, tick = {}, os.sysconf("SC_CLK_TCK")
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
                table[int(name)] = (int(fields[1]), sum(int(x) for x in fields[11:15]) / tick)
            except OSError:
                pass
    return table


class Server:
    """One mail server in a folder of its own. Subclasses write its configuration and know its commands."""

    def __init__(self, name, folder, sink_port, users):
        self.name, self.folder, self.sink_port, self.users = name, folder, sink_port, users
        self.port, self.submission_port, self.screened_port = free_port(), free_port(), free_port()
        self.submission = None # services of master.cf besides the usual ones
        self.vmail = pwd.getpwnam("nobody")

    def common_settings(self, database):
        boxes = os.path.join(self.folder, "boxes")
        with open(boxes, "w") as table:
            for n in range(self.users):
                table.write("u%d@example.com u%d/Maildir/\n" % (n, n))
        return """
compatibility_level = 3.6
queue_directory = {f}/spool
data_directory = {f}/data
maillog_file = {f}/mail.log
maillog_file_prefixes = /var, {f}
myhostname = {name}.bench.example.org
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
relayhost = [127.0.0.1]:{sink}
virtual_mailbox_domains = example.com
virtual_mailbox_base = {f}/mail
virtual_mailbox_maps = {database}:{boxes}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
message_size_limit = 52428800
in_flow_delay = 0
default_process_limit = 200
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_recipient_limit = 2000
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_host_lookup = native
smtp_destination_concurrency_limit = 20
initial_destination_concurrency = 20
smtp_destination_recipient_limit = 100
virtual_destination_concurrency_limit = 20
smtp_tls_security_level = none
smtputf8_enable = no
""".format(f=self.folder, name=self.name, sink=self.sink_port, database=database, boxes=boxes,
           uid=self.vmail.pw_uid, gid=self.vmail.pw_gid)

    def prepare(self, hold, extra):
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("etc", "spool", "data", "mail"):
            os.makedirs(os.path.join(self.folder, name))
        for n in range(self.users):
            os.makedirs(os.path.join(self.folder, "mail", "u%d" % n))
        run(["chown", "-R", "%d:%d" % (self.vmail.pw_uid, self.vmail.pw_gid), os.path.join(self.folder, "mail")])
        self.configure(extra + ("smtpd_recipient_restrictions = check_client_access static:HOLD\n" if hold else ""))

    def submission_service(self, folder, auth_port):
        """Has a service with TLS from the first byte and AUTH; chain.pem is in `folder`."""
        self.submission = """127.0.0.1:%d inet n - y - 1100 smtpd
  -o smtpd_tls_wrappermode=yes -o smtpd_tls_security_level=encrypt -o smtpd_tls_chain_files=%s/chain.pem
  -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot -o smtpd_sasl_path=inet:127.0.0.1:%d
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
""" % (self.submission_port, folder, auth_port)

    def screened_service(self):
        """Has a service that lets the bench's own clients in and others wait for the greeting."""
        self.submission = "127.0.0.1:%d inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n" % self.screened_port
        return ("postscreen_access_list = inline:{127.0.0.1=permit}\npostscreen_greet_wait = 600s\n"
                "postscreen_pre_queue_limit = 6000\npostscreen_client_connection_count_limit = 0\n"
                "postscreen_cache_map = btree:%s/data/postscreen_cache\n" % self.folder)

    def start(self, hold=False, extra=""):
        self.prepare(hold, extra)
        os.sync()
        code, text = run(self.command("start"))
        end = time.monotonic() + 15
        while not answers(self.port):
            if time.monotonic() > end:
                raise RuntimeError("%s did not start (%d): %s" % (self.name, code, text))
            time.sleep(0.05)
        with open(os.path.join(self.folder, "spool/pid/master.pid")) as pid:
            self.master = int(pid.read())

    def stop(self):
        run(self.command("stop"))
        end = time.monotonic() + 15
        while os.path.exists("/proc/%d" % self.master) and time.monotonic() < end:
            time.sleep(0.05)

    def tree(self):
        table, todo, found = process_table(), [self.master], {}
        while todo:
            pid = todo.pop()
            if pid in table:
                found[pid] = table[pid][1]
                todo += [child for child, (parent, _) in table.items() if parent == pid]
        return found

    def cpu(self):
        return sum(self.tree().values())

    def settled_cpu(self):
        """Its CPU time once it does nothing any more: the tails belong to the work."""
        last, quiet, end = self.cpu(), 0, time.monotonic() + 10
        while quiet < 3 and time.monotonic() < end:
            time.sleep(0.15)
            now = self.cpu()
            quiet = quiet + 1 if now - last < 0.01 else 0
            last = now
        return last

    def memory_mb(self):
        total = 0
        for pid in self.tree():
            try:
                with open("/proc/%d/smaps_rollup" % pid) as rollup:
                    total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
            except OSError:
                pass
        return total / 1024

    def delivered(self):
        count = 0
        for n in range(self.users):
            try:
                count += len(os.listdir(os.path.join(self.folder, "mail", "u%d" % n, "Maildir/new")))
            except OSError:
                pass
        return count


class Posthouse(Server):
    def __init__(self, build, folder, sink_port, users):
        super().__init__("posthouse", folder, sink_port, users)
        self.root = os.path.join(os.path.dirname(folder), "posthouse-root")
        code, text = run(["make", "-C", build, "install", "DESTDIR=" + self.root])
        if code:
            raise RuntimeError(text[-1000:])
        self.tools = self.find("posthouse")
        self.daemons = self.find("qmgr")

    def find(self, program):
        for where, _, names in os.walk(self.root):
            if program in names and os.access(os.path.join(where, program), os.X_OK) and "share" not in where:
                return where
        raise RuntimeError("%s is not installed" % program)

    def command(self, what):
        return [os.path.join(self.tools, "posthouse"), "-c", os.path.join(self.folder, "etc"), what]

    def configure(self, extra):
        with open(os.path.join(self.folder, "etc/main.cf"), "w") as main:
            main.write(self.common_settings("texthash") + extra)
            main.write("daemon_directory = %s\ncommand_directory = %s\nmail_owner = postfix\nsetgid_group = postdrop\n"
                       % (self.daemons, self.tools))
        os.rmdir(os.path.join(self.folder, "data"))  # master makes it, with its owner
        with open(os.path.join(self.folder, "etc/master.cf"), "w") as master:
            master.write("127.0.0.1:%d inet n - y - - smtpd\n" % self.port +
                         "pickup unix n - y 60 1 pickup\nqmgr unix n - n 300 1 qmgr\nsmtp unix - - y - - smtp\n"
                         "relay unix - - y - - smtp\nvirtual unix - n n - - virtual\nlocal unix - n n - - local\n" + (self.submission or ""))


class Postfix(Server):
    def __init__(self, folder, sink_port, users):
        super().__init__("postfix", folder, sink_port, users)

    def command(self, what):
        return ["/usr/sbin/postfix", "-c", os.path.join(self.folder, "etc"), what]

    def configure(self, extra):
        etc = os.path.join(self.folder, "etc")
        with open(os.path.join(etc, "main.cf"), "w") as main:
            main.write(self.common_settings("hash") + extra)
            main.write("daemon_directory = %s\ncommand_directory = /usr/sbin\nmail_owner = postfix\n"
                       "setgid_group = postdrop\nsmtp_connection_cache_destinations = [127.0.0.1]:%d\n"
                       % (POSTFIX_DAEMONS, self.sink_port))
        with open("/etc/postfix/master.cf.proto") as shipped:
            lines = [line for line in shipped if not line.startswith(("#", "smtp      inet", "maildrop", "uucp",
                     "ifmail", "bsmtp", "scalemail", "mailman", "  "))]
        with open(os.path.join(etc, "master.cf"), "w") as master:
            master.write("127.0.0.1:%d inet n - y - 1100 smtpd\n" % self.port + "".join(lines) + (self.submission or ""))
        for name in ("postfix-files", "dynamicmaps.cf"):
            if os.path.exists("/etc/postfix/" + name):
                shutil.copy("/etc/postfix/" + name, etc)
        run(["chown", "postfix", os.path.join(self.folder, "data")])
        run(["/usr/sbin/postmap", "-c", etc, "hash:" + os.path.join(self.folder, "boxes")])


class Peer:
    """A part of mailbench: "sink" or "milter"."""

    def __init__(self, program, part):
        self.program, self.part, self.port, self.process = program, part, free_port(), None

    def __enter__(self):
        self.process = subprocess.Popen([self.program, self.part, str(self.port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        while not answers(self.port):
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def counts(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def wait(self, field, wanted, seconds=60):
        end = time.monotonic() + seconds
        counts = self.counts()
        while counts[field] < wanted and time.monotonic() < end:
            time.sleep(0.005)
            counts = self.counts()
        return counts
