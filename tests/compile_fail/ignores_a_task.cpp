// layer: core
// expect: a task does nothing before it is awaited or spawned
// R101: a warning, made an error here by the pragma as -Werror does.
#pragma GCC diagnostic error "-Wunused-result"
#include <tenure/core/task.hpp>

tenure::core::task<> child();
void parent() { child(); }
