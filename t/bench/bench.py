#!/usr/bin/env python3
"""make bench: the same work through Posthouse and an installed Postfix, on this machine, over loopback.

The two take turns (A, B, A, B, ...), each freshly started with an empty queue and warmed up; what is
printed is the median of the rounds, wall and CPU time, and the ratio. Needs root, like the two servers
in real life, and Debian's postfix package; without Postfix it measures Posthouse alone.

  bench.py --build BUILD [--rounds 3] [--only relay,accept,...] [--scale 1.0] [--json FILE]
"""
import argparse
import json
import os
import pwd
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
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
        self.port = free_port()
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

    def prepare(self, hold):
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("etc", "spool", "data", "mail"):
            os.makedirs(os.path.join(self.folder, name))
        for n in range(self.users):
            os.makedirs(os.path.join(self.folder, "mail", "u%d" % n))
        run(["chown", "-R", "%d:%d" % (self.vmail.pw_uid, self.vmail.pw_gid), os.path.join(self.folder, "mail")])
        self.configure("smtpd_recipient_restrictions = check_client_access static:HOLD\n" if hold else "")

    def start(self, hold=False):
        self.prepare(hold)
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
                         "relay unix - - y - - smtp\nvirtual unix - n n - - virtual\nlocal unix - n n - - local\n")


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
            master.write("127.0.0.1:%d inet n - y - 1100 smtpd\n" % self.port + "".join(lines))
        for name in ("postfix-files", "dynamicmaps.cf"):
            if os.path.exists("/etc/postfix/" + name):
                shutil.copy("/etc/postfix/" + name, etc)
        run(["chown", "postfix", os.path.join(self.folder, "data")])
        run(["/usr/sbin/postmap", "-c", etc, "hash:" + os.path.join(self.folder, "boxes")])


