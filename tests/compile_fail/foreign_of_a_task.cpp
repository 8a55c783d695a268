// layer: core
// expect: foreign: this is awaited as it is: write co_await without foreign()
#include <tenure/core/foreign.hpp>
#include <tenure/core/task.hpp>

tenure::core::task<int> child();
tenure::core::task<> parent() { (void)co_await tenure::core::foreign(child()); }
