# Built from tools; included by the top Makefile.am.
