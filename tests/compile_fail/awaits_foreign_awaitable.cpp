// layer: core
// expect: not an awaitable of tenure: its resumption could not be owned or cancelled
#include <tenure/core/task.hpp>

tenure::core::task<> parent() { co_await std::suspend_always{}; }
