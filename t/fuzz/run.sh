#!/bin/sh
# Each fuzz target over its corpus; $FUZZ_TARGETS are their names (fuzz_<what>, corpus/<what>).
# SECONDS_EACH=60 with a build of --enable-fuzzers fuzzes instead of replaying.
bad=0
trap 'echo "$target hangs"; kill $!; exit 1' TERM INT # when the time for a test is over
for target in $FUZZ_TARGETS; do
    what=${target#fuzz_}
    corpus=$top_srcdir/t/fuzz/corpus/$what
    if [ -n "${SECONDS_EACH:-}" ]; then
        found=$(mktemp -d)
        "$POSTHOUSE_BUILD/t/fuzz/$target" -max_total_time="$SECONDS_EACH" -rss_limit_mb=512 -timeout=5 \
            -artifact_prefix="$found/" "$found" "$corpus" 2>"$found/log" || { tail -30 "$found/log"; bad=$((bad + 1)); }
    else
        "$POSTHOUSE_BUILD/t/fuzz/$target" "$corpus" &
        wait $! || { echo "$target failed"; bad=$((bad + 1)); }
    fi
done
[ $bad -eq 0 ]
