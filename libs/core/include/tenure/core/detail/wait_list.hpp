// Who waits at a channel, and how one of them is woken: the part of channels and of select_any() that has no types.
//
// A CHOOSER  somebody who waits for one of several things: listed at each of them, woken by one.
//   waiting --take(notified)--> notified   something has changed: it looks at all its arms again
//   waiting --take(given)-----> given      a partner without a buffer between them deals with this very arm
//   waiting --take(left)------> left       it gives up by itself (cancelled, or it saw that it need not wait)
// INVARIANTS
//  1. The first transition out of `waiting` wins; whoever made it `notified` or `given` calls wake() once, after that
//     touches nothing of it. Until wake() it does not leave: its arms, and what they point to, stay.
//  2. A chooser is listed anywhere only from list() to unlist(), both its own; a node that was popped is not in the list.
//     unlist() takes the list's lock, so nobody who has popped a node still looks at it afterwards.
//  3. No lost wake-up: a sleeper counts itself (seq_cst) and then looks at the queue; who changes the queue (seq_cst) looks
//     at the count afterwards.
//  4. A wake-up is for one change. A chooser that was notified and then takes something else, or nothing, passes it on.
#pragma once
#include <tenure/base/mutex.hpp>

#include <atomic>
#include <cstdint>

namespace tenure::inline v0::core::detail {

enum class chosen : std::uint32_t { waiting, notified, given, left };

/// The parameters let the model checker in tests/model run this very code.
template <template <class> class Atomic>
class basic_choice_word {
public:
    /// True: the caller made the transition, the only one.
    bool take(chosen how) noexcept {
        auto seen = static_cast<std::uint32_t>(chosen::waiting);
        // Release: what the taker did before. Acquire: the arms, written before they were listed.
        return word_.compare_exchange_strong(seen, static_cast<std::uint32_t>(how), std::memory_order_acq_rel,
                                             std::memory_order_relaxed);
    }
    /// The chooser's, after wake() or its own take().
    chosen how() const noexcept { return static_cast<chosen>(word_.load(std::memory_order_acquire)); }
    /// The chooser's, listed nowhere.
    void wait_again() noexcept {
        word_.store(static_cast<std::uint32_t>(chosen::waiting), std::memory_order_relaxed);
    }

private:
    Atomic<std::uint32_t> word_{static_cast<std::uint32_t>(chosen::waiting)};
};

/// A chooser's place in a list. Guarded by the lock of whoever has the list.
template <class Chooser>
struct basic_wait_node {
    Chooser* who = nullptr;
    void* item = nullptr; // constant while listed: where an item is taken from, or put
    basic_wait_node *next = nullptr, *prev = nullptr;
    bool listed = false;
    bool given = false; // by whoever took it as `given`, before wake()
};

/// First come, first served. All but any() under the lock of whoever has it.
template <template <class> class Atomic, class Chooser>
class basic_wait_list {
public:
    using node = basic_wait_node<Chooser>;
    /// May somebody sleep here? Asked without the lock, after the queue was changed: invariant 3.
    bool any() const noexcept { return count_.load(std::memory_order_seq_cst) > 0; }
    /// `first`: it was woken for nothing and keeps its place.
    void add(node& n, bool first) noexcept {
        node* const after = first ? nullptr : last_;
        n.prev = after;
        n.next = first ? first_ : nullptr;
        (n.prev ? n.prev->next : first_) = &n;
        (n.next ? n.next->prev : last_) = &n;
        n.listed = true;
        count_.fetch_add(1, std::memory_order_seq_cst);
    }
    /// False: it was popped.
    bool remove(node& n) noexcept {
        if (!n.listed) return false;
        n.listed = false;
        (n.prev ? n.prev->next : first_) = n.next;
        (n.next ? n.next->prev : last_) = n.prev;
        count_.fetch_sub(1, std::memory_order_relaxed); // one too many looks in vain
        return true;
    }
    /// Pops up to the first that can be taken, and takes it. Null: nobody.
    node* take_first(chosen how) noexcept {
        while (node* const n = first_) {
            remove(*n);
            if (n->who->word.take(how)) return n;
        }
        return nullptr;
    }

private:
    node *first_ = nullptr, *last_ = nullptr;
    // Writers: under the lock; one that lists itself seq_cst. Readers: any().
    Atomic<std::uint32_t> count_{0};
};

} // namespace tenure::inline v0::core::detail
