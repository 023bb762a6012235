"""What was sent, what the server promised, and what arrived: numbered messages with a checksum, clients that
send them, and the comparison. Used by the tests beside it."""
import collections
import glob
import hashlib
import os
import random
import re
import socket
import subprocess
import threading
import time

MARK = re.compile(rb"^Torture-Number: (\d+)\r?$", re.M)
DIGEST = re.compile(rb"^Torture-Digest: ([0-9a-f]+)\r?$", re.M)


def make_message(number, size, rng):
    """Content with CRLF, of about `size` bytes; its body can be verified wherever it is found."""
    lines = []
    while size > 0:
        length = rng.randint(0, 76)
        line = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz .") for _ in range(length)).rstrip()
        lines.append("." + line if rng.random() < 0.05 else line)
        size -= length + 2
    body = "".join(line + "\r\n" for line in lines + ["end of %d" % number]).encode()
    digest = hashlib.sha256(body).hexdigest()
    head = "From: <sender@example.com>\r\nSubject: number %d\r\nTorture-Number: %d\r\nTorture-Digest: %s\r\n\r\n" % (
        number, number, digest)
    return head.encode() + body


def read_message(data):
    """(number, whole): the number of a stored message, and whether its body is what was sent."""
    data = data.replace(b"\r\n", b"\n")
    head, _, body = data.partition(b"\n\n")
    number, digest = MARK.search(head), DIGEST.search(head)
    if not number or not digest:
        return None, False
    whole = hashlib.sha256(body.replace(b"\n", b"\r\n")).hexdigest().encode() == digest[1]
    return int(number[1]), whole


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.next = 0
        self.sent = {}            # number -> recipients
        self.acknowledged = {}    # number -> queue id
        self.errors = collections.Counter()

    def begin(self, recipients):
        with self.lock:
            self.next += 1
            self.sent[self.next] = recipients
            return self.next

    def acknowledge(self, number, reply):
        found = re.search(rb"queued as (\w+)", reply)
        with self.lock:
            self.acknowledged[number] = found[1].decode() if found else "?"

    def promised(self):
        with self.lock:
            return {(number, recipient) for number in self.acknowledged for recipient in self.sent[number]}


class Client(threading.Thread):
    """Sends one message after another, several on a connection; never gives up."""

    def __init__(self, ledger, port, choose_recipients, seed, largest=30000):
        super().__init__(daemon=True)
        self.ledger, self.port, self.choose, self.largest = ledger, port, choose_recipients, largest
        self.rng = random.Random(seed)
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            try:
                self.session()
            except (OSError, ValueError, IndexError) as error:
                with self.ledger.lock:
                    self.ledger.errors[type(error).__name__] += 1
                time.sleep(0.02)

    def session(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            file = connection.makefile("rb")

            def reply():
                while True:
                    line = file.readline()
                    if not line:
                        raise ConnectionResetError
                    if line[3:4] != b"-":
                        return line

            def command(text):
                connection.sendall(text)
                return reply()

            if reply()[:3] != b"220" or command(b"EHLO client.test.example\r\n")[:3] != b"250":
                raise ValueError
            for _ in range(self.rng.randint(1, 20)):
                if self.ending.is_set():
                    break
                self.transaction(command)
            command(b"QUIT\r\n")

    def transaction(self, command):
        recipients = self.choose(self.rng)
        number = self.ledger.begin(recipients)
        size = int(self.largest ** self.rng.random()) + 100
        content = make_message(number, size, self.rng)
        if command(b"MAIL FROM:<sender@example.com>\r\n")[:3] != b"250":
            raise ValueError
        for recipient in recipients:
            if command(b"RCPT TO:<%s>\r\n" % recipient.encode())[:3] != b"250":
                command(b"RSET\r\n")
                raise ValueError
        if command(b"DATA\r\n")[:3] != b"354":
            raise ValueError
        stuffed = re.sub(rb"^\.", b"..", content, flags=re.M)
        answer = command(stuffed + b".\r\n")
        if answer[:3] == b"250":
            self.ledger.acknowledge(number, answer)
        else:
            with self.ledger.lock:
                self.ledger.errors[answer[:9].decode("latin-1")] += 1


class Dropper(threading.Thread):
    """Submits with the sendmail command; what it says about itself is the promise (0: accepted)."""

    def __init__(self, ledger, post, choose_recipients, seed):
        super().__init__(daemon=True)
        self.ledger, self.post, self.choose, self.rng = ledger, post, choose_recipients, random.Random(seed)
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            recipients = self.choose(self.rng)
            number = self.ledger.begin(recipients)
            content = make_message(number, self.rng.randint(100, 5000), self.rng).replace(b"\r\n", b"\n")
            try:
                done = self.post.tool("sendmail", "-i", "-f", "sender@example.com", *recipients, input=content, check=False)
            except subprocess.TimeoutExpired:
                done = None
            if done and done.returncode == 0:
                self.ledger.acknowledge(number, b"dropped")
            else:
                with self.ledger.lock:
                    self.ledger.errors["sendmail %s" % (done.returncode if done else "too slow")] += 1
            time.sleep(0.1)


class Copy:
    """A message in a Maildir: when it was written, the ids that it had on its way (the first server's first), and whether
    it began with the sendmail command."""

    def __init__(self, path, when, data):
        head = data.partition(b"\n\n")[0].decode("latin-1")
        self.path, self.when, self.dropped = path, when, "from userid" in head
        self.ids = re.findall(r"\bid (\w+)", head)[::-1]


def time_of(queue_id):
    """When the message was taken that has this id."""
    def value(text):
        number = 0
        for digit in text:
            number = 52 * number + "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz".index(digit)
        return number
    digits = queue_id[:queue_id.rindex("z")]
    return value(digits[:-4]) + value(digits[-4:]) / 1e6


def deliveries(folders):
    """What is in these Maildirs: {(number, user): [Copy, ...]}, and the paths of files that are not whole."""
    found, broken = collections.defaultdict(list), []
    for folder in folders:
        for path in glob.glob(os.path.join(folder, "*", "new", "*")) + glob.glob(os.path.join(folder, "*", "cur", "*")):
            with open(path, "rb") as message:
                data = message.read()
                when = os.fstat(message.fileno()).st_mtime
            number, whole = read_message(data)
            if number is None and b"Torture" not in data:
                continue  # a notice
            if not whole:
                broken.append(path)
            found[(number, path.split(os.sep)[-3])].append(Copy(path, when, data))
    return found, broken


def delivered(folders):
    """The same, counted: a Counter of (number, user)."""
    found, broken = deliveries(folders)
    return collections.Counter({key: len(copies) for key, copies in found.items()}), broken
