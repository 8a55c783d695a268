// What a program does that was started for a pool.
#pragma once
#include "control.hpp"

#include <tenure/process/detail/channel.hpp>

namespace tenure::inline v0::process::detail {

/// Starts workers, reaps them, and ends whatever they leave. Returns when the pool is gone and nothing is left.
/// Threads: it must be the only one, for workers are copies of this process; with others they are executed instead.
int supervise(control_socket pool, const settings& s);

/// Serves calls until it is told to stop. Does not return: leaves with flushed streams, without destructors.
/// `store`: the pool's block store, or none. `output_is_read`: what a call has printed is written when it ends.
[[noreturn]] void work(io::unique_fd channel, io::unique_fd event, io::unique_fd store, bool output_is_read);

/// Limits of a worker, taken on by itself before it serves.
void take_on(const settings& s) noexcept;
/// Ends with whoever started it. `parent`: who that was. False: it is gone already.
bool die_with_parent(pid_t parent) noexcept;

} // namespace tenure::inline v0::process::detail
