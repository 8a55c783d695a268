// For layers above core whose calls run in other processes: how runtime::dump() shows the tasks that these have started there.
//
// Who waits for such a call overrides link::show_call() (operation.hpp) and gives a tasks_elsewhere, which asks the process. There
// runtime_pin::watch() tells whether a runtime lives, and trees_of_this_process() what to answer.
#pragma once
#include <tenure/core/detail/runtime_pin.hpp>
#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/detail/tree_sketch.hpp>
