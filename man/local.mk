# Built from man; included by the top Makefile.am.
