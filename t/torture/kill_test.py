#!/usr/bin/env python3
"""Programs are killed at random while several clients send; afterwards every message that was acknowledged is
in its mailbox, whole. One instance relays to another and delivers some itself; both are tortured.

TORTURE_SECONDS: how long (default 6, for make check); TORTURE_SEED: which random numbers."""
import collections
import os
import random
import re
import signal
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"),
                os.path.dirname(os.path.abspath(__file__))]
import harness
import ledger

SECONDS = float(os.environ.get("TORTURE_SECONDS", "6"))
SEED = int(os.environ.get("TORTURE_SEED", "0")) or random.randrange(1, 1 << 30)
CLIENTS = 6
USERS = 4
VICTIMS = ["smtpd", "smtpd", "qmgr", "qmgr", "smtp", "smtp", "virtual", "virtual", "pickup", "master"]
FAST = "queue_run_delay = 1s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nsmtpd_client_connection_count_limit = 0\n"


def choose_recipients(rng):
    users = rng.sample(range(USERS), rng.choice([1, 1, 1, 2, 3]))
    return ["user%d@%s" % (user, rng.choice(["example.com", "far.example"])) for user in users]


class Kills(harness.TestCase):
    def kill_something(self, rng, posts, counts):
        post = rng.choice(posts)
        victim = rng.choice(VICTIMS)
        try:
            counts["%s of %s" % (victim, post.name)] += post.kill(victim)
        except (OSError, ValueError):
            return  # no master.pid at this moment
        if victim == "master":
            self.start_again(post)

    def start_again(self, post):
        def try_it():
            return post.tool("posthouse", "-c", post.etc, "start", check=False).returncode == 0 or \
                post.tool("posthouse", "-c", post.etc, "status", check=False).returncode == 0
        self.wait_until(try_it, "%s starts again" % post.name, 30)

    def settle(self, posts):
        for post in posts:
            self.wait_until(lambda: post.answers(post.port), "port of %s answers" % post.name, 60)
        end = time.monotonic() + 120
        while time.monotonic() < end:
            waiting = 0
            for post in posts:
                post.tool("postqueue", "-c", post.etc, "-f", check=False)
                listing = post.tool("postqueue", "-c", post.etc, "-j", check=False)
                waiting += 1 if listing.returncode else len(listing.stdout.splitlines())
            if waiting == 0:
                return
            time.sleep(0.5)
        self.fail("the queues do not become empty: %d" % waiting)

    def test_every_acknowledged_message_arrives_whole_though_programs_are_killed(self):
        rng = random.Random(SEED)
        print("seed %d" % SEED, file=sys.stderr)
        book, kills = ledger.Ledger(), collections.Counter()
        with harness.Instance(self, "far", main_cf=FAST + "virtual_mailbox_domains = far.example\n"
                              "virtual_mailbox_maps = regexp:{{{{/^([a-z0-9]+)@far\\.example$$/ $$1/}}}}\n") as far, \
             harness.Instance(self, "near", main_cf=FAST + "relayhost = [127.0.0.1]:%d\n" % far.port) as near:
            posts = [near, far]
            clients = [ledger.Client(book, near.port, choose_recipients, SEED + i) for i in range(CLIENTS)]
            for client in clients:
                client.start()
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                time.sleep(rng.uniform(0.1, 0.6))
                self.kill_something(rng, posts, kills)
            for client in clients:
                client.ending.set()
            for client in clients:
                client.join(30)
            self.settle(posts)
            self.compare(book, kills, near, far)

    def compare(self, book, kills, near, far):
        counts, broken = collections.Counter(), []
        for post, domain in ((near, "example.com"), (far, "far.example")):
            its_counts, its_broken = ledger.delivered([os.path.join(post.folder, "mail")])
            broken += its_broken
            for (number, user), count in its_counts.items():
                counts[(number, "%s@%s" % (user, domain))] += count
        promised = book.promised()
        lost = sorted(promised - set(counts))
        unasked = [key for key in counts if key[0] not in book.sent or key[1] not in book.sent[key[0]]]
        duplicates = {key: count for key, count in counts.items() if count > 1}
        print("sent %d, acknowledged %d, recipients promised %d, deliveries %d, duplicates %d, killed %s, errors %s" % (
            len(book.sent), len(book.acknowledged), len(promised), sum(counts.values()),
            sum(count - 1 for count in duplicates.values()), dict(kills), dict(book.errors)), file=sys.stderr)
        self.explain(duplicates, book, near, far)
        self.assertEqual(broken, [], "messages that are not whole")
        self.assertEqual([(one, book.acknowledged[one[0]]) for one in lost], [], "acknowledged messages that are lost")
        self.assertEqual(unasked, [], "messages that nobody sent there")
        self.assertGreater(len(promised), 20, "too little happened")
        # A kill leaves those in doubt that were between delivery and its record: no more than were under way.
        self.assertLessEqual(len(duplicates), 60 * max(1, sum(kills.values())))
        for post in (near, far):
            panics = re.findall(r".*panic: .*", post.log())
            self.assertEqual(panics, [], "bugs that the log tells")
            self.assertEqual(os.listdir(os.path.join(post.spool, "corrupt")), [], "files taken for damaged")

    def explain(self, duplicates, book, near, far):
        """For each recipient that got a message more than once: how often an agent said so."""
        log = near.log() + far.log()
        for number, recipient in list(duplicates)[:10]:
            queue_id = book.acknowledged.get(number)
            said = len(re.findall(r"%s: to=<%s>.*status=sent" % (queue_id, re.escape(recipient)), log)) if queue_id else 0
            print("twice: number %d to %s, %s: logged as sent %d times" % (number, recipient, queue_id or
                  "never acknowledged", said), file=sys.stderr)


if __name__ == "__main__":
    harness.main()
