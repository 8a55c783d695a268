// The state word of a strand: who may touch a task that waits.
//
// BIT        meaning                                  set by                    cleared by
//   parked   nobody runs the strand                   its worker, try_park()    whoever wins the right to enqueue it
//   no_cancel  this wait ends only by completion      its worker, with parked   together with parked
//   done     the awaited operation has finished       the operation             its worker
//   hint     look at your context                     a canceller               its worker, or lost with done
//
// OWNER OF THE STRAND  queued: the queue · running: a worker · parked: nobody · claimed: a reader.
// INVARIANTS
//  1. Whoever turns `parked` off owns the strand until it has pushed it: exactly one push per park.
//  2. complete() is called once per started operation, unless try_cancel() withdrew it. After complete() returns, the
//     caller may not touch the strand: it may have ended.
//  3. A finished operation is delivered before a cancellation is looked at (done is tested first).
//  4. A hint may be lost (done overwrites it): the flag in the context is what counts, and it is set before the hint.
//     So every step that overwrites a hint is a read-modify-write: having read the hint (acquire), the worker sees the
//     flag (written before the canceller's release). A plain store could pass the flag's read and lose the cancel.
//  5. A reader that turned `parked` off (claim) only reads the strand's frames, and gives it back by unclaim(): parked
//     again as it was, unless somebody wanted it meanwhile; then it is the reader that pushes. To poke() and complete() a
//     claimed strand looks like a running one: they leave their bit, and unclaim() finds it. So nobody is kept waiting,
//     no wake-up is lost, and there is still exactly one push per park.
//
// Legal transitions (worker W, canceller C, operation O, reader R; the strand's next wait starts from 0):
//   0 -W-> parked | parked+no_cancel      any -C-> +hint, but parked (without no_cancel) -C-> hint and C pushes
//   any -O-> +done, but parked* -O-> done and O pushes      done* -W-> 0 (delivered)      hint -W-> 0 (looked)
//   parked* -R-> -parked      then -R-> +parked, but with done, or hint without no_cancel, -R-> done | hint and R pushes
#pragma once
#include <atomic>
#include <cstdint>

namespace tenure::inline v0::core::detail {

/// `Atomic` is a parameter so that the model checker in tests/model runs this very code.
template <template <class> class Atomic>
class basic_state_word {
public:
    enum : std::uint32_t { parked = 1, no_cancel = 2, done = 4, hint = 8 };
    enum class park_result : std::uint8_t { parked, completed, look };

    /// Canceller, after it set the context's flag. True: the caller owns the strand now and must enqueue it.
    bool poke() noexcept {
        auto seen =
            bits_.load(std::memory_order_relaxed); // the exchange below orders; this is only a first guess
        for (;;) {
            const bool take = (seen & parked) && !(seen & no_cancel);
            // Release: publishes the flag with the hint. Acquire: takes over what the parking worker wrote.
            if (bits_.compare_exchange_weak(seen, take ? std::uint32_t(hint) : (seen | hint),
                                            std::memory_order_acq_rel, std::memory_order_relaxed))
                return take;
        }
    }
    /// The operation, from any thread, once. True: the caller owns the strand now and must enqueue it.
    bool complete() noexcept {
        auto seen = bits_.load(std::memory_order_relaxed);
        for (;;) {
            const bool take = seen & parked;
            // Release: publishes the operation's result. Acquire: as in poke().
            if (bits_.compare_exchange_weak(seen, take ? std::uint32_t(done) : (seen | done),
                                            std::memory_order_acq_rel, std::memory_order_relaxed))
                return take;
        }
    }
    /// The strand's worker. `parked`: let go, the strand belongs to nobody. `completed`: the operation has finished, the
    /// word is 0. `look`: somebody left a hint; look at the context, then call again.
    park_result try_park(bool nocancel) noexcept {
        auto seen = bits_.load(std::memory_order_acquire);
        for (;;) {
            if (seen & done) {
                bits_.exchange(
                    0, std::memory_order_acq_rel); // invariant 4: may overwrite a hint, so it must read it
                return park_result::completed;
            }
            if (seen & hint) {
                if (bits_.compare_exchange_weak(seen, seen & ~std::uint32_t(hint), std::memory_order_acq_rel,
                                                std::memory_order_acquire))
                    return park_result::look;
                continue;
            }
            const std::uint32_t next = parked | (nocancel ? std::uint32_t(no_cancel) : 0u);
            if (bits_.compare_exchange_weak(seen, next, std::memory_order_acq_rel, std::memory_order_acquire))
                return park_result::parked;
        }
    }
    /// A reader that keeps the strand from ending meanwhile. True: the caller may read the frames, and calls unclaim().
    bool claim() noexcept {
        auto seen = bits_.load(std::memory_order_relaxed); // as in poke()
        while (seen & parked)                              // Acquire: what the parking worker wrote is there.
            if (bits_.compare_exchange_weak(seen, seen & ~std::uint32_t(parked), std::memory_order_acq_rel,
                                            std::memory_order_relaxed))
                return true;
        return false;
    }
    /// True: the caller owns the strand now and must enqueue it.
    bool unclaim() noexcept {
        auto seen = bits_.load(std::memory_order_relaxed);
        for (;;) {
            const bool take = (seen & done) || ((seen & hint) && !(seen & no_cancel));
            const std::uint32_t woken = seen & done ? std::uint32_t(done) : std::uint32_t(hint);
            // Release: the reads are over before the next owner writes.
            if (bits_.compare_exchange_weak(seen, take ? woken : (seen | parked), std::memory_order_acq_rel,
                                            std::memory_order_relaxed))
                return take;
        }
    }
    /// The strand's worker, after try_cancel() withdrew the operation: nobody will call complete().
    void withdrawn() noexcept { bits_.exchange(0, std::memory_order_acq_rel); }

private:
    // Writers: worker, canceller, operation, reader (acq_rel). Readers: the same. Publishes the operation's result and the
    // context's flag; hands the strand from one owner to the next.
    Atomic<std::uint32_t> bits_{0};
};

template <class T>
using std_atomic = std::atomic<T>;
using state_word = basic_state_word<std_atomic>;

} // namespace tenure::inline v0::core::detail