class Sink:
    def __init__(self, program):
        self.program, self.port, self.process = program, free_port(), None

    def __enter__(self):
        self.process = subprocess.Popen([self.program, "sink", str(self.port)], stdin=subprocess.PIPE,
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


class Bench:
    def __init__(self, program, sink, scale):
        self.program, self.sink, self.scale = program, sink, scale

    def load(self, server, messages, sessions=20, size=4096, keep=1, recipients=1, template="user%m@example.net"):
        _, text = run([self.program, "load", str(server.port), str(messages), str(sessions), str(size), str(keep),
                       str(recipients), template])
        return json.loads(text.strip().splitlines()[-1])

    def warm(self, server, template="user%m@example.net"):
        before = self.sink.counts()["messages"]
        sent = self.load(server, 200, template=template)["accepted"]
        if "example.net" in template:
            self.sink.wait("messages", before + sent, 20)
        else:
            end = time.monotonic() + 20
            while server.delivered() < sent and time.monotonic() < end:
                time.sleep(0.02)
        server.settled_cpu()

    def relay(self, server, messages, sessions, size, keep):
        server.start()
        self.warm(server)
        cpu, before = server.cpu(), self.sink.counts()["messages"]
        sent = self.load(server, messages, sessions, size, keep)
        counts = self.sink.wait("messages", before + sent["accepted"])
        done = counts["messages"] - before
        wall = (counts["last_ns"] - sent["first_ns"]) / 1e9
        return {"rate": done / wall, "cpu_ms": (server.settled_cpu() - cpu) / done * 1000,
                "mb": done * size / 1e6 / wall, "lost": sent["accepted"] - done}

    def w_relay(self, server):
        return self.relay(server, int(4000 * self.scale), 20, 4096, 1)

    def w_relay200(self, server):
        return self.relay(server, int(4000 * self.scale), 200, 4096, 1)

    def w_big(self, server):
        result = self.relay(server, max(4, int(20 * self.scale)), 4, 10000000, 1)
        return {"rate": result["mb"], "cpu_ms": result["cpu_ms"]}

    def w_accept(self, server):
        server.start(hold=True)
        self.load(server, 200)
        server.settled_cpu()
        cpu = server.cpu()
        sent = self.load(server, int(4000 * self.scale))
        return {"rate": sent["accepted"] / sent["wall"],
                "cpu_ms": (server.settled_cpu() - cpu) / sent["accepted"] * 1000}

    def w_maildir(self, server):
        server.start()
        self.warm(server, "u%u@example.com")
        cpu, before = server.cpu(), server.delivered()
        sent = self.load(server, int(3000 * self.scale), template="u%u@example.com")
        end = time.monotonic() + 60
        while server.delivered() < before + sent["accepted"] and time.monotonic() < end:
            time.sleep(0.01)
        wall, done = time.monotonic() - sent["first_ns"] / 1e9, server.delivered() - before
        return {"rate": done / wall, "cpu_ms": (server.settled_cpu() - cpu) / done * 1000,
                "lost": sent["accepted"] - done}

    def w_recipients(self, server):
        server.start()
        self.warm(server)
        walls, cpu = [], server.cpu()
        for _ in range(5):
            before = self.sink.counts()["recipients"]
            sent = self.load(server, 1, 1, 4096, 1, 1000, "user%r@d%d.example.net")
            counts = self.sink.wait("recipients", before + 1000)
            walls.append((counts["last_ns"] - sent["first_ns"]) / 1e9)
        return {"rate": statistics.median(walls), "cpu_ms": (server.settled_cpu() - cpu) / 5 * 1000}

    def w_idle(self, server):
        server.start()
        self.warm(server)
        holder = subprocess.Popen([self.program, "idle", str(server.port), "1000"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        opened = json.loads(holder.stdout.readline())
        server.settled_cpu()
        result = {"rate": server.memory_mb(), "cpu_ms": 0, "sessions": opened["sessions"]}
        holder.stdin.close()
        holder.wait()
        return result


WORKLOADS = {  # name: (what the figure is, more is better)
    "relay": ("4 KB relayed, 20 clients, messages/s", True),
    "relay200": ("4 KB relayed, 200 clients, messages/s", True),
    "accept": ("4 KB accepted and held, messages/s", True),
    "maildir": ("4 KB into Maildirs, messages/s", True),
    "big": ("10 MB relayed, MB/s", True),
    "recipients": ("one message to 1,000 recipients, s", False),
    "idle": ("1,000 idle sessions, MB in all", False),
}


def bar(value, most, width=30):
    return "█" * max(1, round(width * value / most)) if most else ""


def report(name, rows):
    title, more_is_better = WORKLOADS[name]
    print("\n%s" % title)
    most = max(row["rate"] for row in rows.values())
    for server, row in rows.items():
        cpu = "  %8.3f ms CPU each" % row["cpu_ms"] if row["cpu_ms"] else ""
        note = "  LOST %d" % row["lost"] if row.get("lost") else ""
        print("  %-10s %10.2f%s  %s%s" % (server, row["rate"], cpu, bar(row["rate"], most), note))
    if len(rows) == 2:
        ours, theirs = rows["posthouse"], rows["postfix"]
        ratio = ours["rate"] / theirs["rate"] if more_is_better else theirs["rate"] / ours["rate"]
        cpu = "; %.2f of its CPU" % (ours["cpu_ms"] / theirs["cpu_ms"]) if theirs["cpu_ms"] else ""
        print("  posthouse is %.1f times as good%s" % (ratio, cpu))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", default=",".join(WORKLOADS))
    parser.add_argument("--json")
    parser.add_argument("--alone", action="store_true", help="Posthouse alone")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench.py: needs root: both servers are started with their own users")
    build = os.path.abspath(args.build)
    program = os.path.join(build, "t/bench/mailbench")
    top = tempfile.mkdtemp(prefix="posthouse-bench-")
    os.chmod(top, 0o755)
    results = {}
    try:
        with Sink(program) as sink:
            servers = [Posthouse(build, os.path.join(top, "posthouse"), sink.port, 10)]
            if not args.alone and os.path.exists(POSTFIX_DAEMONS + "/master"):
                servers.append(Postfix(os.path.join(top, "postfix"), sink.port, 10))
            bench = Bench(program, sink, args.scale)
            for name in args.only.split(","):
                rounds = {server.name: [] for server in servers}
                for turn in range(args.rounds):
                    for server in servers:
                        print("\r%-60s" % ("%s: round %d, %s" % (name, turn + 1, server.name)), end="", flush=True)
                        try:
                            rounds[server.name].append(getattr(bench, "w_" + name)(server))
                        finally:
                            server.stop()
                print("\r%-60s\r" % "", end="")
                rows = {server: {key: statistics.median(row.get(key, 0) for row in rows) for key in rows[0]}
                        for server, rows in rounds.items()}
                results[name] = rows
                report(name, rows)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    if args.json:
        with open(args.json, "w") as out:
            json.dump(results, out, indent=1)


if __name__ == "__main__":
    main()
