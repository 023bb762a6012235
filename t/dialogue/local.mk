# Transcripts, replayed against the real daemon.
TESTS += %reldir%/run_dialogue.py
EXTRA_DIST += %reldir%/run_dialogue.py %reldir%/smtpd
