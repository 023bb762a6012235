#!/usr/bin/env python3
"""Power cuts: the queue's file system is an image on a loop device. At arbitrary moments, under load, the
programs are stopped for as long as it takes to copy the image: the copy is the disk as a power cut would leave
it, without anything that was only in memory. The copy is mounted, a new instance starts on it, and every message
that was acknowledged before has to be delivered, or has to have been delivered already.

Needs root and loop devices; skipped otherwise. TORTURE_CUTS: how many (default 3)."""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"),
                os.path.dirname(os.path.abspath(__file__))]
import harness
import ledger

CUTS = int(os.environ.get("TORTURE_CUTS", "3"))
SEED = int(os.environ.get("TORTURE_SEED", "0")) or random.randrange(1, 1 << 30)
MEGABYTES = 96
FAST = "minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n"


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def can_mount():
    if os.geteuid() != 0:
        return "needs root"
    with tempfile.TemporaryDirectory() as folder:
        image, place = os.path.join(folder, "image"), os.path.join(folder, "mnt")
        os.mkdir(place)
        with open(image, "wb") as file:
            file.truncate(8 << 20)
        if run("mkfs.ext4", "-q", image).returncode:
            return "no mkfs.ext4"
        mounted = run("mount", "-o", "loop", image, place)
        if mounted.returncode:
            return "cannot mount: " + mounted.stdout.strip()
        run("umount", place)
    return None


WHY_NOT = can_mount()


class Image:
    """A file system in a file, mounted on the instance's spool folder."""

    def __init__(self, path, place):
        self.path, self.place = path, place

    def make(self):
        with open(self.path, "wb") as file:
            file.truncate(MEGABYTES << 20)
        done = run("mkfs.ext4", "-q", self.path)
        assert done.returncode == 0, done.stdout

    def mount(self):
        done = run("mount", "-o", "loop", self.path, self.place)
        assert done.returncode == 0, done.stdout

    def unmount(self):
        for _ in range(50):
            if run("umount", self.place).returncode == 0:
                return
            time.sleep(0.1)


@unittest.skipIf(WHY_NOT, WHY_NOT)
class PowerCuts(harness.TestCase):
    def setUp(self):
        base = "/dev/shm" if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > MEGABYTES << 22 else None
        self.folder = tempfile.mkdtemp(prefix="posthouse-power-", dir=base)

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def on_image(self, name, image_path, new, main_cf=""):
        """An instance whose queue is on this image; mounted before it starts."""
        post = harness.Instance(self, name, main_cf=FAST + main_cf)
        image = Image(image_path, post.spool)
        if new:
            image.make()
        image.mount()
        os.chown(post.spool, post.user.pw_uid, post.user.pw_gid)
        return post, image

    def take_away(self, post, image):
        post.stop()
        image.unmount()
        shutil.rmtree(post.folder, ignore_errors=True)

    def cut(self, post, image, book, copy):
        """The disk at this moment; what had been promised and delivered then."""
        promised = None
        pids = [post.master_pid()] + post.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(0.05)  # replies that have left the server are read
            promised = book.promised()
            with open(image.path, "rb") as source, open(copy, "wb") as target:
                shutil.copyfileobj(source, target, 4 << 20)
            done, broken = ledger.delivered([os.path.join(post.folder, "mail")])
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        self.assertEqual(broken, [])
        return promised, done

    def check_copy(self, copy, promised, done):
        post, image = self.on_image("after", copy, new=False)
        try:
            with post:
                self.wait_until(lambda: post.answers(post.port), "the instance on the copy answers", 30)
                # An empty listing says nothing while qmgr still reads the queue.
                end = time.monotonic() + 60
                while True:
                    again, broken = ledger.delivered([os.path.join(post.folder, "mail")])
                    lost = [one for one in promised if (one[0], one[1].split("@")[0]) not in done + again]
                    if not lost or time.monotonic() > end:
                        break
                    time.sleep(0.1)
                post.wait_queue(0, 60)
                corrupt = os.listdir(os.path.join(post.spool, "corrupt"))
        finally:
            self.take_away(post, image)
        self.assertEqual(broken, [], "messages that are not whole")
        self.assertEqual(lost, [], "acknowledged messages that the cut has lost")
        self.assertEqual(corrupt, [], "files taken for damaged")
        return sum(again.values()), sum(1 for one in again if one in done)

    def test_every_acknowledged_message_survives_a_power_cut_under_load(self):
        rng = random.Random(SEED)
        book = ledger.Ledger()
        post, image = self.on_image("before", os.path.join(self.folder, "image"), new=True,
                                    main_cf="queue_minfree = 1\n")
        results = []
        try:
            with post:
                clients = [ledger.Client(book, post.port, lambda r: ["user%d@example.com" % r.randrange(4)], SEED + i,
                                         largest=20000) for i in range(4)]
                for client in clients:
                    client.start()
                self.wait_until(lambda: len(book.acknowledged) > 20, "messages are accepted", 60)
                for number in range(CUTS):
                    time.sleep(rng.uniform(0.1, 1.0))
                    copy = os.path.join(self.folder, "copy%d" % number)
                    results.append((copy,) + self.cut(post, image, book, copy))
                for client in clients:
                    client.ending.set()
                for client in clients:
                    client.join(30)
        finally:
            self.take_away(post, image)
        for copy, promised, done in results:
            found, twice = self.check_copy(copy, promised, done)
            print("cut: %d promised, %d delivered before, %d after, %d of them twice" % (
                len(promised), sum(done.values()), found, twice), file=sys.stderr)
            os.unlink(copy)


if __name__ == "__main__":
    harness.main()
