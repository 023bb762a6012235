#!/bin/sh
# Each header compiles alone. Skips the headers that only generated files can satisfy (none today).
top=${top_srcdir:-.}
build=${POSTHOUSE_BUILD:-.}
cxx=${CXX:-g++}
bad=0
for header in $(cd "$top" && find lib master smtpd qmgr smtp local tools -name '*.h' | sort); do
    if ! echo "#include \"$header\"" | $cxx -std=c++20 -D_GNU_SOURCE -fsyntax-only -I"$top" -I"$build" -x c++ - 2>/tmp/headers_alone.$$; then
        echo "$header does not compile alone:"
        head -5 /tmp/headers_alone.$$
        bad=$((bad + 1))
    fi
done
rm -f /tmp/headers_alone.$$
echo "$bad headers do not compile alone"
[ $bad -eq 0 ]
