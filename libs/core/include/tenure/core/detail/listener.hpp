// What hears of an end besides those that wait for it: callbacks, and nodes elsewhere in the cancellation tree.
#pragma once
#include <utility>

namespace tenure::inline v0::core::detail {

class context_node;
class callback_state;

/// Listed in one list at most; its fields are guarded by the lock of whoever has the list.
class listener {
public:
    explicit listener(context_node* relay_to = nullptr) noexcept : relay_to_(relay_to) {}
    /// A node that is to be cancelled, too; null: this is a callback_state.
    context_node* relay_to() const noexcept { return relay_to_; }
    listener* next() const noexcept { return next_; }

private:
    friend class listener_list;
    context_node* relay_to_;
    listener *next_ = nullptr, *prev_ = nullptr;
    bool listed_ = false;
};

class listener_list {
public:
    listener* first() const noexcept { return first_; } // last added first
    void add(listener& l) noexcept {
        l.listed_ = true;
        l.prev_ = nullptr;
        l.next_ = first_;
        if (first_) first_->prev_ = &l;
        first_ = &l;
    }
    /// False: it is not listed, or not any more.
    bool remove(listener& l) noexcept {
        if (!std::exchange(l.listed_, false)) return false;
        (l.prev_ ? l.prev_->next_ : first_) = l.next_;
        if (l.next_) l.next_->prev_ = l.prev_;
        return true;
    }
    /// Takes the callbacks out, chained in the order in which they were added; relays stay.
    callback_state* take_callbacks() noexcept;

private:
    listener* first_ = nullptr;
};

} // namespace tenure::inline v0::core::detail
