#!/usr/bin/env python3
"""Programs are killed at random while several clients send (by SMTP and by the sendmail command); afterwards every
message that was acknowledged is in its mailbox, whole. One instance relays to another and delivers some itself;
both are tortured. Each copy too many has to be explained by one kill that it lies around, and no kill may explain
more copies than were under way at that moment. marked_test.py kills at chosen points instead.

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
SLACK = 10.0      # seconds between a delivery and the moment when a quiet machine would have recorded it
FAST = ("minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n"
        "smtpd_client_connection_count_limit = 0\nservice_throttle_time = 1s\n"
        "default_destination_concurrency_limit = {0}\ninitial_destination_concurrency = {0}\n".format(CONCURRENCY))

# How many recipients one kill may leave with a second copy: what was between a peer's acceptance and our record
# of it. One transport has CONCURRENCY deliveries under way. Who only takes mail in (its clients here never send
# twice) and who only supervises can duplicate nothing; an smtpd that dies does so to the next host before it.
IN_FLIGHT = CONCURRENCY * MOST_TO
WINDOW = {"smtp": IN_FLIGHT, "virtual": IN_FLIGHT, "local-worker": IN_FLIGHT, "local-spawner": IN_FLIGHT,
          "qmgr": 2 * IN_FLIGHT, "smtpd": IN_FLIGHT, "pickup": PICKED_UP * MOST_TO}
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
        when = time.time()
        try:
            if post.kill(victim):
                kills.append((when, post.name, victim))
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
        empty = 0  # times in a row: a message on its way between two of them is in no list for a moment
        while time.monotonic() < end:
            waiting = 0
            for post in posts:
                waiting += len(os.listdir(os.path.join(post.spool, "maildrop")))
                post.tool("postqueue", "-c", post.etc, "-f", check=False)
                listing = post.tool("postqueue", "-c", post.etc, "-j", check=False)
                waiting += 1 if listing.returncode else len(listing.stdout.splitlines())
            empty = 0 if waiting else empty + 1
            if empty == 2:
                return
            time.sleep(0.5)
        self.fail("the queues do not become empty: %d" % waiting)

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
            while time.monotonic() < end:
                time.sleep(rng.uniform(0.1, 0.6))
                self.kill_something(rng, posts, victims, kills)
            for client in clients:
                client.ending.set()
            for client in clients:
                client.join(30)
            self.settle(posts)
            self.compare(book, kills, near, far)

    def compare(self, book, kills, near, far):
        found, broken = {}, []
        for post, domain in ((near, "example.com"), (far, "far.example")):
            its_own, its_broken = ledger.deliveries([os.path.join(post.folder, "mail")])
            broken += its_broken
            for (number, user), times in its_own.items():
                found[number, "%s@%s" % (user, domain)] = sorted(times)
        promised = book.promised()
        lost = sorted(promised - set(found))
        unasked = [key for key in found if key[0] not in book.sent or key[1] not in book.sent[key[0]]]
        explained, unexplained = self.explain(found, kills)
        extra = sum(len(times) - 1 for times in found.values())
        print("sent %d, acknowledged %d, recipients promised %d, delivered %d, of these %d though never acknowledged, "
              "duplicates %d" % (len(book.sent), len(book.acknowledged), len(promised), len(found),
                                 len(set(found) - promised), extra), file=sys.stderr)
        self.print_kills(kills, explained)
        print("not acknowledged because of %s" % dict(book.errors), file=sys.stderr)
        self.assertEqual(broken, [], "messages that are not whole")
        self.assertEqual([(one, book.acknowledged[one[0]]) for one in lost], [], "acknowledged messages that are lost")
        self.assertEqual(unasked, [], "messages that nobody sent there")
        self.assertGreater(len(promised), 20, "too little happened")
        for number, recipient, _ in unexplained:
            self.print_history(number, recipient, near, far)
        self.assertEqual(unexplained, [], "copies that no kill can have made, or more than were under way")
        for post in (near, far):
            panics = re.findall(r".*panic: .*", post.log())
            self.assertEqual(panics, [], "bugs that the log tells")
            self.assertEqual(os.listdir(os.path.join(post.spool, "corrupt")), [], "files taken for damaged")

    def explain(self, found, kills):
        """A Counter of kills, each with the copies that it has made, never more than it can have; and the copies
        that are left over. Those with the fewest possible causes choose first, and take the nearest."""
        copies = []
        for (number, recipient), times in found.items():
            suspects = SUSPECTS[recipient.split("@")[1]]
            for before, after in zip(times, times[1:]):
                causes = [kill for kill in kills if kill[2] in suspects.get(kill[1], ()) and
                          before - SLACK < kill[0] < min(after, before + SLACK)]
                copies.append((sorted(causes, key=lambda kill: abs(kill[0] - before)), number, recipient))
        explained, unexplained = collections.Counter(), []
        for causes, number, recipient in sorted(copies, key=lambda copy: len(copy[0])):
            cause = next((kill for kill in causes if explained[kill] < self.window(*kill[1:])), None)
            if cause:
                explained[cause] += 1
            else:
                unexplained.append((number, recipient, causes))
        return explained, unexplained

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
