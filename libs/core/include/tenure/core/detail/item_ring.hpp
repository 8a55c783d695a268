// The bounded queue inside a channel: many producers, many consumers, no lock. The algorithm is that of Dmitry Vyukov's
// bounded MPMC queue, with the lap kept apart from the index, so that any capacity will do without a division.
//
// A POSITION  is lap | closed bit | index. head: the next to be taken, tail: the next to be filled.
// A SLOT'S STAMP  says whose turn it is:      set by
//   == a tail position         free for it      the consumer of the lap before, once the item is out
//   == a tail position + 1     full             the producer, once the item is in
// INVARIANTS
//  1. Whoever moves head or tail on owns the slot there, until it sets the stamp: items are moved by one thread at a time.
//  2. tail is never more than `capacity` ahead of head.
//  3. close() sets the closed bit in tail, where every producer must pass: nothing comes in after it.
//  4. Somebody who wants to sleep says so first (wait_list.hpp) and then looks at head and tail: both are moved on by
//     seq_cst read-modify-writes, before the mover looks for sleepers. One of the two sees the other (Dekker).
#pragma once
#include <tenure/base/mutex.hpp>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace tenure::inline v0::core::detail {

/// `busy`: the slot is claimed by a thread that has not finished with it; soon it will have.
enum class transfer : std::uint8_t { done, not_now, busy, closed };

/// After another thread has been faster: two that go on pushing at once take the line with tail from each other for every
/// item; if the slower one lets the other go ahead for a while, each has it for many. Four senders and four receivers on two
/// cores: 25 ns an item, without it 33.
struct collision_pause {
    static void pause() noexcept {
        constexpr int about_a_microsecond = 64;
        for (int i = 0; i < about_a_microsecond; ++i)
            base::detail::futex::pause();
    }
};

/// `Atomic` and `Collision` are parameters so that the model checker in tests/model runs this very code.
template <class T, template <class> class Atomic, class Collision = collision_pause>
class basic_item_ring {
public:
    explicit basic_item_ring(std::size_t capacity)
        : capacity_(capacity),
          closed_bit_(std::bit_ceil(capacity + 1)),
          one_lap_(closed_bit_ * 2),
          slots_(std::make_unique<slot[]>(capacity)) {
        for (std::size_t i = 1; i < capacity; ++i) // the first one has its 0
            slots_[i].stamp.store(i, std::memory_order_relaxed);
    }
    basic_item_ring(const basic_item_ring&) = delete;
    basic_item_ring& operator=(const basic_item_ring&) = delete;
    /// Nobody uses it any more.
    ~basic_item_ring() {
        if constexpr (!std::is_trivially_destructible_v<T>) {
            std::optional<T> left;
            while (pop(left) == transfer::done)
                left.reset();
        }
    }

