# Built from doc; included by the top Makefile.am.
