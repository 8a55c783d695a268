// as_outcome: turns failure and cancellation into a value.
#pragma once
#include <tenure/core/task.hpp>

namespace tenure::inline v0::core {
namespace detail {

template <class T>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] observe final : public link {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = false;
    explicit observe(task<T>&& t) noexcept : task_(std::move(t)) {}
    bool ready() const noexcept { return false; }
    void start(strand& s, frame& f) {
        caller_ = &f;
        task_.enter(s, *this, result_);
    }
    bool child_ended(strand& s, ending how) noexcept override {
        if (how == ending::unwound) why_ = s.context->why();
        unwound_ = how == ending::unwound;
        s.leaf = caller_;
        s.next = step::resume;
        return true;
    }
    base::outcome<T> result() {
        if (unwound_) return base::outcome<T>::cancelled(std::move(why_));
        if (result_.error) return base::outcome<T>::failure(std::move(result_.error));
        if constexpr (std::is_void_v<T>)
            return base::outcome<T>::success();
        else
            return base::outcome<T>::success(std::move(*result_.value));
    }

private:
    frame* caller_ = nullptr;
    task<T> task_;
    detail::result<T> result_;
    bool unwound_ = false;
    base::cause_ptr why_;
};

template <class Op>
auto await_in_own_frame(Op op) -> task<std::remove_cvref_t<decltype(op.result())>> {
    co_return co_await op;
}

} // namespace detail

/// `auto o = co_await as_outcome(f(args))`: awaits a task, a future or an operation and says how it ended.
/// The caller goes on even when it was cancelled itself; its next plain await sees that again.
/// Throws: nothing of the operation's.
template <class T>
auto as_outcome(task<T>&& t) {
    return detail::observe<T>(std::move(t));
}
template <class Op>
    requires detail::awaitable_operation<std::remove_cvref_t<Op>>
auto as_outcome(Op&& op) {
    return as_outcome(detail::await_in_own_frame<std::remove_cvref_t<Op>>(std::forward<Op>(op)));
}
template <class H>
    requires detail::awaitable_handle<H>
auto as_outcome(H&& handle) {
    return as_outcome(std::forward<H>(handle).await_operation());
}

} // namespace tenure::inline v0::core
