# Built from t/fuzz; included by the top Makefile.am.
