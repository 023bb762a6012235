// Catch2, version 2 (one header) or 3, by one name.
#pragma once

#include "config.h"

#ifdef CATCH_3
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
