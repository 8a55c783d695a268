// What one side of a ring does when it has caught up with the other.
//
// Two sides on two cores that follow each other closely pass the cache lines of the ring to and fro for every item, and the
// faster one finds nothing to do again and again. If it lets the other go ahead for a microsecond instead, it then has some
// hundred items for itself. A channel of 1,024 places, one sender and one receiver on two cores: 21 ns an item, with this 12.
//
// INVARIANTS
//  1. It comes before a wait begins: nobody is listed yet, no lock is held, and afterwards the side looks at the ring as
//     before. How it waits and is woken (wait_list.hpp) knows nothing of it.
//  2. At most one pause for each `needed` items that went by: a single item, or a question and its answer, is not held up.
//  3. A pause in vain, as on a runtime's only worker, doubles `needed`; one that brought something resets it.
#pragma once
#include <tenure/core/detail/item_ring.hpp>

#include <atomic>
#include <cstdint>

namespace tenure::inline v0::core::detail {

/// Of one side of one ring. `Pause` is a parameter for the tests.
template <class Pause>
class alignas(64) basic_step_back { // on a cache line of its own: the other side has another
public:
    /// The side has found nothing to do, having dealt with so many items in all. True: it has paused, and is to look again.
    bool paused(std::size_t items) noexcept {
        if (items - items_then_.load(std::memory_order_relaxed) < needed_.load(std::memory_order_relaxed))
            return false;
        items_then_.store(items, std::memory_order_relaxed);
        Pause::pause();
        return true;
    }
    /// After that: has it been of use?
    void found(bool something) noexcept {
        const std::size_t needed = needed_.load(std::memory_order_relaxed);
        if (something)
            needed_.store(least, std::memory_order_relaxed);
        else if (needed < most)
            needed_.store(needed * 2, std::memory_order_relaxed);
    }
    static constexpr std::size_t least = 32, most = std::size_t{1} << 20;

private:
    // Relaxed: several of a side may pause for the same items; nothing but time depends on it.
    std::atomic<std::size_t> items_then_{0}, needed_{least};
};
using step_back = basic_step_back<collision_pause>;

} // namespace tenure::inline v0::core::detail
