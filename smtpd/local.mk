# Built from smtpd; included by the top Makefile.am.
