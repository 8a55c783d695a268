// What the tests of maps share: the names that they use again and again.
#pragma once
#include <tenure/core/sleep.hpp>
#include <tenure/core/testing.hpp>
#include <tenure/parallel/map.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <ranges>
#include <string>
#include <vector>

namespace tenure::inline v0::parallel {

using namespace std::chrono_literals;
using core::runtime;
using core::sleep_for;
using core::task;
using core::testing::require;

} // namespace tenure::inline v0::parallel
