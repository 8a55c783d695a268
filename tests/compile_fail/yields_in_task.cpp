// layer: core
// expect: a task has one result: co_return it
#include <tenure/core/task.hpp>

tenure::core::task<int> parent() {
    co_yield 1;
    co_return 2;
}
