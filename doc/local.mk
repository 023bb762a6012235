# Pages for administrators and for readers of the code.
dist_doc_DATA = \
	%reldir%/architecture.md \
	%reldir%/from-postfix.md \
	%reldir%/install.md \
	%reldir%/mailboxes.md \
	%reldir%/private-instance.md \
	%reldir%/queue.md \
	%reldir%/submission.md \
	%reldir%/tls.md \
	%reldir%/trouble.md \
	%reldir%/verification.md
