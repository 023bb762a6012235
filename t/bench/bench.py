#!/usr/bin/env python3
"""make bench: the same work through Posthouse and an installed Postfix, on this machine, over loopback.

The two take turns (A, B, A, B, ...), each freshly started with an empty queue and warmed up; what is
printed is the median of the rounds, wall and CPU time, and the ratio. Needs root, like the two servers
in real life, and Debian's postfix package; without Postfix it measures Posthouse alone.

  bench.py --build BUILD [--rounds 3] [--only relay,accept,...] [--scale 1.0] [--json FILE]
"""
import argparse
import base64
import contextlib
import json
import os
import pwd
import resource
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

from servers import POSTFIX_DAEMONS, Peer, Postfix, Posthouse, free_port, run

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
import certificates
import dovecot

USER, PASSWORD = "bob", "secret"

class Bench:
    def __init__(self, program, sink, scale, folder):
        self.program, self.sink, self.scale, self.folder = program, sink, scale, folder
        self.stack = contextlib.ExitStack() # of what was started on the way
        self.auth_port = None

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

    # ---- the front door

    def addCleanup(self, function): # for Dovecot, which knows tests alone
        self.stack.callback(function)

    def with_submission(self, server):
        if self.auth_port is None:
            self.auth_port = free_port()
            with open(os.path.join(self.folder, "chain.pem"), "w") as chain:
                chain.write(certificates.self_signed("bench.example.org"))
            dovecot.Dovecot(self, os.path.join(self.folder, "auth"), pwd.getpwnam("postfix"), {USER: PASSWORD},
                            inet_port=self.auth_port).start()
        server.submission_service(self.folder, self.auth_port)
        server.start()
        self.warm(server)

    def handshakes(self, server, resume):
        """Handshakes, each up to the greeting."""
        self.with_submission(server)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        session, count = None, int(400 * self.scale)

        def once():
            with socket.create_connection(("127.0.0.1", server.submission_port)) as plain:
                with context.wrap_socket(plain, session=session) as secured:
                    secured.recv(200)
                    secured.sendall(b"QUIT\r\n")
                    return secured.session_reused, secured.session
        for _ in range(20):
            fresh = once()[1]
        session = fresh if resume else None
        cpu, begin, resumed = server.settled_cpu(), time.monotonic(), 0
        for _ in range(count):
            resumed += once()[0]
        wall = time.monotonic() - begin
        if resumed != (count if resume else 0):
            raise RuntimeError("%s: %d of %d sessions were resumed" % (server.name, resumed, count))
        return {"rate": count / wall, "cpu_ms": (server.settled_cpu() - cpu) / count * 1000}

    def w_handshake(self, server):
        return self.handshakes(server, False)

    def w_resume(self, server):
        return self.handshakes(server, True)

    def submit(self, server, messages, keep):
        self.with_submission(server)
        login = base64.b64encode(("\0%s\0%s" % (USER, PASSWORD)).encode()).decode()

        def send(count):
            return json.loads(run([self.program, "submit", str(server.submission_port), login, str(count), "20", "4096",
                                   str(keep)])[1].strip().splitlines()[-1])
        before = self.sink.counts()["messages"]
        self.sink.wait("messages", before + send(100)["accepted"], 20)
        cpu, before = server.settled_cpu(), self.sink.counts()["messages"]
        sent = send(messages)
        done = self.sink.wait("messages", before + sent["accepted"])["messages"] - before
        return {"rate": sent["accepted"] / sent["wall"], "cpu_ms": (server.settled_cpu() - cpu) / done * 1000,
                "lost": sent["accepted"] - done}

    def w_submit(self, server):
        return self.submit(server, int(1000 * self.scale), 1)

    def w_submit_kept(self, server):
        return self.submit(server, int(2000 * self.scale), 0)

    def w_waiting(self, server):
        """Mail through the service that lets 5,000 others wait."""
        server.start(extra=server.screened_service())
        usual, server.port = server.port, server.screened_port
        try:
            self.warm(server)
            before, count, clients = server.memory_mb(), int(5000 * self.scale), []
            with contextlib.ExitStack() as held:
                for n in range(count):
                    clients.append(held.enter_context(socket.socket()))
                    clients[-1].bind(("127.1.%d.%d" % (n // 250, n % 250 + 1), 0))
                    clients[-1].connect(("127.0.0.1", server.port))
                server.settled_cpu()
                each = (server.memory_mb() - before) / count * 1024
                cpu, done = server.cpu(), self.sink.counts()["messages"]
                sent = self.load(server, int(2000 * self.scale))
                counts = self.sink.wait("messages", done + sent["accepted"])
                done = counts["messages"] - done
                return {"rate": done / ((counts["last_ns"] - sent["first_ns"]) / 1e9), "kb": each,
                        "cpu_ms": (server.settled_cpu() - cpu) / done * 1000, "lost": sent["accepted"] - done}
        finally:
            server.port, server.submission = usual, None

    def w_milter(self, server):
        with Peer(self.program, "milter") as milter:
            server.start(extra="smtpd_milters = inet:127.0.0.1:%d\n" % milter.port)
            self.warm(server)
            cpu, before, seen = server.cpu(), self.sink.counts()["messages"], milter.counts()["messages"]
            sent = self.load(server, int(2000 * self.scale))
            counts = self.sink.wait("messages", before + sent["accepted"])
            done = counts["messages"] - before
            if milter.counts()["messages"] - seen != sent["accepted"]:
                raise RuntimeError("%s: its milter has not seen every message" % server.name)
            return {"rate": done / ((counts["last_ns"] - sent["first_ns"]) / 1e9),
                    "cpu_ms": (server.settled_cpu() - cpu) / done * 1000, "lost": sent["accepted"] - done}


WORKLOADS = {  # name: (what the figure is, more is better)
    "relay": ("4 KB relayed, 20 clients, messages/s", True),
    "relay200": ("4 KB relayed, 200 clients, messages/s", True),
    "accept": ("4 KB accepted and held, messages/s", True),
    "maildir": ("4 KB into Maildirs, messages/s", True),
    "big": ("10 MB relayed, MB/s", True),
    "recipients": ("one message to 1,000 recipients, s", False),
    "idle": ("1,000 idle sessions, MB in all", False),
    "handshake": ("full TLS handshakes up to the greeting, one after the other, a second", True),
    "resume": ("resumed TLS handshakes, the same", True),
    "submit": ("4 KB with TLS and AUTH, a connection each, messages/s", True),
    "submit_kept": ("4 KB with TLS and AUTH, connections kept, messages/s", True),
    "waiting": ("4 KB relayed while 5,000 clients wait for the greeting, messages/s", True),
    "milter": ("4 KB through one milter and relayed, messages/s", True),
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
        note += "  %.1f KB for each that waits" % row["kb"] if "kb" in row else ""
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
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files)) # for the servers too
    build = os.path.abspath(args.build)
    program = os.path.join(build, "t/bench/mailbench")
    top = tempfile.mkdtemp(prefix="posthouse-bench-")
    os.chmod(top, 0o755)
    results = {}
    try:
        with contextlib.ExitStack() as cleanup, Peer(program, "sink") as sink:
            servers = [Posthouse(build, os.path.join(top, "posthouse"), sink.port, 10)]
            if not args.alone and os.path.exists(POSTFIX_DAEMONS + "/master"):
                servers.append(Postfix(os.path.join(top, "postfix"), sink.port, 10))
            bench = Bench(program, sink, args.scale, top)
            cleanup.push(bench.stack)
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
