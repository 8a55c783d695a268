// layer: core
// expect: defer takes a coroutine function that returns task<>
#include <tenure/core/cleanup.hpp>

void cleanup();
tenure::core::task<> parent() { co_await tenure::core::defer(std::chrono::seconds(1), cleanup); }
