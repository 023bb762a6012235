# Built from smtp; included by the top Makefile.am.
