#!/usr/bin/env python3
"""The layers of lib/: a folder includes only those of a lower layer, or one beside it that is listed
here. Programs use any of lib/ and never each other. Each C library has one header that includes it."""
import os
import re
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

LAYER = {
    "lib/base": 0, "lib/log": 0,
    "lib/event": 1, "lib/config": 1,
    "lib/net": 2, "lib/table": 2, "lib/tls": 2,
    "lib/mail": 3, "lib/ipc": 3, "lib/sasl": 3, "lib/smtp": 3,
    "lib/queue": 4, "lib/trust": 4, "lib/milter": 4,
    "lib/service": 5,
}
BESIDE = {
    ("lib/log", "lib/base"), ("lib/table", "lib/net"), ("lib/tls", "lib/table"), ("lib/smtp", "lib/mail"),
}
PROGRAMS = ("master", "smtpd", "qmgr", "smtp", "local", "tools")
# <header> -> the files that may include it
OWNERS = {
    "event2/": ("lib/event/libevent.h",),
    "lmdb.h": ("lib/table/lmdb.h",),
    "idn2.h": ("lib/mail/idn.cc", "lib/mail/idn.h"),
    "ares.h": ("lib/net/dns_client.cc",),
    "openssl/": ("lib/tls/openssl.h",),
    "regex>": (),
    "iostream>": (),
}


def folder_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "lib" else parts[0]


def sources():
    for top in ("lib",) + PROGRAMS:
        for where, _, names in os.walk(os.path.join(TOP, top)):
            for name in sorted(names):
                if name.endswith((".cc", ".h")):
                    yield os.path.relpath(os.path.join(where, name), TOP)


def faults_of(path):
    here = folder_of(path)
    with open(os.path.join(TOP, path), encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            own = re.match(r'#include "([^"]+)"', line)
            if own and "/" in own[1]:
                there = folder_of(own[1])
                if here == there or there == "t":
                    if there == "t":
                        yield number, "includes a test's header"
                    continue
                if here in LAYER:
                    if there not in LAYER:
                        yield number, "a library includes the program %s" % there
                    elif LAYER[there] >= LAYER[here] and (here, there) not in BESIDE:
                        yield number, "%s may not include %s" % (here, there)
                elif there not in LAYER:
                    yield number, "the program %s includes the program %s" % (here, there)
            system = re.match(r"#include <([^>]+>)", line)
            if system:
                for header, owners in OWNERS.items():
                    hit = system[1] == header if header.endswith(">") else system[1].startswith(header)
                    if hit and path not in owners:
                        yield number, "<%s is for %s alone" % (system[1], owners or "nobody")


def main():
    bad = 0
    for path in sources():
        for number, text in faults_of(path):
            print("%s:%d: %s" % (path, number, text))
            bad += 1
    print("%d faults in the layers" % bad)
    return 1 if bad else 0


sys.exit(main())
