// The tasks in a worker process, as its parent asks for them.
#pragma once
#include "pool_state.hpp"

#include <tenure/core/tasks_elsewhere.hpp>

namespace tenure::inline v0::process::detail {

/// Of the call that the worker runs as that task. Keeps the worker's entry, and with it the memory.
/// Under the pool's lock.
base::ref<core::detail::tasks_elsewhere> tasks_of(pool_worker& w, std::uint64_t task);

/// What another process wrote, as lines that may be shown: without control characters, empty lines and what is no UTF-8.
std::string printable(std::string_view text);

} // namespace tenure::inline v0::process::detail
