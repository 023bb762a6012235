# Built from lib/ipc; included by the top Makefile.am.
