#!/usr/bin/env python3
"""Programs are killed at random while several clients send (by SMTP and by the sendmail command); afterwards every
message that was acknowledged is in its mailbox, whole. One instance relays to another and delivers some itself;
both are tortured. Each copy too many has to be explained by one kill that it lies around, and no kill may explain
more copies than were under way at that moment. marked_test.py kills at chosen points instead.

However slow the machine, it goes on until enough has happened, and waits as long as there is progress.
TORTURE_SECONDS: how long (default 6, for make check); TORTURE_SEED: which random numbers."""
import collections
import os
import random
import re
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
PROGRAMS = ["smtpd", "smtpd", "qmgr", "qmgr", "smtp", "smtp", "virtual", "virtual", "local-worker", "local-spawner",
            "pickup", "master"]
ANYTHING = [(post, program) for post in ("near", "far") for program in PROGRAMS]
HARMLESS = [("near", "smtpd"), ("near", "master"), ("far", "master")]
PICKED_UP = 20    # drops that pickup takes at a time
CONCURRENCY = 5   # deliveries at a time to one destination
MOST_TO = 3       # recipients of one message
SLACK = 10.0      # seconds between a delivery and the moment when a machine that keeps up has recorded it
ENOUGH = 20       # recipients promised
STANDSTILL = 6 * harness.PATIENCE  # seconds without any progress: it hangs
# An orphan has until stop_deadline for what it is delivering: no machine shall be so slow that it needs all of it.
FAST = ("minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nstop_deadline = 30s\n"
        "smtpd_client_connection_count_limit = 0\nservice_throttle_time = 1s\n"
        "default_destination_concurrency_limit = {0}\ninitial_destination_concurrency = {0}\n".format(CONCURRENCY))

# How many recipients one kill may leave with a second copy: what was between a peer's acceptance and our record
# of it: CONCURRENCY deliveries to the next host, and to each mailbox. While qmgr's record of those is on its way to
# the disk, the next ones come to their end. Who only takes mail in (its clients here never send twice) and who only
# supervises can duplicate nothing; an smtpd that dies does so to the next host before it.
RELAYED = CONCURRENCY * MOST_TO
STORED = CONCURRENCY * USERS
WINDOW = {"smtp": RELAYED, "virtual": STORED, "local-worker": STORED, "local-spawner": STORED,
          "qmgr": 2 * (RELAYED + STORED), "smtpd": RELAYED, "pickup": PICKED_UP * MOST_TO}
# Whose death can make a recipient of which instance see a message again.
SUSPECTS = {"example.com": {"near": ("qmgr", "virtual", "local-worker", "local-spawner", "pickup")},
            "far.example": {"near": ("qmgr", "smtp", "pickup"),
                            "far": ("smtpd", "qmgr", "virtual", "local-worker", "local-spawner")}}


def choose_recipients(rng):
    users = rng.sample(range(USERS), rng.choice([1, 1, 1, 2, 3]))
    return ["user%d@%s" % (user, rng.choice(["example.com", "far.example"])) for user in users]


