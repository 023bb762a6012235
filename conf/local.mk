# The example configuration. What an administrator has there already is never replaced.
EXTRA_DIST += %reldir%/main.cf %reldir%/master.cf
configdir = $(sysconfdir)/posthouse

install-data-local: install-example-configuration
.PHONY: install-example-configuration
install-example-configuration:
	$(MKDIR_P) "$(DESTDIR)$(configdir)"
	for file in main.cf master.cf; do \
	  test -e "$(DESTDIR)$(configdir)/$$file" || \
	    $(INSTALL_DATA) "$(srcdir)/%reldir%/$$file" "$(DESTDIR)$(configdir)/$$file" || exit 1; \
	done

# Only files that are still as they were shipped: distcheck wants an empty place, an administrator the rest.
uninstall-local: uninstall-example-configuration
.PHONY: uninstall-example-configuration
uninstall-example-configuration:
	for file in main.cf master.cf; do \
	  if cmp -s "$(srcdir)/%reldir%/$$file" "$(DESTDIR)$(configdir)/$$file"; then \
	    rm -f "$(DESTDIR)$(configdir)/$$file"; \
	  fi; \
	done
