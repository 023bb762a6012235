"""A milter whose behaviour is a function of the test, down to the bytes: for what no real filter does on demand.

    def answer(peer, command, data):     # command: one letter, as on the wire
        if command == "E":
            return [add_header("X-Seen", "yes"), b"c"]

    with Milter(answer) as milter:
        ... smtpd_milters = milter.address
        milter.events                    # [("C", data), ("D", ...), ...] of all connections
"""
import socket
import struct
import threading

import harness

NO_BODY, NO_HEADERS, NO_END_OF_HEADER = 0x10, 0x20, 0x40
NO_REPLY_HEADER, MAY_SKIP, REFUSED_RECIPIENTS = 0x80, 0x400, 0x800
NO_REPLY_ALL = 0xff080  # header, connect, helo, mail, rcpt, data, unknown, end of header, body
LEADING_SPACE = 0x100000


def text(*parts):
    return b"".join(part.encode("latin-1") + b"\0" for part in parts)


def add_header(name, value):
    return b"h" + text(name, value)


def insert_header(index, name, value):
    return b"i" + struct.pack("!I", index) + text(name, value)


def change_header(index, name, value):
    return b"m" + struct.pack("!I", index) + text(name, value)


def reply_code(line):
    return b"y" + text(line)


def packet(data):
    return struct.pack("!I", len(data)) + data


class Peer:
    """One connection of a milter."""

    def __init__(self, connection):
        self.connection, self.file = connection, connection.makefile("rb")

    def send(self, *packets):
        self.connection.sendall(b"".join(packet(data) for data in packets))

    def send_raw(self, data):
        self.connection.sendall(data)

    def receive(self):
        length = self.file.read(4)
        if len(length) < 4:
            return None, b""
        data = self.file.read(struct.unpack("!I", length)[0])
        return data[:1].decode("latin-1"), data[1:]

    def hang_up(self):
        self.connection.shutdown(socket.SHUT_RDWR)


class Milter(harness.Listener):
    # Commands that have no reply.
    SILENT = "DAQK"

    def __init__(self, answer=None, version=6, actions=0x1ff, steps=0, symbols=b"", path=None):
        self.answer, self.version, self.actions, self.steps, self.symbols = answer, version, actions, steps, symbols
        self.events, self.offers, self.connections = [], [], 0
        super().__init__(harness.unix_listener(path) if path else None)
        self.address = "unix:" + path if path else "inet:127.0.0.1:%d" % self.port

    def connected(self, connection):
        self.connections += 1
        threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            connection.settimeout(60)
            peer = Peer(connection)
            try:
                self.converse(peer)
            except OSError:
                pass

    def converse(self, peer):
        macros = {}
        while True:
            command, data = peer.receive()
            if command is None:
                self.events.append(("end", b"", {}))
                return
            if command == "D":
                words = data[1:].split(b"\0")[:-1]
                macros = dict(zip((w.decode() for w in words[::2]), (w.decode("latin-1") for w in words[1::2])))
                continue
            if command == "O":
                self.offers.append(struct.unpack("!III", data[:12]))
            self.events.append((command, data, macros))
            macros = {}
            wish = self.answer(peer, command, data) if self.answer else None
            if wish is not None:
                peer.send(*wish)
            elif command == "O":
                peer.send(b"O" + struct.pack("!III", self.version, self.actions, self.steps) + self.symbols)
            elif command == "Q":
                return
            elif command not in self.SILENT:
                peer.send(b"c")

    # ---- what it has seen
    def commands(self):
        return "".join(event[0] for event in self.events if len(event[0]) == 1)

    def data(self, command):
        return [event[1] for event in self.events if event[0] == command]

    def macros(self, command):
        return next(event[2] for event in self.events if event[0] == command)

    def headers(self):
        return [tuple(part.decode("latin-1") for part in data.split(b"\0")[:2]) for data in self.data("L")]

    def body(self):
        return b"".join(self.data("B"))
