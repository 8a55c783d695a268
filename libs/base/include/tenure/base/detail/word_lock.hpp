// A lock and a condition of one and two words, over the kernel's futex. Why not std::mutex: of a spawn and its join, a
// third was the time of its calls, and its 40 bytes and a condition's 48 were a quarter of a task object.
//
// LOCK WORD  free · held · contended: held, and somebody may sleep (Drepper, Futexes Are Tricky, "mutex2")
//   free -lock-> held       any -lock, having failed for a while-> contended, and sleeps unless it was free
//   held -unlock-> free     contended -unlock-> free, and wakes one sleeper
// INVARIANTS
//  1. Who got `free` out of the word holds the lock until it puts `free` back.
//  2. Who sleeps has put `contended` there after it last saw somebody hold the lock, and a woken one puts it there again:
//     so while anybody sleeps, the unlock that frees the word wakes one.
//  3. After the exchange, unlock() uses only the word's address, to wake by it: the lock may be gone.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>

namespace tenure::inline v0::base::detail {

/// The kernel's: sleeps on a word while it has the expected value.
struct futex {
    using deadline = std::chrono::nanoseconds; // on the steady clock
    static void wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                     const deadline* until) noexcept;
    static void wake_one(const std::atomic<std::uint32_t>& word) noexcept;
    static void wake_all(const std::atomic<std::uint32_t>& word) noexcept;
    /// How often a held lock is looked at before its waiter sleeps: most are let go of within some 100 ns, while to sleep
    /// and to be woken takes 5 us.
    static constexpr int looks = 40;
    static void pause() noexcept {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
};

/// `Atomic` and `Futex` are parameters so that the model checker in tests/model runs this very code.
template <template <class> class Atomic, class Futex>
class basic_word_lock {
public:
    void lock() noexcept {
        std::uint32_t seen = free;
        // Acquire: pairs with unlock().
        if (word_.compare_exchange_weak(seen, held, std::memory_order_acquire, std::memory_order_relaxed))
            return;
        lock_slowly();
    }
    void unlock() noexcept {
        // Release: what was done under the lock is seen by the next one that locks.
        if (word_.exchange(free, std::memory_order_release) == contended) Futex::wake_one(word_);
    }

private:
    enum : std::uint32_t { free = 0, held = 1, contended = 2 };
    [[gnu::noinline, gnu::cold]] void lock_slowly() noexcept {
        for (int i = 0; i < Futex::looks; ++i) { // if somebody sleeps already, it takes longer
            std::uint32_t seen = word_.load(std::memory_order_relaxed);
            if (seen == contended) break;
            if (seen == free &&
                word_.compare_exchange_weak(seen, held, std::memory_order_acquire, std::memory_order_relaxed))
                return;
            Futex::pause();
        }
        // Acquire: as in lock(). Whatever is there becomes contended: invariant 2.
        while (word_.exchange(contended, std::memory_order_acquire) != free)
            Futex::wait(word_, contended, nullptr);
    }
    Atomic<std::uint32_t> word_{free};
};

/// INVARIANT  A waiter reads the round under the lock. Whoever changes what it waits for does that under the lock, and
/// notifies afterwards: either the waiter saw the change, or the round changes after it was read, and the sleep ends.
template <template <class> class Atomic, class Futex>
class basic_word_condition {
public:
    /// Releases the lock meanwhile. May end early; at the deadline, if there is one.
    template <class Lock>
    void wait(Lock& lock, const typename Futex::deadline* until) noexcept {
        const std::uint32_t round = round_.load(std::memory_order_relaxed); // the lock orders it
        waiters_.fetch_add(1, std::memory_order_relaxed);                   // and this
        lock.unlock();
        Futex::wait(round_, round, until);
        lock.lock();
        waiters_.fetch_sub(1, std::memory_order_relaxed);
    }
    void notify_one() noexcept {
        if (next_round()) Futex::wake_one(round_);
    }
    void notify_all() noexcept {
        if (next_round()) Futex::wake_all(round_);
    }

private:
    bool next_round() noexcept {
        // The notifier has held the lock since the change: a waiter of before is in the count.
        if (waiters_.load(std::memory_order_relaxed) == 0) return false;
        round_.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    Atomic<std::uint32_t> round_{0};
    Atomic<std::uint32_t> waiters_{0};
};

template <class T>
using std_atomic = std::atomic<T>;
using word_lock = basic_word_lock<std_atomic, futex>;
using word_condition = basic_word_condition<std_atomic, futex>;

} // namespace tenure::inline v0::base::detail
