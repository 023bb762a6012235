# Built from t/unit/ipc; included by the top Makefile.am.
