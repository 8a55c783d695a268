// layer: core
// expect: a timed scope takes a coroutine function and its arguments: with_timeout(3s, f, args...)
#include <tenure/core/scope.hpp>

int plain(int);
tenure::core::task<> parent() { co_await tenure::core::with_timeout(std::chrono::seconds(3), plain, 1); }
