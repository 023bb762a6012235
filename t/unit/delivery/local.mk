# Built from t/unit/delivery; included by the top Makefile.am.
