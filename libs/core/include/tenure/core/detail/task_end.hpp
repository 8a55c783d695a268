// How a task ended, and who is told of it.
//
// WORD       meaning                                            left by          (a status is below 4, `many` is 4)
//   nobody     it has not ended; nobody waits                   add() -> a waiter; listing -> many; end() -> status
//   a waiter   it has not ended; this one waits, alone          remove() -> nobody; listing -> many; end() -> status
//   many       it has not ended; who waits is on the lists      end() -> status
//   a status   it has ended; final
// INVARIANTS
//  1. A waiter that add() took is let go of once: by remove() that says true, or by end(), which returns it.
//  2. The word becomes `many` under the lock, with the lone waiter on the list by then; the lists are changed under the
//     lock, while the word says `many`. So end(), having taken `many` out of the word, finds all under the lock.
#pragma once
#include <tenure/base/mutex.hpp>
#include <tenure/core/detail/listener.hpp>

#include <atomic>
#include <cstdint>
#include <utility>

namespace tenure::inline v0::core {

/// Where a task is in its life. The last three are final.
enum class task_status : std::uint8_t { pending, done, failed, cancelled };

namespace detail {

class strand;

/// A strand or a thread that waits for a task's end; lives in the waiting operation, or on the thread's stack.
struct end_waiter {
    strand* waiting = nullptr; // null: an other_waiter
    end_waiter *next = nullptr, *prev = nullptr;
};
/// A thread, or a strand that waits for something else, too.
class other_waiter : public end_waiter {
public:
    /// It may be gone as soon as it has been told.
    virtual void told() noexcept = 0;

protected:
    ~other_waiter() = default;
};

/// The parameters let the model checker in tests/model run this very code. Waiters are aligned to 8 bytes.
template <template <class> class Atomic, class Mutex, class Lock, class Waiter, class Listeners>
class basic_task_end {
public:
    // Acquire: the result, published by end().
    task_status status() const noexcept { return status_in(word_.load(std::memory_order_acquire)); }

    /// True: listed, end() will return it. False: the task has ended.
    bool add(Waiter& w) noexcept {
        w.next = w.prev = nullptr;
        std::uintptr_t seen = nobody;
        // Release: the waiter. Acquire: the result, if it has ended.
        while (!word_.compare_exchange_weak(seen, address(w), std::memory_order_acq_rel,
                                            std::memory_order_acquire)) {
            if (has_ended(seen)) return false;
            if (seen == nobody) continue; // failed for no reason
            Lock l(m_);
            if (!become_many()) return false;
            if (first_) first_->prev = &w;
            w.next = std::exchange(first_, &w);
            return true;
        }
        return true;
    }
    /// True: end() will not return it. False: it has, or will.
    bool remove(Waiter& w) noexcept {
        std::uintptr_t seen = address(w);
        while (!word_.compare_exchange_weak(seen, nobody, std::memory_order_acq_rel,
                                            std::memory_order_acquire)) {
            if (seen == address(w)) continue; // failed for no reason
            Lock l(m_);
            if (has_ended(word_.load(std::memory_order_acquire))) return false;
            if (w.prev)
                w.prev->next = w.next;
            else
                first_ = w.next;
            if (w.next) w.next->prev = w.prev;
            return true;
        }
        return true;
    }
    /// Calls f(listeners) under the lock and returns true, unless the task has ended.
    template <class F>
    bool listen(F&& f) {
        Lock l(m_);
        if (!become_many()) return false;
        f(listeners_);
        return true;
    }
    template <class Listener>
    bool unlisten(Listener& l) noexcept {
        Lock lock(m_);
        return listeners_.remove(l);
    }

    /// Publishes the end, once, by the task's worker; tells who must hear of it: a list by `next`, and the callbacks.
    /// Nobody else touches those waiters any more.
    auto end(task_status how) noexcept {
        struct {
            Waiter* waiters = nullptr;
            decltype(std::declval<Listeners&>().take_callbacks()) callbacks{};
        } told;
        // Release: the result. Acquire: the waiter, or what was listed.
        const auto seen = word_.exchange(static_cast<std::uintptr_t>(how), std::memory_order_acq_rel);
        if (seen == many) {
            Lock l(m_);
            told.waiters = std::exchange(first_, nullptr);
            told.callbacks = listeners_.take_callbacks();
        } else {
            told.waiters = reinterpret_cast<Waiter*>(seen); // NOLINT(performance-no-int-to-ptr): it was one
        }
        return told;
    }

private:
    static constexpr std::uintptr_t nobody = 0, statuses = 3, many = 4;
    static_assert(alignof(Waiter) > many);
    static bool has_ended(std::uintptr_t word) noexcept { return word & statuses; }
    static std::uintptr_t address(Waiter& w) noexcept { return reinterpret_cast<std::uintptr_t>(&w); }
    static task_status status_in(std::uintptr_t word) noexcept {
        return static_cast<task_status>(word & statuses); // of all others: pending, which is 0
    }
    /// False: the task has ended.
    bool become_many() noexcept TENURE_REQUIRES(m_) {
        for (auto seen = word_.load(std::memory_order_acquire); seen != many;) {
            if (has_ended(seen)) return false;
            first_ =
                reinterpret_cast<Waiter*>(seen); // NOLINT(performance-no-int-to-ptr): it was one, or null
            if (word_.compare_exchange_weak(seen, many, std::memory_order_acq_rel, std::memory_order_acquire))
                break;
            first_ = nullptr;
        }
        return true;
    }
    // Writers: end(), waiters (acq_rel). Readers: anybody (acquire). Publishes the result; hands over the lone waiter.
    Atomic<std::uintptr_t> word_{nobody};
    Waiter* first_ TENURE_GUARDED_BY(m_) = nullptr;
    Listeners listeners_ TENURE_GUARDED_BY(m_){};
    Mutex m_;
};

template <class T>
using end_atomic = std::atomic<T>;
using task_end = basic_task_end<end_atomic, base::mutex, base::mutex_lock, end_waiter, listener_list>;

} // namespace detail
} // namespace tenure::inline v0::core
