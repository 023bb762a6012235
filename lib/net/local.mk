# Built from lib/net; included by the top Makefile.am.
