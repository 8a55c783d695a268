// layer: core
// expect: nothing happens before it is awaited: write co_await
// A defer without co_await; the pragma does what -Werror does.
#pragma GCC diagnostic error "-Wunused-result"
#include <tenure/core/cleanup.hpp>
#include <tenure/core/group.hpp>

tenure::core::task<> cleanup();
tenure::core::task<> parent() {
    tenure::core::defer(std::chrono::seconds(1), cleanup);
    co_return;
}
