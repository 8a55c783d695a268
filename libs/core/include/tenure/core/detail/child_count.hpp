// How many children of a group have not ended, and who waits for the last one.
//
// Background children are counted apart: when only they are left and the body has ended, the joiner is woken to cancel them,
// once, and then waits for every child.
#pragma once
#include <atomic>
#include <cstdint>

namespace tenure::inline v0::core::detail {

class strand;

enum class child_kind : std::uint8_t { ordinary, background };

enum class join_result : std::uint8_t {
    ended, // no child is left, and the group has ended
    wait,  // down() will return the joiner
    drain  // only background children are left: cancel them, then join again
};

/// One word: the ordinary children, above all else, the background children, and
///   waiting   joiner_ is listed                              set by join()      cleared by the down() that returns it
///   drained   the joiner was told to cancel the background   set by join()      never
///   ended     no child is left and none is let in            set by join() or down(), never cleared
/// `Atomic` and `Strand` are parameters so that the model checker in tests/model runs this very code.
/// INVARIANTS
///  1. The group ends once. A listed joiner is returned by exactly one down(), which takes it off.
///  2. Once it has ended no child is counted any more; while a child lives, more may be.
///  3. A joiner that has to cancel the background children is told so before it waits for them.
///  4. A down() that returns null touches nothing after it has counted: the group may be gone.
template <template <class> class Atomic, class Strand>
class basic_child_count {
public:
    /// False: the group has ended; nothing was counted.
    bool try_up(child_kind kind = child_kind::ordinary) noexcept {
        auto seen = word_.load(std::memory_order_relaxed);
        do {
            if (seen & ended) return false;
            // Relaxed: a child publishes nothing by being counted; the release of those that ended before stays readable.
        } while (!word_.compare_exchange_weak(seen, seen + unit(kind), std::memory_order_relaxed,
                                              std::memory_order_relaxed));
        return true;
    }
    /// The joiner, if this was the last child it waits for: the caller completes it, and it joins again.
    Strand* down(child_kind kind = child_kind::ordinary) noexcept {
        auto seen = word_.load(std::memory_order_relaxed);
        for (;;) {
            const std::uint64_t next = seen - unit(kind);
            // Release: what the child did is seen by who joins. Acquire: joiner_, and what the other children did.
            if (next >= one_ordinary || !tells(seen, next)) {
                if (word_.compare_exchange_weak(seen, next, std::memory_order_acq_rel,
                                                std::memory_order_relaxed))
                    return nullptr;
            } else if (word_.compare_exchange_weak(seen,
                                                   (next & ~waiting) | (background(next) == 0 ? ended : 0),
                                                   std::memory_order_acq_rel, std::memory_order_relaxed)) {
                return joiner_; // it waits for us, and keeps the group
            }
        }
    }
    join_result join(Strand& s) noexcept {
        auto seen = word_.load(std::memory_order_relaxed);
        joiner_ = &s; // nobody reads it before `waiting` is set
        for (;;) {
            const join_result said = seen >= one_ordinary    ? join_result::wait
                                     : background(seen) == 0 ? join_result::ended
                                     : seen & drained        ? join_result::wait
                                                             : join_result::drain;
            const std::uint64_t mark = said == join_result::ended   ? ended
                                       : said == join_result::drain ? drained
                                                                    : waiting;
            // Acquire: what the children did. Release: joiner_.
            if (word_.compare_exchange_weak(seen, seen | mark, std::memory_order_acq_rel,
                                            std::memory_order_relaxed))
                return said;
        }
    }

private:
    static constexpr std::uint64_t waiting = 1, drained = 2, ended = 4;
    static constexpr std::uint64_t one_background = 8, one_ordinary = std::uint64_t(1)
                                                                      << 33; // 30 and 31 bits
    static constexpr std::uint64_t unit(child_kind kind) noexcept {
        return kind == child_kind::background ? one_background : one_ordinary;
    }
    /// No ordinary child is left: does the joiner hear of it?
    static constexpr bool tells(std::uint64_t seen, std::uint64_t next) noexcept {
        return (seen & waiting) && (background(next) == 0 || !(seen & drained));
    }
    static constexpr std::uint64_t background(std::uint64_t w) noexcept {
        return w & (one_ordinary - one_background);
    }
    // Writers: children (down: acq_rel), spawners (relaxed), the joiner (acq_rel). Readers: the same.
    Atomic<std::uint64_t> word_{0};
    Strand* joiner_ = nullptr; // written before `waiting` is set, read by who clears it
};

template <class T>
using child_atomic = std::atomic<T>;
using child_count = basic_child_count<child_atomic, strand>;

} // namespace tenure::inline v0::core::detail
