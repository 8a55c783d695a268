// The handle on a registered callback: future::on_done, context::after_func.
#pragma once
#include <tenure/core/detail/callback_state.hpp>

namespace tenure::inline v0::core {

/// Keeps a callback registered. The callback runs once, on a worker, never on the stack of whoever caused it.
/// Owner: whoever holds it. Destroying it stops the callback, and waits for a call that is running on another thread; on
///   the thread that runs it, it returns at once. So what the callback borrows need only outlive the handle.
/// Threads: any; one at a time.
class [[nodiscard(
    "dropping the handle stops the callback: keep it, or release() it to its source")]] callback_handle {
public:
    callback_handle() = default;
    explicit callback_handle(base::ref<detail::callback_state> c) noexcept : callback_(std::move(c)) {}
    callback_handle(callback_handle&& o) noexcept : callback_(std::exchange(o.callback_, nullptr)) {}
    callback_handle& operator=(callback_handle&& o) noexcept {
        callback_handle old(std::exchange(callback_, std::exchange(o.callback_, nullptr)));
        return *this;
    }
    ~callback_handle() {
        if (callback_ && !callback_->stop()) callback_->wait();
    }

    /// True iff this prevented the call: it has not begun, and never will. Does not wait.
    bool stop() noexcept { return callback_ && callback_->stop(); }
    /// Leaves the callback to what it was registered with: it runs when that ends. It may borrow nothing then.
    void release() noexcept { callback_ = nullptr; }

private:
    base::ref<detail::callback_state> callback_;
};

} // namespace tenure::inline v0::core
