// What most unit tests include; see core/precompiled/std.hpp.
#include <doctest/doctest.h>

#include "core/precompiled/std.hpp"
