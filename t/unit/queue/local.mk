# Built from t/unit/queue; included by the top Makefile.am.
