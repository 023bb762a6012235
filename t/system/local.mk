# Built from t/system; included by the top Makefile.am.
