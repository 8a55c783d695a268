#include <tenure/base/error.hpp>
#include <tenure/core/foreign.hpp>

namespace tenure::inline v0::core::detail {

void bridge::promise_type::last::await_suspend(std::coroutine_handle<promise_type> h) const noexcept {
    promise_type& p = h.promise();
    p.over = true;
    p.tells->waiter->complete();
}
bridge::promise_type::~promise_type() {
    if (over || !tells) return;
    tells->bridge = nullptr;
    try {
        throw base::abandoned("foreign: the awaitable has destroyed the coroutine that it was to resume");
    } catch (...) {
        tells->out->error = std::current_exception();
    }
    tells->waiter->complete();
}

} // namespace tenure::inline v0::core::detail
