// What a worker process says of its tasks when its parent asks (detail/tree_words.hpp).
#pragma once
#include <tenure/process/detail/channel.hpp>

namespace tenure::inline v0::core::detail {
class scheduler;
}

namespace tenure::inline v0::process::detail {

/// From now on the worker answers while a runtime lives in it, but for `own`, which runs nothing. Once for a process, and for
/// ever. Costs nothing until there is a runtime; then a thread that sleeps.
void tell_tasks_of(const channel_memory& channel, const core::detail::scheduler& own) noexcept;

} // namespace tenure::inline v0::process::detail
