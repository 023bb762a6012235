# Built from t/unit/event; included by the top Makefile.am.
