// A warden: the innermost layer, one per job slot. It starts its slot's items one after the other, keeps their
// timeouts, and reports an item only when the item and all its descendants are gone.
//
// It is a subreaper, so every orphan of its item becomes its child, whatever the orphan did to hide (setsid, double
// fork, no environment): attribution is by ancestry alone.
//
//   IDLE   no child exists (ECHILD was seen). Waits for a frame.
//     run  -> the item is started -> RUN; or a report with the error -> IDLE
//   RUN    the item lives.
//     item reaped, no child left           -> REPORT   (the clean path: no /proc is read)
//     item reaped, descendants left        -> TERM, with min(grace, 1 s)
//     timeout | end                        -> TERM, with grace
//   TERM   SIGTERM went to the item's process group and to the descendants outside it, SIGCONT behind it.
//     no child left                        -> REPORT
//     grace over                           -> KILL
//   KILL   cgroup.kill if there is a cgroup; SIGKILL to direct children and reaping until ECHILD.
//     no child left, or kill_patience used up -> REPORT
//   REPORT the item has succeeded and one is offered: it is taken, one `ended` report tells so, then it is started -> RUN
//          otherwise one `ended` report -> IDLE; or exit, when something is left that does not end (a new warden starts clean)
//   any    kill -> KILL. quit, the engine's end (pidfd or socket), a protocol error -> KILL, exit.
//   stop   everything below is stopped, the clocks of RUN and TERM stand. cont undoes it.
//
// Invariants: at most one item at a time. An offered item is started after the report that tells of it, never before. In IDLE nothing of an earlier item lives. SIGKILL goes only to unreaped
// direct children, or to a whole cgroup. All signals are blocked in the warden, so that a `pkill` that means
// the command as a whole ends the engine in order and not the wardens under it.
//
// Terminal (`tty`): the item gets the foreground only if the engine's process group has it. When the item stops
// (Ctrl-Z) or ends, the warden hands the foreground back to the engine's group before it tells the engine. `cont`
// hands it over again, if the engine's group has it then (after `fg`, not after `bg`), and continues the item.
#pragma once

#include "proc/cgroup.hpp"
#include "proc/item_offers.hpp"
#include "proc/shared_array.hpp"
#include "proc/warden_registry.hpp"

#include <sys/types.h>

namespace tenure::inline v0::app {

struct warden_setup {
    unsigned slot = 0;
    int socket =
        -1; ///< the warden's end; it and the queue are kept, every other inherited descriptor is closed
    int queue = -1; ///< of offers, shared by all wardens; -1: nothing is offered
    const shared_array<item_offer>* offers = nullptr; ///< who has them
    pid_t engine = -1;                                ///< must be the parent
    warden_registry* registry = nullptr;              ///< may be NULL
    const run_cgroup* cgroup = nullptr;               ///< may be NULL
};

/// Makes this process, just forked from the engine, a warden.
/// Precondition: single-threaded.
[[noreturn]] void run_warden(const warden_setup& setup);

} // namespace tenure::inline v0::app
