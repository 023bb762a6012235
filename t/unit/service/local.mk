# Built from t/unit/service; included by the top Makefile.am.
