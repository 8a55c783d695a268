// What a test may decide in place of the runtime.
#pragma once
#include <cstddef>

namespace tenure::inline v0::core::detail {

/// Asked by a runtime without background workers, on the thread that works, no lock of its users held.
class run_order {
public:
    virtual ~run_order() = default;
    /// Which of n ready tasks goes on, n > 0; 0 is the one that has waited longest. Under the run queue's lock.
    virtual std::size_t pick(std::size_t n) noexcept = 0;
    /// How many awaits of the task that now goes on may be ready in a row; at least 1: then each one suspends.
    virtual int budget() noexcept = 0;
    /// Between two timers that are due together: true lets the tasks that the first one woke run before. Under the timers'
    /// lock.
    virtual bool pause() noexcept = 0;
    /// A task has suspended, or ended; nothing runs and no lock is held.
    virtual void suspended() noexcept = 0;
};

} // namespace tenure::inline v0::core::detail
