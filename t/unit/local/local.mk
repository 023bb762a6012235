# Built from t/unit/local; included by the top Makefile.am.
