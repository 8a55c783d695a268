// layer: core
// expect: capture nothing, pass what it needs as arguments; to borrow locals use with_cleanup
#include <tenure/core/cleanup.hpp>

tenure::core::task<> parent() {
    int local = 0;
    auto cleanup = [&local]() -> tenure::core::task<> { co_return (void)++ local; };
    co_await tenure::core::defer(std::chrono::seconds(1), cleanup);
}
