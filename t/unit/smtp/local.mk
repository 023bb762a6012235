# Built from t/unit/smtp; included by the top Makefile.am.
