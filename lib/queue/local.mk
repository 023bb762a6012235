# Built from lib/queue; included by the top Makefile.am.
