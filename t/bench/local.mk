# Built from t/bench; included by the top Makefile.am.
