# Built from lib/config; included by the top Makefile.am.
