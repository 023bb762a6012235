# Built from t/unit/mail; included by the top Makefile.am.
