// Catch2's main, compiled once for all unit tests (version 2 only; version 3 brings its own).
#include "config.h"

#ifndef CATCH_3
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif
