# Manual pages. Those of programs are made from the comments atop their main files and the table of
# parameters (srctoman, params_to_man), so that they cannot say something else. A new program gets three
# lines: its page in one of the two lists, and the file that it comes from. t/lint/man_in_sync.py checks.
daemon_pages = man/local.8 man/master.8 man/pickup.8 man/qmgr.8 man/smtp.8 man/smtpd.8 man/virtual.8
command_pages = man/mailq.1 man/newaliases.1 man/postalias.1 man/postcat.1 man/postconf.1 man/postdrop.1 \
	man/posthouse.1 man/postlog.1 man/postmap.1 man/postqueue.1 man/postsuper.1 man/sendmail.1
man/local.8: local/local.cc
man/master.8: master/master.cc
man/pickup.8: smtpd/pickup.cc
man/qmgr.8: qmgr/qmgr.cc
man/smtp.8: smtp/smtp.cc
man/smtpd.8: smtpd/smtpd.cc
man/virtual.8: local/virtual.cc
man/mailq.1: tools/mailq.cc
man/newaliases.1: tools/newaliases.cc
man/postalias.1: tools/postalias.cc
man/postcat.1: tools/postcat.cc
man/postconf.1: tools/postconf.cc
man/postdrop.1: tools/postdrop.cc
man/posthouse.1: tools/posthouse.cc
man/postlog.1: tools/postlog.cc
man/postmap.1: tools/postmap.cc
man/postqueue.1: tools/postqueue.cc
man/postsuper.1: tools/postsuper.cc
man/sendmail.1: tools/sendmail.cc

noinst_PROGRAMS += man/params_to_man
man_params_to_man_SOURCES = %reldir%/params_to_man.cc
man_params_to_man_LDADD = lib/config/libconfig.a lib/log/liblog.a lib/base/libbase.a

$(daemon_pages): man/srctoman man/params_to_man$(EXEEXT)
	$(AM_V_GEN)page=`basename $@ .8` && \
	man/params_to_man$(EXEEXT) $$page >man/$$page.parameters && \
	$(SHELL) $(srcdir)/man/srctoman 8 $(filter %.cc,$^) man/$$page.parameters >$@.new && \
	rm -f man/$$page.parameters && mv -f $@.new $@
$(command_pages): man/srctoman man/params_to_man$(EXEEXT)
	$(AM_V_GEN)$(SHELL) $(srcdir)/man/srctoman 1 $(filter %.cc,$^) >$@.new && mv -f $@.new $@
man/main.cf.5: %reldir%/main.cf.5.head %reldir%/main.cf.5.tail man/params_to_man$(EXEEXT)
	$(AM_V_GEN){ cat $(srcdir)/%reldir%/main.cf.5.head && man/params_to_man$(EXEEXT) && \
	  cat $(srcdir)/%reldir%/main.cf.5.tail; } >$@.new && mv -f $@.new $@

nodist_man_MANS = $(daemon_pages) $(command_pages) man/main.cf.5
dist_man_MANS += %reldir%/access.5 %reldir%/aliases.5 %reldir%/header_checks.5 %reldir%/lmtp.8 %reldir%/lmtpd.8 %reldir%/lookup_tables.5 %reldir%/master.cf.5 %reldir%/postconf.5
EXTRA_DIST += %reldir%/srctoman %reldir%/main.cf.5.head %reldir%/main.cf.5.tail
CLEANFILES += $(nodist_man_MANS)
