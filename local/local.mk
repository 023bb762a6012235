# Built from local; included by the top Makefile.am.
