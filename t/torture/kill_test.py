#!/usr/bin/env python3
"""Programs are killed at random while several clients send (by SMTP and by the sendmail command); afterwards every
message that was acknowledged is in its mailbox, whole. One instance relays to another and delivers some itself;
both are tortured. The ids of two copies tell where one became two: that has to be explained by a kill of a program
there, at that moment, and no kill may explain more copies than were under way. marked_test.py kills at chosen points
instead.

However slow the machine, it goes on until enough has happened, and waits as long as there is progress, up to LIMIT.
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
# Seconds between a delivery and its record where nothing is slow (usual_delay() is added).
SLACK = 1.5 if harness.SANITIZED else 0.5
ENOUGH = 20       # recipients promised
STANDSTILL = harness.PATIENCE  # seconds without any progress: it hangs
FORGOTTEN = min(30, harness.PATIENCE / 2)  # the same, when the queues are empty: what has not arrived is lost
LIMIT = max(100, SECONDS)  # seconds for all that comes after the kills: whatever happens, the result is told in time
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
# Where one copy becomes two, and whose death can make it so.
STORES = ("qmgr", "virtual", "local-worker", "local-spawner")
SUSPECTS = {"near's mailboxes": [("near", program) for program in STORES],
            "far's mailboxes": [("far", program) for program in STORES],
            "between the two": [("near", "qmgr"), ("near", "smtp"), ("far", "smtpd")],
            "near's drops": [("near", "pickup")],
            "the clients": []}


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
        self.wait_until(try_it, "%s starts again" % post.name)

    def settle(self, posts, book, limit):
        """Waits until nothing is in a queue and what was promised is delivered, as long as that becomes less."""
        for post in posts:
            self.wait_until(lambda: post.answers(post.port), "port of %s answers" % post.name)
        least, end = (True, float("inf")), time.monotonic() + STANDSTILL
        done = 0  # times in a row: a message on its way between two of them is in no list for a moment
        while time.monotonic() < min(end, limit) and done < 2:
            waiting = sum(self.waiting(post) for post in posts)
            left = waiting or len(book.promised() - set(self.deliveries(*posts)[0]))
            if (waiting > 0, left) < least:
                least, end = (waiting > 0, left), time.monotonic() + (STANDSTILL if waiting else FORGOTTEN)
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
        """{(number, recipient): [copy, ...]} in the order of time, and the files that are not whole."""
        found, broken = {}, []
        for post, domain in ((near, "example.com"), (far, "far.example")):
            its_own, its_broken = ledger.deliveries([os.path.join(post.folder, "mail")])
            broken += its_broken
            for (number, user), copies in its_own.items():
                found[number, "%s@%s" % (user, domain)] = sorted(
                    copies, key=lambda copy: ([ledger.time_of(one) for one in copy.ids], copy.when))
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
            limit = end + LIMIT
            while time.monotonic() < end or (len(book.promised()) <= ENOUGH and time.monotonic() < limit):
                time.sleep(rng.uniform(0.1, 0.6))
                self.kill_something(rng, posts, victims, kills)
            for client in clients:
                client.ending.set()
            for client in clients:
                client.join(max(0, limit - time.monotonic()))
            self.assertFalse(any(client.is_alive() for client in clients), "the clients come to their end")
            self.settle(posts, book, limit)
            self.compare(book, kills, near, far)

    @staticmethod
    def usual_delay(log):
        """Seconds in which all but one in a hundred deliveries were done here, until the outcome was known, and until qmgr
        had then removed the message: 0 where the machine keeps up. What had to wait for a killed program does not count."""
        delivering, removing, told = [0.0], [0], {}
        for line in log.splitlines():
            of_day = re.search(r" (\d\d):(\d\d):(\d\d) ", line)
            outcome = re.search(r": (\w+): to=<.* delays=[\d.]+/[\d.]+/([\d.]+)/([\d.]+), .* status=sent", line)
            removed = re.search(r"/qmgr\[\d+\]: (\w+): removed$", line)
            seconds = sum(int(part) * unit for part, unit in zip(of_day.groups(), (3600, 60, 1))) if of_day else 0
            if outcome:
                told[outcome[1]] = seconds
                delivering.append(float(outcome[2]) + float(outcome[3]))
            elif removed and removed[1] in told:
                removing.append(max(0, (seconds - told.pop(removed[1])) % 86400 - 1))  # whole seconds are in the log
        return sum(sorted(times)[len(times) * 99 // 100] for times in (delivering, removing))

    def compare(self, book, kills, near, far):
        slack = SLACK + 2 * (self.usual_delay(near.log()) + self.usual_delay(far.log()))
        found, broken = self.deliveries(near, far)
        promised = book.promised()
        lost = sorted(promised - set(found))
        unasked = [key for key in found if key[0] not in book.sent or key[1] not in book.sent[key[0]]]
        explained, unexplained = self.explain(found, kills, slack)
        extra = sum(len(copies) - 1 for copies in found.values())
        print("sent %d, acknowledged %d, recipients promised %d, delivered %d, of these %d though never acknowledged, "
              "duplicates %d (within %.2f s of a kill)" % (len(book.sent), len(book.acknowledged), len(promised), len(found),
                                 len(set(found) - promised), extra, slack), file=sys.stderr)
        self.print_kills(kills, explained)
        print("not acknowledged because of %s" % dict(book.errors), file=sys.stderr)
        self.assertEqual(broken, [], "messages that are not whole")
        self.assertEqual([(one, book.acknowledged[one[0]]) for one in lost], [], "acknowledged messages that are lost")
        self.assertEqual(unasked, [], "messages that nobody sent there")
        self.assertGreater(len(promised), ENOUGH, "too little happened")
        for number, recipient, _ in unexplained:
            self.print_history(number, recipient, found[number, recipient], near, far)
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
        for (number, recipient), copies in found.items():
            for one, other in zip(copies, copies[1:]):
                where, before, after = self.parting(one, other)
                causes = [kill for kill in kills if kill[1:] in SUSPECTS[where] and
                          before - slack < kill[0] < min(after, before + slack)]
                copy = (sorted(causes, key=lambda kill: abs(kill[0] - before)), number, recipient)
                if not place(copy, set()):
                    unexplained.append((number, recipient, where))
        return collections.Counter({kill: len(copies) for kill, copies in made.items()}), unexplained

    @staticmethod
    def parting(one, other):
        """Where two copies became two, and when each was there."""
        for server, ids in enumerate(zip(one.ids, other.ids)):
            if ids[0] != ids[1]:
                where = "between the two" if server else "near's drops" if other.dropped else "the clients"
                return where, ledger.time_of(ids[0]), ledger.time_of(ids[1])
        return ("near's mailboxes", "far's mailboxes")[len(one.ids) - 1], one.when, other.when

    def print_history(self, number, recipient, copies, near, far):
        """Each copy's way, from its Received fields and the logs."""
        for copy in copies:
            print("--- %d to %s: %s, written at %.3f" % (number, recipient, copy.path, copy.when), file=sys.stderr)
            for one in (near, far):
                for line in one.log().splitlines():
                    if any(name in line for name in copy.ids):
                        print("%s: %s" % (one.name, line), file=sys.stderr)

    def window(self, name, victim):
        suspected = any((name, victim) in suspects for suspects in SUSPECTS.values())
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
