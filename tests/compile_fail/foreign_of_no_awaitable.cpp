// layer: core
// expect: foreign: not an awaitable: it needs await_ready(), await_suspend(std::coroutine_handle<>) and await_resume()
// expect-errors: 1
#include <tenure/core/foreign.hpp>

void parent() { tenure::core::foreign(7); }
