// channel<T>: a bounded queue between tasks, and between tasks and threads.
#pragma once
#include <tenure/core/detail/channel_state.hpp>

namespace tenure::inline v0::core {

/// Items of type T from any number of senders to any number of receivers, each item to one of them, in order.
///
/// A capacity of n: a sender is never more than n items ahead of the receivers, and waits for room. 0: send() returns when a
///   receiver has the item in its hands.
/// Closed: nothing more can be sent; what is inside is still received, then every receive() is empty.
/// Order: items are received in the order in which they were sent. Who waits longest is woken first; somebody who comes at
///   that moment and need not wait may be faster (with a capacity of 0: never).
/// Owner: the handles together; copies are the same channel. It owns no task. Items that nobody received die with the last
///   handle. A channel that waits for itself - the last sender is gone, and it was not closed - is a deadlock like any other:
///   close it, or hold the senders' group.
/// Cancel: a wait ends, and the channel is as if it had not begun: no item is lost, none is sent twice. The item of a sender
///   that was cancelled dies with its operation.
/// Threads: any. Errors: closed_error from send().
/// T: its move constructor and destructor must not throw, and must not use this channel. They run under no lock.
template <class T>
class channel {
    using state = detail::channel_state<T>;
    template <class Half>
    using operation = detail::channel_operation<Half>;

public:
    using value_type = T;
    explicit channel(std::size_t capacity) : state_(base::ref<state>::adopt(new state(capacity))) {}

    /// `co_await c.send(v)`: waits for room. Throws: closed_error, also if the channel is closed while it waits.
    auto send(T v) const& { return operation<detail::sending<T>>({state_.get(), std::move(v)}); }
    /// `while (auto v = co_await c.receive()) use(*v);`: waits for an item; empty once the channel is closed and drained.
    auto receive() const& { return operation<detail::receiving<T>>({state_.get()}); }
    // The channel must live until the operation is awaited: a temporary one would not.
    auto send(T v) && = delete;
    auto receive() && = delete;

    /// Without waiting. True: v was moved away. False: no room, no receiver that waits (capacity 0), or closed(); v is as it
    /// was.
    [[nodiscard]] bool try_send(T& v) const noexcept {
        return (state_->buffered() ? state_->push(v) : state_->hand_over(v)) == detail::transfer::done;
    }
    [[nodiscard]] bool try_send(T&& v) const noexcept { return try_send(v); }
    /// Without waiting; empty if there is no item, or none any more.
    std::optional<T> try_receive() const noexcept {
        std::optional<T> got;
        (void)(state_->buffered() ? state_->pop(got) : state_->take_over(got));
        return got;
    }

    /// send() and receive() for plain code: the thread waits. In a plain function that runs as a task another thread works
    /// meanwhile. Cancel: does not end it; close the channel. Throws: as send(); usage_error inside a coroutine.
    void blocking_send(T v) const {
        detail::transfer_blocking(detail::sending<T>{state_.get(), std::move(v)});
    }
    std::optional<T> blocking_receive() const {
        return detail::transfer_blocking(detail::receiving<T>{state_.get()});
    }

    /// From now on nothing can be sent. Wakes all that wait. True: the first call.
    bool close() const noexcept { return state_->close(); }
    bool closed() const noexcept { return state_->closed(); }
    /// How many items are inside; may be out of date at once.
    std::size_t size() const noexcept { return state_->size(); }
    std::size_t capacity() const noexcept { return state_->capacity(); }

private:
    base::ref<state> state_;
};

} // namespace tenure::inline v0::core
