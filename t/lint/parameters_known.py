#!/usr/bin/env python3
"""Every parameter that the programs ask for is in the table of lib/config, and not marked there as one
whose feature is missing or not needed. Asking for an unknown name ends a program at run time."""
import glob
import os
import re
import sys

TOP = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FOLDERS = ("lib/table", "lib/net", "lib/queue", "lib/service", "master", "smtpd", "qmgr", "smtp", "local", "tools")
ASKED = re.compile(r"onfig(?:_|\(\))?(?:\.|->)(?:text|boolean|number|duration|list)\(\"(\w+)\"\)")
ROW = re.compile(r"^        \{\"(\w+)\", \w+, .*, ([\w |]+), \"(?:[^\"\\]|\\.)*\"\},$")
FLAGS = re.compile(r"constexpr uint32_t (\w+) = ([\w |]+);")


def table():
    rows = {}
    for name in glob.glob(os.path.join(TOP, "lib", "config", "params_*.cc")):
        text = open(name, encoding="utf-8").read()
        flags = dict(FLAGS.findall(text))
        for line in text.split("\n"):
            row = ROW.match(line)
            if row:
                used = " ".join(flags.get(word, word) for word in row[2].split(" "))
                rows[row[1]] = used
                if "Lmtp" in used:
                    rows["lmtp" + row[1][row[1].index("_"):]] = used
    return rows


def faults():
    rows = table()
    if len(rows) < 500:
        yield "the table was not understood: %d rows" % len(rows)
    for folder in FOLDERS:
        for path in sorted(glob.glob(os.path.join(TOP, folder, "*.cc"))):
            for name in ASKED.findall(open(path, encoding="utf-8").read()):
                where = os.path.relpath(path, TOP)
                # smtp's settings leave out smtp_ and lmtp_, which the program's name decides.
                if folder == "smtp" and "smtp_" + name in rows:
                    name = "smtp_" + name
                if name not in rows:
                    yield "%s: parameter %s is not in the table" % (where, name)
                elif "Later" in rows[name] or "Unused" in rows[name]:
                    yield "%s: parameter %s is used, but the table says that it has no effect" % (where, name)


def main():
    found = list(faults())
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


main()
