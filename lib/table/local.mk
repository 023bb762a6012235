# Built from lib/table; included by the top Makefile.am.
