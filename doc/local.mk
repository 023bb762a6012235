# Pages for administrators and for readers of the code.
dist_doc_DATA = \
	conf/fail2ban-posthouse.conf \
	%reldir%/architecture.md \
	%reldir%/content-checks.md \
	%reldir%/content-filters.md \
	%reldir%/extensions.md \
	%reldir%/from-postfix.md \
	%reldir%/install.md \
	%reldir%/lmtp.md \
	%reldir%/limits.md \
	%reldir%/mailboxes.md \
	%reldir%/milters.md \
	%reldir%/private-instance.md \
	%reldir%/queue.md \
	%reldir%/restrictions.md \
	%reldir%/screening.md \
	%reldir%/submission.md \
	%reldir%/tls.md \
	%reldir%/trouble.md \
	%reldir%/verification.md
