# make bench: the same work through Posthouse and an installed Postfix, interleaved.
EXTRA_PROGRAMS = t/bench/mailbench
t_bench_mailbench_SOURCES = \
	%reldir%/line.cc %reldir%/line.h \
	%reldir%/load.cc %reldir%/load.h \
	%reldir%/mailbench.cc \
	%reldir%/peers.cc %reldir%/peers.h
t_bench_mailbench_LDADD = lib/tls/libtls.a lib/table/libtable.a lib/config/libconfig.a lib/net/libnet.a \
	lib/event/libevent.a lib/log/liblog.a lib/base/libbase.a $(POSTHOUSE_SYSTEM_LIBS)
EXTRA_DIST += %reldir%/bench.py %reldir%/servers.py

.PHONY: bench
bench: all t/bench/mailbench
	$(PYTHON3) $(top_srcdir)/%reldir%/bench.py --build . $(BENCHFLAGS)
