# Programs killed at random and at marked points, power cut at arbitrary moments. make check runs a few seconds of
# the first two; make torture all for long: TORTURE_SECONDS, TORTURE_CUTS, TORTURE_SEED.
TESTS += %reldir%/kill_test.py %reldir%/marked_test.py
EXTRA_DIST += %reldir%/kill_test.py %reldir%/marked_test.py %reldir%/ledger.py %reldir%/power_test.py

TORTURE_ENVIRONMENT = POSTHOUSE_BUILD=$(abs_top_builddir) top_srcdir=$(top_srcdir) POSTHOUSE_TEST_PATIENCE=60

torture: all t/unit/queue/queue_test
	POSTHOUSE_RANDOM_CUTS=$${POSTHOUSE_RANDOM_CUTS:-40} t/unit/queue/queue_test "After a power cut*"
	$(TORTURE_ENVIRONMENT) TORTURE_POINTS=. $(PYTHON3) $(srcdir)/%reldir%/marked_test.py
	$(TORTURE_ENVIRONMENT) TORTURE_SECONDS=$${TORTURE_SECONDS:-120} $(PYTHON3) $(srcdir)/%reldir%/kill_test.py
	$(TORTURE_ENVIRONMENT) TORTURE_CUTS=$${TORTURE_CUTS:-20} $(PYTHON3) $(srcdir)/%reldir%/power_test.py
.PHONY: torture
