#!/bin/sh
# Each header compiles alone, in whatever order others include it.
export top="${top_srcdir:-.}" build="${POSTHOUSE_BUILD:-.}" compiler="${CXX:-g++}"
cd "$top" || exit 1
find lib master smtpd qmgr smtp local tools -name '*.h' | sort | xargs -P "$(nproc)" -n 1 sh -c '
    said=$(echo "#include \"$1\"" | $compiler -std=c++20 -D_GNU_SOURCE -fsyntax-only -I. -I"$build" -x c++ - 2>&1) ||
        { printf "%s does not compile alone:\n%s\n" "$1" "$said" | head -6; exit 1; }' header
