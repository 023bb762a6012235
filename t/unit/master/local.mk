# Built from t/unit/master; included by the top Makefile.am.
