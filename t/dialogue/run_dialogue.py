#!/usr/bin/env python3
"""Replays the transcripts in t/dialogue/smtpd/*.txt against the real daemon of a private instance.

    # What it shows (the title).
    CONFIG: smtpd_helo_required = yes
    C: EHLO client.example
    S: 250-*
    S: 250 CHUNKING
    C| raw bytes \\x00\\r\\n without a line end of their own; {3000*x} repeats
    S: END                       (the server closes)
    L: *: reject: RCPT from *    (a log line of this session)

`*` in S: and L: stands for any text; "S: 250-*" stands for one or more lines. Every transcript is replayed
  whole      each run of C lines in one piece, then the S lines
  bytewise   the same, each byte in a segment of its own
  pipelined  MAIL, RCPT, RSET and BDAT sent on without waiting (RFC 2920), unless it has NO-PIPELINING
The client is a stranger: mynetworks is 192.0.2.0/24. friend@example.com and postmaster@example.com exist.
"""
import fnmatch
import glob
import os
import re
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
import harness  # noqa: E402

BASE = ["mynetworks = 192.0.2.0/24", "smtpd_error_sleep_time = 0s", "compatibility_level = 3.9",
        "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
        "smtpd_client_connection_count_limit = 0",
        "virtual_mailbox_maps = inline:{ friend@example.com=friend, postmaster@example.com=postmaster }"]
GROUPABLE = ("MAIL", "RCPT", "RSET", "BDAT")
ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}


def unescape(text):
    text = re.sub(r"\{(\d+)\*((?:\\x..|\\.|[^}])+)\}", lambda m: m[2] * int(m[1]), text)
    out, at = b"", 0
    for match in re.finditer(r"\\(x[0-9a-fA-F]{2}|[rnt0\\])", text):
        out += text[at:match.start()].encode()
        out += bytes([int(match[1][1:], 16)]) if match[1][0] == "x" else ESCAPES[match[1]]
        at = match.end()
    return out + text[at:].encode()


class Transcript:
    def __init__(self, path):
        self.name, self.title = os.path.relpath(path, HERE), ""
        self.config, self.log, self.steps, self.pipelining = [], [], [], True
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                self.take(line.rstrip("\n"), number)

    def take(self, line, number):
        key, text = line[:3], line[3:]
        if line.startswith("CONFIG: "):
            self.config.append(line[8:])
        elif line == "NO-PIPELINING":
            self.pipelining = False
        elif line.startswith("# "):
            self.title = self.title or line[2:]
        elif key == "C: ":
            self.steps.append(("C", unescape(text) + b"\r\n", number))
        elif key == "C| ":
            self.steps.append(("C", unescape(text), number))
        elif key == "S: ":
            self.steps.append(("S", text, number))
        elif key == "L: ":
            self.log.append(text)
        elif line.strip():
            raise ValueError("%s:%d: what is this? %s" % (self.name, number, line))

    def rounds(self, pipelined):
        """[(bytes, [(pattern, line number)])]: what is sent, and what is expected before anything else is."""
        rounds = [[b"", []]]
        for kind, value, number in self.steps:
            if kind == "S":
                rounds[-1][1].append((value, number))
                continue
            may_join = not rounds[-1][1] or (pipelined and self.groupable(value) and self.groupable(rounds[-1][0]))
            if not may_join:
                rounds.append([b"", []])
            rounds[-1][0] += value
        return rounds

    @staticmethod
    def groupable(data):
        return data[:4].decode("latin-1").upper() in GROUPABLE


class Mismatch(Exception):
    pass


class Player:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.ahead = None

    def line(self):
        if self.ahead is not None:
            line, self.ahead = self.ahead, None
            return line
        try:
            line = self.file.readline()
        except ConnectionResetError:
            line = b""
        if line and not line.endswith(b"\r\n"):
            raise Mismatch("a line without CRLF: %r" % line)
        return line.decode("latin-1").rstrip("\r\n") if line else None

    def expect(self, pattern, number):
        line = self.line()
        if pattern == "END":
            if line is not None:
                raise Mismatch("line %d: expected the end, got %s" % (number, line))
            return
        if line is None or not matches(line, pattern):
            raise Mismatch("line %d: expected %s, got %s" % (number, pattern, line))
        while pattern == "250-*":
            line = self.line()
            if line is None or not line.startswith("250-"):
                self.ahead = line
                return

    def send(self, data, bytewise):
        try:
            for piece in ([data[i:i + 1] for i in range(len(data))] if bytewise else [data]):
                self.socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has had enough: the S lines say whether it may

    def close(self):
        self.file.close()
        self.socket.close()


def matches(line, pattern):
    return fnmatch.fnmatchcase(line, pattern.replace("[", "[[]"))


def replay(transcript, port, mode):
    player = Player(port)
    try:
        for data, expected in transcript.rounds(mode == "pipelined"):
            if data:
                player.send(data, mode == "bytewise")
            for pattern, number in expected:
                player.expect(pattern, number)
    finally:
        player.close()


def check_log(instance, transcript, offset):
    for pattern in transcript.log:
        def found():
            return any(matches(line, "*" + pattern) for line in instance.log()[offset:].splitlines())
        harness.wait_until(found, "in the log: " + pattern, 5)


def main():
    chosen = sys.argv[1:] or sorted(glob.glob(os.path.join(HERE, "smtpd", "*.txt")))
    transcripts = [Transcript(path) for path in chosen]
    ports, lines = {}, []
    for transcript in transcripts:
        key = tuple(transcript.config)
        if key not in ports:
            ports[key] = harness.free_port()
            options = " ".join("-o { %s }" % option for option in BASE + list(key))
            lines.append("127.0.0.1:%d inet n - n - 1 smtpd %s" % (ports[key], options))
    failures, count = [], 0
    with harness.Instance(None, master_cf="\n".join(lines)) as instance:
        for transcript in transcripts:
            port = ports[tuple(transcript.config)]
            for mode in ("whole", "bytewise", "pipelined"):
                if mode == "pipelined" and not transcript.pipelining:
                    continue
                offset, started = len(instance.log()), time.monotonic()
                count += 1
                name = "%s, %s: %s" % (transcript.name, mode, transcript.title)
                try:
                    replay(transcript, port, mode)
                    check_log(instance, transcript, offset)
                    print("ok %d - %s (%.2f s)" % (count, name, time.monotonic() - started), flush=True)
                except (Mismatch, AssertionError, OSError) as error:
                    failures.append(name)
                    print("not ok %d - %s\n  %s" % (count, name, error), flush=True)
                    print("\n".join("  | " + line for line in instance.log()[offset:].splitlines()[-20:]))
    harness.Programs.remove()
    print("%d replays, %d failed" % (count, len(failures)))
    sys.exit(1 if failures or not count else 0)


if __name__ == "__main__":
    main()
