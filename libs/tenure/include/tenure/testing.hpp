// For tests of programs that use tenure: virtual time, seeded runs, cancellation at every point.
#pragma once
#include <tenure/core/testing.hpp>

namespace tenure::inline v0::testing {

using core::testing::cancel_at_every_point;
using core::testing::explore;
using core::testing::require;
using core::testing::run;
using core::testing::seeded;
using core::testing::test_failure;
using core::testing::virtual_driver;
using core::testing::virtual_time;

} // namespace tenure::inline v0::testing
