// How a program becomes the worker of another one: the same program, started again.
#pragma once
#include <optional>

namespace tenure::inline v0::process {

/// The first line of a main() whose program uses worker processes: `if (auto status = process::enter_worker()) return *status;`
/// In a program that was started to be a supervisor or a worker it does that work, and gives the exit status. Everywhere else
/// it returns at once, empty. `tenure::run(app)` calls it.
/// It cannot be fooled by the environment: standard input must be the socket of whoever started it, with the right word in it.
/// Threads: one; call it before others are started.
std::optional<int> enter_worker();

namespace detail {
/// enter_worker() was called: workers that are started from this program will be workers.
bool worker_entry_is_known() noexcept;
} // namespace detail

} // namespace tenure::inline v0::process
