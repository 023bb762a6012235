#!/usr/bin/env python3
"""Adds up the tests of one or more build folders from the logs of `make check`, and closes with the
line `N passed, N failed`. A log that tells no counts is one test; --missing=WHAT is one that failed."""
import os
import re
import sys

CATCH = re.compile(r"^test cases:\s*(\d+)\s*\|\s*(?:(\d+) passed)?", re.M)
UNITTEST = re.compile(r"^Ran (\d+) tests? in", re.M)
UNITTEST_BAD = re.compile(r"^FAILED \((.*)\)", re.M)
SHOWN = 60  # lines
SKIPPED = re.compile(r"skipped=(\d+)")


def counts(text, result):
    """(passed, failed, skipped) of one log."""
    good = re.search(r"^All tests passed \(\d+ assertions? in (\d+) test cases?\)", text, re.M)
    if good:
        return int(good[1]), 0, 0
    catch = CATCH.search(text)
    if catch:
        passed = int(catch[2] or 0)
        return passed, int(catch[1]) - passed, 0
    ran = UNITTEST.search(text)
    if ran:
        skipped = sum(int(n) for n in SKIPPED.findall(text))
        bad = UNITTEST_BAD.search(text)
        failed = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", bad[1])) if bad else 0
        return int(ran[1]) - failed - skipped, failed, skipped
    return {"PASS": (1, 0, 0), "SKIP": (0, 0, 1)}.get(result, (0, 1, 0))


def show(test):
    """What a failed test's log says at its end, for who has only this output."""
    print("failed: %s" % test)
    with open(test + ".log", encoding="utf-8", errors="replace") as log:
        lines = log.read().splitlines()
    for line in lines[-SHOWN:]:
        print("    " + line[:300])


def main():
    missing = [one.partition("=")[2] for one in sys.argv[1:] if one.startswith("--missing=")]
    total, failed = [0, len(missing), 0], []
    for folder in [one for one in sys.argv[1:] if not one.startswith("--missing=")]:
        here = [0, 0, 0]
        for where, _, names in os.walk(folder):
            for name in sorted(names):
                if not name.endswith(".trs"):
                    continue
                with open(os.path.join(where, name), encoding="utf-8") as trs:
                    result = re.search(r"^:global-test-result: (\w+)", trs.read(), re.M)
                result = result[1] if result else "ERROR"
                with open(os.path.join(where, name[:-4] + ".log"), encoding="utf-8", errors="replace") as log:
                    here_counts = counts(log.read(), result)
                if result in ("FAIL", "ERROR") and here_counts[1] == 0:
                    here_counts = (here_counts[0], 1, here_counts[2])
                if here_counts[1]:
                    failed.append(os.path.join(where, name[:-4]))
                here = [a + b for a, b in zip(here, here_counts)]
        print("%s: %d passed, %d failed, %d skipped" % (os.path.basename(folder), *here))
        total = [a + b for a, b in zip(total, here)]
    for test in failed:
        show(test)
    for what in missing:
        print("failed: " + what)
    print("%d passed, %d failed" % (total[0], total[1]))
    return 1 if total[1] or not total[0] else 0


sys.exit(main())
