# Built from lib/smtp; included by the top Makefile.am.
