# Built from t/unit/config; included by the top Makefile.am.
