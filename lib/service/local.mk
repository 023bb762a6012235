# Built from lib/service; included by the top Makefile.am.
