// rc::check prints what it found and answers false; a test fails then. Reproduce with the RC_PARAMS it
// prints.
#pragma once

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <string>

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): the test's line is wanted
#define CHECK_PROPERTY(text, ...) CHECK(rc::check(text, __VA_ARGS__))
