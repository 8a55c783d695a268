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

/// One word: the children (background ones among them), the background children, and
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
            std::uint64_t next = seen - unit(kind);
            const bool tell =
                (seen & waiting) && (children(next) == 0 || (!(seen & drained) && only_background(next)));
            if (tell) next = (next & ~waiting) | (children(next) == 0 ? ended : 0);
            // Release: what the child did is seen by who joins. Acquire: joiner_, and what the other children did.
            if (word_.compare_exchange_weak(seen, next, std::memory_order_acq_rel, std::memory_order_relaxed))
                return tell ? joiner_ : nullptr; // it waits for us, and keeps the group
        }
    }
    join_result join(Strand& s) noexcept {
        auto seen = word_.load(std::memory_order_relaxed);
        joiner_ = &s; // nobody reads it before `waiting` is set
        for (;;) {
            const join_result said = children(seen) == 0                          ? join_result::ended
                                     : !(seen & drained) && only_background(seen) ? join_result::drain
                                                                                  : join_result::wait;
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
    static constexpr unsigned children_at = 3, background_at = 34; // 31 and 30 bits
    static constexpr std::uint64_t unit(child_kind kind) noexcept {
        return (std::uint64_t(1) << children_at) |
               (kind == child_kind::background ? std::uint64_t(1) << background_at : 0);
    }
    static constexpr std::uint64_t children(std::uint64_t w) noexcept {
        return (w >> children_at) & ((std::uint64_t(1) << (background_at - children_at)) - 1);
    }
    static constexpr bool only_background(std::uint64_t w) noexcept {
        return children(w) == w >> background_at;
    }
    // Writers: children (down: acq_rel), spawners (relaxed), the joiner (acq_rel). Readers: the same.
    Atomic<std::uint64_t> word_{0};
    Strand* joiner_ = nullptr; // written before `waiting` is set, read by who clears it
};

template <class T>
using child_atomic = std::atomic<T>;
using child_count = basic_child_count<child_atomic, strand>;

} // namespace tenure::inline v0::core::detail
