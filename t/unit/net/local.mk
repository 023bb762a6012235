# Built from t/unit/net; included by the top Makefile.am.
