# Built from conf; included by the top Makefile.am.
