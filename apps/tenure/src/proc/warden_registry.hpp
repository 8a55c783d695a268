#pragma once

#include "proc/shared_array.hpp"

#include <atomic>
#include <cstddef>
#include <sys/types.h>

namespace tenure::inline v0::app {

/// Which processes are wardens: memory that guard, engine and wardens share, so that whoever inherits a dead
/// engine's children can tell a warden (given time to end its item) from a stray (killed at once).
/// Writers: the warden of a slot stores its own pid before it starts anything; the engine stores 0 when it has
/// reaped it. Relaxed suffices: a pid is compared and nothing else is published by it.
class warden_registry {
public:
    explicit warden_registry(unsigned slots) : pids_(slots) {}

    /// False: the memory could not be had.
    bool valid() const noexcept { return pids_.valid(); }
    unsigned slots() const noexcept { return static_cast<unsigned>(pids_.size()); }
    void set(unsigned slot, pid_t pid) noexcept { pids_[slot].store(pid, std::memory_order_relaxed); }
    bool contains(pid_t pid) const noexcept {
        for (std::size_t slot = 0; slot < pids_.size(); ++slot)
            if (pids_[slot].load(std::memory_order_relaxed) == pid) return true;
        return false;
    }

private:
    shared_array<std::atomic<pid_t>> pids_;
};

static_assert(std::atomic<pid_t>::is_always_lock_free);

} // namespace tenure::inline v0::app
