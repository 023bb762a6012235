# make bench: the same work through Posthouse and an installed Postfix, interleaved.
EXTRA_PROGRAMS = t/bench/mailbench
t_bench_mailbench_SOURCES = %reldir%/load.cc
t_bench_mailbench_LDADD = lib/event/libevent.a lib/log/liblog.a lib/base/libbase.a $(EVENT_LIBS)
EXTRA_DIST += %reldir%/bench.py

.PHONY: bench
bench: all t/bench/mailbench
	$(PYTHON3) $(top_srcdir)/%reldir%/bench.py --build . $(BENCHFLAGS)
