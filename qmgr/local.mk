# Built from qmgr; included by the top Makefile.am.
