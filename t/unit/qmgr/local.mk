# Built from t/unit/qmgr; included by the top Makefile.am.
