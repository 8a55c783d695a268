// layer: core
// expect: not an awaitable of tenure: its resumption could not be owned or cancelled; another library's is awaited by co_await foreign(x)
#include <tenure/core/task.hpp>

tenure::core::task<> parent() { co_await std::suspend_always{}; }
