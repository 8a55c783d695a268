// What the running task can ask about itself; works in coroutines and in plain functions that a task calls.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/error.hpp>

namespace tenure::inline v0::core::this_task {

/// False outside a task. Looks at the clock too. Inside a shield: only the shield's own deadline counts.
bool cancel_requested() noexcept;
/// Null unless cancel_requested().
base::cause_ptr why() noexcept;
/// The earliest deadline of the enclosing scopes; `never` if there is none.
base::time_point deadline() noexcept;
/// id 0 outside a task.
base::task_label label();
/// False in a coroutine, which would stop its worker by a blocking wait. True in plain functions and outside a task.
bool may_block() noexcept;
/// For plain functions: throws `cancelled` if this task was cancelled. It is no std::exception; do not swallow it.
/// A coroutine that it leaves ends as cancelled.
void checkpoint();

} // namespace tenure::inline v0::core::this_task
