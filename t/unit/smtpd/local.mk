# Built from t/unit/smtpd; included by the top Makefile.am.
