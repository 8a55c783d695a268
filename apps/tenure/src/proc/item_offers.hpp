// Items that an engine offers ahead of their turn, and who has them: words in memory that engine and wardens share.
//
// The requests lie in one queue (a socket) that all wardens read, the oldest first. So items start in their order, and none
// waits behind a long one. A word says whose an offered item is:
//
//   0            free
//   id           offered                engine, from 0: put()
//   taken(slot)  the slot's warden has  warden, from id: take(), after it has read the request
//   0            the engine has it      engine, from id: take_back(), whether the request was read or not
//   0            the engine knows       engine, from taken(slot): settle(), told by the slot's report or by its warden's death
//
// A warden takes an item only when the one before has succeeded, tells so in that one's report, and starts it only then. So
// an item that a dead warden had taken without telling was not started.
// Invariants: an item that was put is taken or taken back, once. Only the engine frees a word. An id is used once: the
// request of an item that was taken back is still in the queue, and nobody must take a later offer for it (that request's
// pipes have no reader any more).
#pragma once

#include <atomic>
#include <cstdint>

namespace tenure::inline v0::app {

/// `Atomic`: std::atomic, but for the model test.
template <template <class> class Atomic>
class basic_item_offer {
public:
    /// Engine. Returns: false when the word is in use.
    bool put(std::uint64_t id) noexcept {
        std::uint64_t none = 0;
        return word_.compare_exchange_strong(none, id, std::memory_order_relaxed, std::memory_order_relaxed);
    }
    /// Warden of `slot`. Returns: true when the item is its own now.
    bool take(std::uint64_t id, unsigned slot) noexcept {
        return word_.compare_exchange_strong(id, taken(slot), std::memory_order_relaxed,
                                             std::memory_order_relaxed);
    }
    /// Engine. Returns: true when the item is the engine's again; false when a warden has it, whose report will tell.
    bool take_back(std::uint64_t id) noexcept {
        return word_.compare_exchange_strong(id, 0, std::memory_order_relaxed, std::memory_order_relaxed);
    }
    /// Engine. Returns: false when it is not the slot's warden that has the item.
    bool settle(unsigned slot) noexcept {
        std::uint64_t by = taken(slot);
        return word_.compare_exchange_strong(by, 0, std::memory_order_relaxed, std::memory_order_relaxed);
    }

private:
    static constexpr std::uint64_t taken(unsigned slot) noexcept { return ~std::uint64_t{slot}; }

    // Relaxed: the words publish nothing. The queue orders put() before take(), the report (or the death) orders take()
    // before settle(), and of two exchanges of the same value one sees what the other has left.
    Atomic<std::uint64_t> word_{0};
};

using item_offer = basic_item_offer<std::atomic>;
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

} // namespace tenure::inline v0::app
