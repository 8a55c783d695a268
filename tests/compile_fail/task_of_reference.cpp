// layer: core
// expect: task<T&> would dangle unseen: return a pointer or std::reference_wrapper
#include <tenure/core/task.hpp>

int global;
tenure::core::task<int&> parent() { co_return global; }
