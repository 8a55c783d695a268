// Whose turn a batch's items are: the job's that runs them one after the other, or, once one has taken too long, that of the job
// which goes on behind it. In the memory of one process, or in memory that a pool shares with a worker.
//
// One word: turn | index of the next item | running.
//   begin     (t, i, 0) -> (t, i, 1)        the job of turn t        nobody else writes while nothing runs
//   end       (t, i, 1) -> (t, i + 1, 0)    the same; fails if the item was given up
//   give_up   (t, i, 1) -> (t + 1, i + 1, 0)  who watches the time
// INVARIANTS
//  1. An item that has begun is ended or given up, never both.
//  2. A job whose item was given up touches neither the batch nor its results again.
//  3. The job of turn t + 1 sees all that those before it have written.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tenure::inline v0::runner {

/// `Atomic` is a parameter so that the model checker in tests/model runs this very code.
template <template <class> class Atomic>
class basic_item_turn {
public:
    class seen {
    public:
        explicit seen(std::uint64_t word = 0) noexcept : word_(word) {}
        bool running() const noexcept { return word_ & 1; }
        std::size_t index() const noexcept { return static_cast<std::uint32_t>(word_ >> 1); }
        std::uint32_t turn() const noexcept { return static_cast<std::uint32_t>(word_ >> 33); }
        friend bool operator==(seen, seen) = default;

    private:
        friend basic_item_turn;
        std::uint64_t word_;
    };
    static constexpr std::size_t most_items = 0xFFFF'FFFF;

    void begin(std::uint32_t turn, std::size_t index) noexcept {
        // Release: whoever gives the item up goes on with what was written before.
        word_.store(make(turn, index) | 1, std::memory_order_release);
    }
    /// False: it was given up.
    bool end(std::uint32_t turn, std::size_t index) noexcept {
        std::uint64_t expected = make(turn, index) | 1;
        return word_.compare_exchange_strong(expected, make(turn, index + 1), std::memory_order_acq_rel,
                                             std::memory_order_relaxed);
    }
    /// False: it has ended meanwhile.
    bool give_up(seen s) noexcept {
        return s.running() &&
               word_.compare_exchange_strong(s.word_, make(s.turn() + 1, s.index() + 1),
                                             std::memory_order_acq_rel, std::memory_order_relaxed);
    }
    /// For another batch: nobody else knows it.
    void restart() noexcept { word_.store(0, std::memory_order_relaxed); }
    seen look() const noexcept { return seen(word_.load(std::memory_order_acquire)); }

private:
    static std::uint64_t make(std::uint32_t turn, std::size_t index) noexcept {
        return static_cast<std::uint64_t>(turn) << 33 | static_cast<std::uint64_t>(index) << 1;
    }
    Atomic<std::uint64_t> word_{0};
};

using item_turn = basic_item_turn<std::atomic>;

} // namespace tenure::inline v0::runner
