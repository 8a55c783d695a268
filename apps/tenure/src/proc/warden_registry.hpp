#pragma once

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
    explicit warden_registry(unsigned slots);
    warden_registry(const warden_registry&) = delete;
    warden_registry& operator=(const warden_registry&) = delete;
    ~warden_registry();

    /// False: the memory could not be had.
    bool valid() const noexcept { return pids_ != nullptr; }
    unsigned slots() const noexcept { return slots_; }
    void set(unsigned slot, pid_t pid) noexcept;
    bool contains(pid_t pid) const noexcept;

private:
    std::atomic<pid_t>* pids_ = nullptr;
    unsigned slots_;
};

static_assert(std::atomic<pid_t>::is_always_lock_free);

} // namespace tenure::inline v0::app
