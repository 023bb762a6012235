# Built from t/dialogue; included by the top Makefile.am.
