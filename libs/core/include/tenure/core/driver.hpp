// Where a worker waits that has nothing to do, and where time comes from.
//
// A worker with an empty queue calls park(). There is no reactor thread: the parked worker itself waits for descriptors,
// processes and the next timer, and completes what became ready. Any number of workers may be parked at once.
#pragma once
#include <tenure/base/clock.hpp>

#include <cstddef>

namespace tenure::inline v0::core {
namespace detail {
class run_order;
}

/// What a driver still holds; all zero after everything that was acquired through it has been released.
struct driver_usage {
    std::size_t descriptors = 0; // registered for readiness
    std::size_t processes = 0;   // children not yet reaped
};

class driver {
public:
    driver() = default;
    driver(const driver&) = delete;
    driver& operator=(const driver&) = delete;
    virtual ~driver() = default;

    /// Threads: any.
    virtual base::time_point now() noexcept = 0;

    /// Waits until `until`, an unpark() or an event; completes the operations whose event came. May return early.
    /// Timeout: `until`; a time in the past only looks, it does not wait.
    /// Threads: any number at once.
    virtual void park(base::time_point until) = 0;

    /// Makes one park() return, the next one if none is in progress. Several calls may be merged into one.
    /// Threads: any.
    virtual void unpark() noexcept = 0;

    /// True: park() does not wait, so nothing outside could wake it: the clock of a test.
    virtual bool is_simulated() const noexcept { return false; }

    virtual driver_usage usage() noexcept { return {}; }

    /// For tests: decides in which order tasks run. Null: the runtime does. Asked once.
    virtual detail::run_order* order() noexcept { return nullptr; }
};

} // namespace tenure::inline v0::core
