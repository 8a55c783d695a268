// layer: core
// expect: a test is a coroutine: []() -> task<> { … }, or [](runtime& rt) -> task<> { … }
#include <tenure/core/testing.hpp>

void test() {
    tenure::core::testing::run(1, [] {});
}