class Kills(harness.TestCase):
    def kill_something(self, rng, posts, victims, kills):
        name, victim = rng.choice(victims)
        post, = [one for one in posts if one.name == name]
        master = post.master_pid()
        when = time.time()
        if post.kill(victim):
            kills.append((when, post.name, victim))
        if victim == "master":
            self.start_again(post, master)

    def start_again(self, post, killed):
        # The signal takes its time: the killed one may still run, and hold its lock, when the next is to start.
        def another_runs():
            try:
                return post.master_pid() != killed and harness.alive(post.master_pid())
            except (OSError, ValueError, IndexError):
                return False

        def try_it():
            return post.tool("posthouse", "-c", post.etc, "start", check=False).returncode == 0 or another_runs()
        self.wait_until(try_it, "%s starts again" % post.name, STANDSTILL)

    def settle(self, posts, book):
        """Waits until nothing is in a queue and what was promised is delivered, as long as that becomes less."""
        for post in posts:
            self.wait_until(lambda: post.answers(post.port), "port of %s answers" % post.name, STANDSTILL)
        least, end = float("inf"), time.monotonic() + STANDSTILL
        done = 0  # times in a row: a message on its way between two of them is in no list for a moment
        while time.monotonic() < end and done < 2:
            waiting = sum(self.waiting(post) for post in posts)
            left = waiting or len(book.promised() - set(self.deliveries(*posts)[0]))
            if left < least:
                least, end = left, time.monotonic() + STANDSTILL
            done = 0 if left else done + 1
            time.sleep(0.5)
        self.assertEqual(waiting, 0, "the queues do not become empty")  # what is lost compare() tells

    @staticmethod
    def waiting(post):
        drops = len(os.listdir(os.path.join(post.spool, "maildrop")))
        post.tool("postqueue", "-c", post.etc, "-f", check=False)
        listing = post.tool("postqueue", "-c", post.etc, "-j", check=False)
        return float("inf") if listing.returncode else drops + len(listing.stdout.splitlines())

    @staticmethod
    def deliveries(near, far):
        """{(number, recipient): [when, ...]} in the order of time, and the files that are not whole."""
        found, broken = {}, []
        for post, domain in ((near, "example.com"), (far, "far.example")):
            its_own, its_broken = ledger.deliveries([os.path.join(post.folder, "mail")])
            broken += its_broken
            for (number, user), times in its_own.items():
                found[number, "%s@%s" % (user, domain)] = sorted(times)
        return found, broken

    def test_every_acknowledged_message_arrives_whole_though_programs_are_killed(self):
        self.torture(ANYTHING, SECONDS)

    def test_the_death_of_an_smtpd_or_a_master_duplicates_nothing(self):
        self.torture(HARMLESS, SECONDS / 2)

    def torture(self, victims, seconds):
        rng = random.Random(SEED)
        print("seed %d" % SEED, file=sys.stderr)
        book, kills = ledger.Ledger(), []
        with harness.Instance(self, "far", main_cf=FAST + "virtual_mailbox_domains = far.example\n"
                              "virtual_mailbox_maps = regexp:{{{{/^([a-z0-9]+)@far\\.example$$/ $$1/}}}}\n") as far, \
             harness.Instance(self, "near", main_cf=FAST + "relayhost = [127.0.0.1]:%d\n" % far.port) as near:
            posts = [near, far]
            clients = [ledger.Client(book, near.port, choose_recipients, SEED + i) for i in range(CLIENTS)]
            clients.append(ledger.Dropper(book, near, choose_recipients, SEED + CLIENTS))
            for client in clients:
                client.start()
            end = time.monotonic() + seconds
            latest = end + STANDSTILL
            while time.monotonic() < end or (len(book.promised()) <= ENOUGH and time.monotonic() < latest):
                time.sleep(rng.uniform(0.1, 0.6))
                self.kill_something(rng, posts, victims, kills)
            ended = time.monotonic()
            for client in clients:
                client.ending.set()
            for client in clients:
                client.join(STANDSTILL)
            self.assertFalse(any(client.is_alive() for client in clients), "the clients come to their end")
            self.settle(posts, book)
            # As long as the machine is behind, so late may be the record of a delivery.
            self.compare(book, kills, near, far, SLACK + time.monotonic() - ended)

    def compare(self, book, kills, near, far, slack):
        found, broken = self.deliveries(near, far)
        promised = book.promised()
        lost = sorted(promised - set(found))
        unasked = [key for key in found if key[0] not in book.sent or key[1] not in book.sent[key[0]]]
        explained, unexplained = self.explain(found, kills, slack)
        extra = sum(len(times) - 1 for times in found.values())
        print("sent %d, acknowledged %d, recipients promised %d, delivered %d, of these %d though never acknowledged, "
              "duplicates %d" % (len(book.sent), len(book.acknowledged), len(promised), len(found),
                                 len(set(found) - promised), extra), file=sys.stderr)
        self.print_kills(kills, explained)
        print("not acknowledged because of %s" % dict(book.errors), file=sys.stderr)
        self.assertEqual(broken, [], "messages that are not whole")
        self.assertEqual([(one, book.acknowledged[one[0]]) for one in lost], [], "acknowledged messages that are lost")
        self.assertEqual(unasked, [], "messages that nobody sent there")
        self.assertGreater(len(promised), ENOUGH, "too little happened")
        for number, recipient, _ in unexplained:
            self.print_history(number, recipient, near, far)
        self.assertEqual(unexplained, [], "copies that no kill can have made, or more than were under way")
        for post in (near, far):
            panics = re.findall(r".*panic: .*", post.log())
            self.assertEqual(panics, [], "bugs that the log tells")
            self.assertEqual(os.listdir(os.path.join(post.spool, "corrupt")), [], "files taken for damaged")

    def explain(self, found, kills, slack):
        """A Counter of kills, each with the copies that it has made, never more than it can have; and the copies
        that are left over. Each takes the nearest kill; one that finds all its own taken makes others move."""
        made = collections.defaultdict(list)

        def place(copy, asked):
            for kill in copy[0]:
                if kill in asked:
                    continue
                asked.add(kill)
                if len(made[kill]) >= self.window(*kill[1:]):
                    moved = next((other for other in made[kill] if place(other, asked)), None)
                    if not moved:
                        continue
                    made[kill].remove(moved)
                made[kill].append(copy)
                return True
            return False

        unexplained = []
        for (number, recipient), times in found.items():
            suspects = SUSPECTS[recipient.split("@")[1]]
            for before, after in zip(times, times[1:]):
                causes = [kill for kill in kills if kill[2] in suspects.get(kill[1], ()) and
                          before - slack < kill[0] < min(after, before + slack)]
                copy = (sorted(causes, key=lambda kill: abs(kill[0] - before)), number, recipient)
                if not place(copy, set()):
                    unexplained.append((number, recipient, causes))
        return collections.Counter({kill: len(copies) for kill, copies in made.items()}), unexplained

    def print_history(self, number, recipient, near, far):
        """Each copy's way, from its Received fields and the logs."""
        user, domain = recipient.split("@")
        post = near if domain == "example.com" else far
        for path in ledger.copies(os.path.join(post.folder, "mail", user), number):
            with open(path, errors="replace") as message:
                ids = re.findall(r"\bid (\w+)", message.read().split("\n\n")[0])
            print("--- %d to %s: %s" % (number, recipient, path), file=sys.stderr)
            for one in (near, far):
                for line in one.log().splitlines():
                    if any(name in line for name in ids):
                        print("%s: %s" % (one.name, line), file=sys.stderr)

    def window(self, name, victim):
        suspected = any(victim in suspects.get(name, ()) for suspects in SUSPECTS.values())
        return WINDOW[victim] if suspected else 0

    def print_kills(self, kills, explained):
        made = collections.Counter()
        for (_, name, victim), count in explained.items():
            made[name, victim] += count
        for (name, victim), count in sorted(collections.Counter(kill[1:] for kill in kills).items()):
            worst = max([count for kill, count in explained.items() if kill[1:] == (name, victim)] or [0])
            print("%4d kills of %-13s of %-4s: %3d duplicates, at most %2d by one of %2d under way" % (
                count, victim, name, made[name, victim], worst, self.window(name, victim)), file=sys.stderr)


if __name__ == "__main__":
    harness.main()
