// layer: core
// expect: a task is awaited once: write co_await std::move(t)
#include <tenure/core/task.hpp>

tenure::core::task<int> child();
tenure::core::task<int> parent() {
    auto t = child();
    co_return co_await t;
}
