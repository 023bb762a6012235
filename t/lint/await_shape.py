#!/usr/bin/env python3
"""Rejects the statement shapes with co_await that g++ 12 miscompiles: a class temporary that comes
neither from a constructor call nor from a function call is copied bitwise into the coroutine's frame
and destroyed twice. In such a statement arguments are names, literals, function calls or Type(...).
And the conditions with co_await that it leaves out of the frame: in a function that declares no variable
at all, `if (co_await f())`, `while`, `switch` and the like never come back from waiting. What is awaited
gets a name first: `auto x = co_await f(); if (!x)`, or `if (auto x = co_await f(); !x)`."""
import os
import re
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FOLDERS = ("lib", "master", "smtpd", "qmgr", "smtp", "local", "tools", "t")


def strip(text):
    """Comments, strings, characters and preprocessor lines become blanks; line breaks stay."""
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m[0].count("\n"), text, flags=re.M)
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0]) if match[0].startswith("/") else '""'
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


BLOCK_BEFORE = re.compile(r"(^|[);{}:]|\b(else|do|try|const|noexcept|override|final|mutable)|->\s*[\w:<>*& ]+)$")
HEADING = re.compile(r"^(template\s*<.*>\s*)?(inline\s+)?(namespace|class|struct|enum|union|extern)\b")


def statements(text, first_line=1):
    """(line number, statement), cut at ; and at the braces of blocks; the braces of an initialiser and
    whatever stands in parentheses belong to their statement."""
    parens, braces, start, line, start_line = 0, 0, 0, first_line, first_line
    for at, c in enumerate(text):
        if c == "\n":
            line += 1
        if not text[start:at].strip():
            start_line = line
        if c == "(":
            parens += 1
        elif c == ")":
            parens = max(0, parens - 1)
        elif parens:
            continue
        elif c == "{" and (braces or is_initialiser(text[start:at].strip())):
            braces += 1
        elif c == "}" and braces:
            braces -= 1
        elif c in ";{}" and not braces:
            piece = text[start:at].strip()
            if piece:
                yield start_line, piece
            start = at + 1


PLAIN_LAMBDA = re.compile(r"\[\]\s*\([^()]*(?:\([^()]*\)[^()]*)*\)\s*(?:->\s*[^{;]+)?\{")


def closing(text, at):
    """The place of the brace that closes the one before `at`."""
    depth = 1
    while at < len(text) and depth:
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    return at - 1


def pieces(text, first_line=1):
    """The statements, and those in the bodies of lambdas without captures, which are functions like any."""
    for line, statement in statements(text, first_line):
        found = PLAIN_LAMBDA.search(statement)
        while found:
            end = closing(statement, found.end())
            yield from pieces(statement[found.end():end], line + statement.count("\n", 0, found.end()))
            statement = statement[:found.start()] + "lambda" + statement[end + 1:]
            found = PLAIN_LAMBDA.search(statement)
        head = re.match(r"for\s*\([^;()]*:[^;()]*\)", statement)
        if head and "co_await" not in head[0]:
            statement = statement[head.end():]
        yield line, statement


def is_initialiser(before):
    return not BLOCK_BEFORE.search(before) and not HEADING.search(before)


CONDITION = re.compile(r"\b(if|while|switch|for)\s*(?:constexpr\s*)?\(")
DECLARATION = re.compile(r"^(const\s+)?[\w:]+(<.*>)?[\s*&]+\w+\s*=[^=]")


def awaits_in_condition(statement):
    """Whether a condition awaits something that it does not give a name."""
    for head in CONDITION.finditer(statement):
        end = head.end()
        while end < len(statement) and statement[head.end():end].count("(") >= statement[head.end():end].count(")"):
            end += 1
        parts = statement[head.end():end - 1 if statement[end - 1] == ")" else end].split(";")
        if head[1] == "for":
            parts = parts[1:2]  # the first and the last are statements of their own, a range has a name
        elif len(parts) == 2:
            parts = parts[1:]
        if any("co_await" in part and not DECLARATION.match(part.strip()) for part in parts):
            return True
    return False


def fault(statement):
    if "co_await" not in statement and "CO_CHECK" not in statement:
        return None
    inner = statement
    if "{" in inner:
        return "braces"
    if awaits_in_condition(inner):
        return "a condition"
    if "?" in inner:
        return "a conditional operator"
    if re.search(r"\bnew\b", inner):
        return "new"
    if re.search(r"\[[^\]&]*\w[^\]]*\]\s*(\(|\{|mutable)", inner) and "[this]" not in inner and re.search(r"[(,]\s*\[", inner):
        return "a lambda that captures by value"
    return None


def main():
    bad = 0
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(TOP, folder)):
            for name in sorted(names):
                if not name.endswith((".cc", ".h")):
                    continue
                path = os.path.join(where, name)
                with open(path, encoding="utf-8") as source:
                    text = strip(source.read())
                for line, statement in pieces(text):
                    kind = fault(statement)
                    if kind:
                        print("%s:%d: co_await in one statement with %s: %s" % (
                            os.path.relpath(path, TOP), line, kind, " ".join(statement.split())[:100]))
                        bad += 1
    print("%d faulty statements" % bad)
    return 1 if bad else 0


def self_test():
    wrong = ["co_await f(Opt{1});", "co_await f({});", "x = co_await (c ? f() : g());", "A a{co_await f()};",
             "co_return A{co_await f()};", "co_await f([s] { return s; });", "p = new N(co_await f());",
             "co_await f({.host = s});", "auto v = std::vector{co_await f()};", "if (!co_await f()) return;",
             "while (co_await f(a, b)) { g(); }", "do { g(); } while (co_await f());", "if (x && co_await f()) y();",
             "for (; co_await f();) g();", "switch (co_await f()) { case 1: g(); }", "if (a) if (co_await f() == b) c();",
             "if (auto a = f(); co_await g(a)) h();",
             "g.spawn([](A& a) -> Task<void> { co_await f({1}); }(a));"]
    right = ["co_await f(Opt(1));", "if (auto r = co_await f(a, b); !r) { g(Opt{1}); }",
             "while (auto x = co_await f()) { x = {1}; }", "if (const bool x = co_await f()) g();",
             "if (a == b) x = co_await f();", "for (int i = co_await f(); i; --i) g();", "(void)co_await f();",
             "if (std::optional<int> x = co_await f(g(a)); x && *x) h();", "while (f(a)) co_await g();",
             "g.spawn([](A& a, B (*b)()) -> Task<void> { co_await f(a); }(a));", "for (int i : {1, 2}) co_await f(i);",
             "co_await f(g(1), name, \"{}\");",
             "for (auto& x : co_await f()) { g(); }", "CO_CHECK(co_await chat_.send(reply));"]
    for text in wrong:
        assert any(fault(s) for _, s in pieces(strip(text))), text
    for text in right:
        assert not any(fault(s) for _, s in pieces(strip(text))), text


self_test()
sys.exit(main())
