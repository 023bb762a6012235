# Built from t/lint; included by the top Makefile.am.
