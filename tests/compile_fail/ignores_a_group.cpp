// layer: core
// expect: nothing happens before it is awaited: write co_await
// A group without co_await would run nothing; the pragma does what -Werror does.
#pragma GCC diagnostic error "-Wunused-result"
#include <tenure/core/group.hpp>

tenure::core::task<> parent() {
    tenure::core::with_group([](tenure::core::group) -> tenure::core::task<> { co_return; });
    co_return;
}
