// The descriptors that one epoll instance watches, and who waits for each.
//
// A REGISTRATION is a slot in a slab. One descriptor owns it from open() to close(). The mutex guards all its fields.
//
//   free --open()--> idle --first wait--> watched (EPOLL_CTL_ADD)  or, for files that epoll refuses, always_ready
//   any of the three --close()--> free, next generation (watched: EPOLL_CTL_DEL first)
//
// Each DIRECTION counts what epoll reported (`events`) and remembers up to which report it was found empty (`drained`).
// It is ready while the two differ: readiness is cached, and forgotten only by an attempt that saw EAGAIN.
//   report    events + 1; the waiter is taken out, then completed with no lock held
//   attempt   notes `events` before the system call; on EAGAIN that number becomes `drained`
//   wait      ready: goes on at once · somebody waits already: refused · otherwise: the strand becomes the waiter
//   withdraw  the strand is still the waiter: taken out · otherwise its completion is coming
// INVARIANTS
//  1. A direction with a waiter is not ready, and its slot is watched.
//  2. Whoever takes a waiter out of the slot completes it, once; only withdraw() takes it out and does not.
//  3. No report is lost: one that comes between an attempt and its EAGAIN makes `events` differ from what was noted.
//  4. Event data is generation and index. A report that a worker fetched before close() and looks at afterwards meets
//     another generation and is dropped, although the slot or the number of the descriptor may be in use again.
//  5. EPOLL_CTL_DEL comes before the descriptor is closed: a child between fork and exec may hold a copy, which would
//     keep the old registration reporting for ever.
// Lock order: nothing is locked under the mutex, and unpark() takes no lock: the scheduler calls it under its own.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/mutex.hpp>
#include <tenure/base/ref.hpp>
#include <tenure/core/driver.hpp>
#include <tenure/core/operation.hpp>
#include <tenure/io/unique_fd.hpp>

#include <atomic>
#include <cstdint>
#include <vector>

struct epoll_event;

namespace tenure::inline v0::io::detail {

enum class direction : std::uint8_t { read, write };

/// Names a slot; refers to nothing once the slot was closed.
struct registration {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;
};

class registry final : public base::ref_counted {
public:
    enum class wait_result : std::uint8_t { waits, ready, busy, closed, failed };

    /// Throws: std::system_error if the kernel has no descriptor or no memory to give.
    explicit registry(const core::driver& of);

    /// The driver, for comparison only; null once it has been destroyed.
    const core::driver* driver() const noexcept {
        return driver_.load(std::memory_order_relaxed);
    } // compared, not used
    void driver_is_gone() noexcept { driver_.store(nullptr, std::memory_order_relaxed); }

    registration open(int fd);
    /// Ends the registration; a task that still waits for it finds it closed.
    void close(registration r) noexcept;

    /// To be noted before an attempt. `closed`: the descriptor may have another owner now, keep away from it.
    struct look {
        std::uint32_t events = 0;
        bool ready = false;
        bool closed = false;
    };
    look peek(registration r, direction d) noexcept;
    /// The attempt that began at `events` saw EAGAIN.
    void drained(registration r, direction d, std::uint32_t events) noexcept;
    /// After such an attempt. waits: w.complete() will come, unless withdraw() says true. ready: a report has come since
    /// `events`, try again. failed: errno says why.
    wait_result wait(registration r, direction d, std::uint32_t events, core::detail::strand& w) noexcept;
    bool withdraw(registration r, direction d, core::detail::strand& w) noexcept;

    /// One look, or one wait: completes what became ready. Threads: any number at once.
    void poll(base::time_point until);
    /// What poll() does with what it fetched. `returning`: this thread counts as idle and goes back to the run queue next.
    void deliver(const epoll_event* events, int count, bool returning) noexcept;
    void unpark() noexcept;

    void child_started() noexcept;
    void child_reaped() noexcept;
    core::driver_usage usage() noexcept;

private:
    enum class slot_state : std::uint8_t { free, idle, watched, always_ready };
    struct side {
        core::detail::strand* waiter = nullptr;
        std::uint32_t events = 0;
        std::uint32_t drained = 0;
    };
    struct slot {
        side sides[2];
        int fd = -1;
        std::uint32_t generation = 0;
        std::uint32_t next_free = 0; // while free
        slot_state state = slot_state::free;
    };
    slot* find(registration r) noexcept TENURE_REQUIRES(m_);
    bool watch(registration r, slot& s) noexcept TENURE_REQUIRES(m_);
    int wait_for_events(epoll_event* out, int room, base::time_point until, bool& looked_only);

    unique_fd epoll_;
    unique_fd wake_; // eventfd: written, never read; edge-triggered, so each write is one report
    // Writer: the driver's destructor. Reader: descriptors. Relaxed: it is compared with a pointer, never followed.
    std::atomic<const core::driver*> driver_;

    base::mutex m_;
    std::vector<slot> slots_ TENURE_GUARDED_BY(m_);
    std::uint32_t free_ TENURE_GUARDED_BY(m_);
    std::size_t open_ TENURE_GUARDED_BY(m_) = 0;
    std::size_t children_ TENURE_GUARDED_BY(m_) = 0;
};

} // namespace tenure::inline v0::io::detail
