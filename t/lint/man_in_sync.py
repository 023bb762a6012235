#!/usr/bin/env python3
"""Every program that is installed has a manual page, made from the comment atop its main file; the built
page is what that comment and the table of parameters give now; and groff has nothing to say about it."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.environ.get("POSTHOUSE_BUILD", TOP)
HEADINGS = ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO")
LONGEST = 60


def makefile_text():
    names = glob.glob(os.path.join(TOP, "*", "local.mk"))
    return "\n".join(open(name, encoding="utf-8").read() for name in sorted(names)).replace("\\\n", " ")


def installed_programs(text):
    for kind, words in re.findall(r"^(daemon|bin|sbin)_PROGRAMS \+= (.*)$", text, re.M):
        for program in words.split():
            yield program, "8" if kind == "daemon" else "1"


def page_sources(text):
    return dict(re.findall(r"^man/([\w.-]+): (\S+\.cc)$", text, re.M))


def comment_of(source):
    lines = open(os.path.join(TOP, source), encoding="utf-8").read().split("\n")
    if lines[0] == "/*":
        return lines[1:lines.index("*/")]
    end = next((i for i, line in enumerate(lines) if not line.startswith("//")), len(lines))
    return [re.sub(r"^// ?", "", line) for line in lines[:end]]


def comment_faults(name, source):
    comment = comment_of(source)
    for heading in HEADINGS:
        if heading not in comment:
            yield "%s: the comment at the top has no %s" % (source, heading)
    described = next((line.strip() for line in comment[1:] if line.strip()), "")
    if not described.startswith(name + " - "):
        yield "%s: NAME does not begin with \"%s - \"" % (source, name)
    if len(comment) > LONGEST:
        yield "%s: the page has %d lines, more than %d" % (source, len(comment), LONGEST)


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def fresh_page(page, source):
    command = ["sh", os.path.join(TOP, "man", "srctoman"), page[-1], os.path.join(TOP, source)]
    if page.endswith(".1"):
        return run(*command)
    with tempfile.NamedTemporaryFile("w") as parameters:
        parameters.write(run(os.path.join(BUILD, "man", "params_to_man"), page[:-2]))
        parameters.flush()
        return run(*command, parameters.name)


def groff_faults(path):
    if shutil.which("groff") is None:
        return
    told = subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-z", path], capture_output=True, text=True)
    for line in (told.stdout + told.stderr).splitlines():
        yield "%s: %s" % (path, line)


def built(page):
    for folder in (BUILD, TOP):
        path = os.path.join(folder, "man", page)
        if os.path.exists(path):
            return path
    return None


def faults():
    text = makefile_text()
    sources = page_sources(text)
    aliases = {"lmtp": "smtp.8", "lmtpd": "smtpd.8"}
    for program, section in installed_programs(text):
        name = os.path.basename(program)
        page = aliases.get(name, "%s.%s" % (name, section))
        if page not in sources:
            yield "%s: no page %s in man/local.mk" % (program, page)
    for page, source in sorted(sources.items()):
        yield from comment_faults(page[:-2], source)
        path = built(page)
        if path is None:
            yield "%s: not built" % page
        elif open(path, encoding="utf-8").read() != fresh_page(page, source):
            yield "%s: differs from the comment in %s" % (page, source)
    for page in list(sources) + ["main.cf.5", "master.cf.5"]:
        path = built(page)
        if path is not None:
            yield from groff_faults(path)


def main():
    found = list(faults())
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


main()
