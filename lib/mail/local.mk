# Built from lib/mail; included by the top Makefile.am.
