#!/usr/bin/env python3
"""Every parameter that the programs ask for is in the table of lib/config, and not marked there as one
whose feature is missing or not needed. Asking for an unknown name ends a program at run time.

And every parameter of the table without such a mark is asked for: one that looks effective and is not
would make an administrator believe in a limit that is not there. A name counts as asked for when it
stands in quotes in a program or library, or
- smtp_NAME, lmtp_NAME: NAME does in smtp's settings, which add the prefix;
- default_SUFFIX, TRANSPORT_SUFFIX: _SUFFIX does outside of the table, for each transport;
- another parameter's default refers to it ($NAME, ${NAME?...});
- it is there to be read, by $NAME in main.cf or by scripts with postconf (FOR_READING)."""
import glob
import os
import re
import sys

TOP = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FOLDERS = ("lib/table", "lib/tls", "lib/net", "lib/queue", "lib/service", "master", "smtpd", "qmgr", "smtp", "local", "tools")
ASKED = re.compile(r"onfig(?:_|\(\))?(?:\.|->)(?:text|boolean|number|duration|list)\(\"(\w+)\"\)")
QUOTED = re.compile(r"\"(\w+)\"")
FOR_READING = ("mail_release_date", "mailq_path", "newaliases_path", "sendmail_path", "multi_instance_name")
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


def production_code(folder):
    """The text of each C++ file below a folder, but the table's own."""
    for ending in ("cc", "h"):
        for path in glob.glob(os.path.join(TOP, folder, "**", "*." + ending), recursive=True):
            if not os.path.relpath(path, TOP).startswith(os.path.join("lib", "config", "params")):
                yield open(path, encoding="utf-8").read()


def words_in(*folders):
    return {word for folder in folders for text in production_code(folder) for word in QUOTED.findall(text)}


def references():
    """What defaults refer to."""
    names = set()
    for path in glob.glob(os.path.join(TOP, "lib", "config", "params_*.cc")):
        names.update(re.findall(r"\$\{?(\w+)", open(path, encoding="utf-8").read()))
    return names


def suffixes():
    text = open(os.path.join(TOP, "lib", "config", "params.cc"), encoding="utf-8").read()
    return re.findall(r"\{\"(_\w+)\", \"(\w+)\"\}", text)


def unasked(rows):
    """Rows without a mark that no program asks for."""
    words = words_in("lib", "master", "smtpd", "qmgr", "smtp", "local", "tools")
    known = words | references() | set(FOR_READING)
    in_smtp = words_in("smtp")
    for suffix, default_name in suffixes():
        if suffix in words:
            known.add(default_name)
            known.update(name for name in rows if name.endswith(suffix))
    for name, used in sorted(rows.items()):
        if "Later" in used or "Unused" in used or name in known:
            continue
        if not (name.startswith(("smtp_", "lmtp_")) and name[5:] in in_smtp):
            yield name


def faults():
    rows = table()
    if len(rows) < 500:
        yield "the table was not understood: %d rows" % len(rows)
    for name in unasked(rows):
        yield "parameter %s has no effect, and its row says neither Later nor Unused" % name
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