    /// Moves v in. not_now: full; v is untouched, unless it is `done`.
    transfer push(T& v) noexcept {
        std::size_t tail = tail_.load(std::memory_order_relaxed);
        for (;;) {
            if (tail & closed_bit_) return transfer::closed;
            slot& s = slots_[tail & (closed_bit_ - 1)];
            const std::size_t stamp =
                s.stamp.load(std::memory_order_acquire); // the item before has been taken out
            if (stamp == tail) {
                if (tail_.compare_exchange_weak(tail, following(tail), std::memory_order_seq_cst,
                                                std::memory_order_relaxed)) {
                    ::new (s.storage()) T(std::move(v));
                    s.stamp.store(tail + 1, std::memory_order_release); // the item
                    return transfer::done;
                }
                Collision::pause();
                continue;
            }
            const std::size_t now = tail_.load(std::memory_order_seq_cst);
            if (now != tail) {
                tail = now;
                continue;
            }
            return head_.load(std::memory_order_seq_cst) + one_lap_ == tail ? transfer::not_now
                                                                            : transfer::busy;
        }
    }
    /// not_now: empty; closed: empty for ever.
    transfer pop(std::optional<T>& into) noexcept {
        std::size_t head = head_.load(std::memory_order_relaxed);
        for (;;) {
            slot& s = slots_[head & (closed_bit_ - 1)];
            const std::size_t stamp = s.stamp.load(std::memory_order_acquire); // the item
            if (stamp == head + 1) {
                if (head_.compare_exchange_weak(head, following(head), std::memory_order_seq_cst,
                                                std::memory_order_relaxed)) {
                    T* const item = s.item();
                    into.emplace(std::move(*item));
                    item->~T();
                    s.stamp.store(head + one_lap_, std::memory_order_release); // it is out
                    return transfer::done;
                }
                Collision::pause();
                continue;
            }
            const std::size_t tail = tail_.load(std::memory_order_seq_cst);
            const std::size_t now = head_.load(std::memory_order_seq_cst);
            if (now != head) {
                head = now;
                continue;
            }
            if ((tail & ~closed_bit_) != head) return transfer::busy;
            return tail & closed_bit_ ? transfer::closed : transfer::not_now;
        }
    }
    /// False: it was closed before.
    bool close() noexcept { return !(tail_.fetch_or(closed_bit_, std::memory_order_seq_cst) & closed_bit_); }
    bool closed() const noexcept { return tail_.load(std::memory_order_acquire) & closed_bit_; }

    // For those who are about to sleep: would push(), or pop(), say not_now?
    bool full() const noexcept {
        const std::size_t tail = tail_.load(std::memory_order_seq_cst);
        return head_.load(std::memory_order_seq_cst) + one_lap_ == tail; // false if it is closed, too
    }
    bool empty() const noexcept {
        return head_.load(std::memory_order_seq_cst) == tail_.load(std::memory_order_seq_cst);
    }
    /// How many items; may be out of date at once.
    std::size_t size() const noexcept {
        const std::size_t head = head_.load(std::memory_order_acquire);
        const std::size_t tail = tail_.load(std::memory_order_acquire) & ~closed_bit_;
        const std::size_t from = head & (closed_bit_ - 1), to = tail & (closed_bit_ - 1);
        if ((tail & ~(one_lap_ - 1)) == (head & ~(one_lap_ - 1))) return to > from ? to - from : 0;
        const std::size_t n = capacity_ - from + to;
        return n < capacity_ ? n : capacity_;
    }
    std::size_t capacity() const noexcept { return capacity_; }
    // How many items ever; only differences say something. Relaxed: for estimates.
    std::size_t gone_in() const noexcept { return items_before(tail_.load(std::memory_order_relaxed)); }
    std::size_t come_out() const noexcept { return items_before(head_.load(std::memory_order_relaxed)); }

private:
    struct slot {
        Atomic<std::size_t> stamp{0};
        alignas(T) unsigned char bytes[sizeof(T)];
        void* storage() noexcept { return bytes; }
        T* item() noexcept { return std::launder(reinterpret_cast<T*>(bytes)); }
    };
    std::size_t items_before(std::size_t position) const noexcept {
        return position / one_lap_ * capacity_ + (position & (closed_bit_ - 1));
    }
    std::size_t following(std::size_t position) const noexcept {
        if ((position & (closed_bit_ - 1)) + 1 < capacity_) return position + 1;
        return (position & ~(one_lap_ - 1)) + one_lap_;
    }

    static constexpr std::size_t line = 64;
    // Each on a cache line of its own: producers write the one, consumers the other.
    // Writers: producers, close(). Readers: all.
    alignas(line) Atomic<std::size_t> tail_{0};
    // Writers: consumers. Readers: all.
    alignas(line) Atomic<std::size_t> head_{0};
    alignas(line) const std::size_t capacity_;
    const std::size_t closed_bit_; // above every index
    const std::size_t one_lap_;
    const std::unique_ptr<slot[]> slots_;
};

template <class T>
using ring_atomic = std::atomic<T>;
template <class T>
using item_ring = basic_item_ring<T, ring_atomic>;

} // namespace tenure::inline v0::core::detail
