// An item in a PID namespace of its own (--isolate): the one way in which the kernel itself guarantees that the
// end of one process, the namespace's init, is the end of all.
//
//   warden -- clone3(NEWPID, NEWNS [, NEWUSER]) --> init (pid 1 inside) -- spawn --> item
//
// init: dies with the warden (PDEATHSIG, and end of file on its control socket); maps the user to itself when
// there is a user namespace; makes mounts private and mounts its own /proc; starts the item; reaps; tells the
// warden what became of the item; ends when no process is left inside.
// The warden kills init to kill everything. SIGTERM for all inside goes through init, since the warden does not
// know the inner pids and a process outside cannot signal "all inside".
//
// A user namespace is used when this process lacks the right to make the others without one. The item keeps its
// user and group; supplementary groups keep working but show as "nogroup".
#pragma once

#include <tenure/io/spawn.hpp>
#include <tenure/io/unique_fd.hpp>

#include <cstdint>
#include <sys/types.h>

namespace tenure::inline v0::app {

enum class init_event_kind : std::uint32_t {
    failed = 1, ///< the item was not started: `value` is errno, `stage` where; init ends
    stopped,    ///< the item has stopped itself: `value` is the signal
    ended,      ///< the item was reaped: `value` is its wait status
};

struct init_event {
    init_event_kind kind{};
    std::int32_t value = 0;
    std::uint32_t stage = 0; ///< io::spawn_stage
    std::uint32_t alone = 0; ///< ended: 1 when no other process is left, so that init ends now
    std::int64_t max_rss_bytes = 0;
};

enum class init_order : char {
    terminate = 't', ///< SIGTERM, then SIGCONT, to all inside
    stop = 's',
    cont = 'c',
    foreground = 'f', ///< give the item the terminal, then SIGCONT to its process group
};

struct isolated {
    pid_t init = -1;       ///< a direct child; its CPU time includes that of all inside
    io::unique_fd control; ///< SOCK_SEQPACKET: init_event in, init_order out
    io::spawn_error error; ///< stage isolation: no namespaces; other failures come as an init_event
};

/// Starts an init, and the item in it. `options.terminal` is kept open by init.
/// Precondition: block_all_but_children().
isolated start_isolated(const io::spawn_options& options);

} // namespace tenure::inline v0::app
