# Built from t/unit/table; included by the top Makefile.am.
