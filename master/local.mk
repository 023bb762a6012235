# Built from master; included by the top Makefile.am.
