// How a group treats its children, where it is not the usual way.
#pragma once
#include <tenure/base/error.hpp>
#include <tenure/core/task.hpp>

#include <functional>

namespace tenure::inline v0::core {

using failure_handler = std::function<void(const base::task_failure&)>;

/// with_group(group_options().strict().max_concurrency(8), body). Not an aggregate: GCC 12 destroys a temporary one twice
/// inside an expression that awaits.
class group_options {
public:
    group_options() noexcept = default;

    /// A child's failure is handed to `f`, once, and disturbs nobody. A failure of the body, or of f, still fails the group.
    /// f is called on the worker that ends the child, perhaps on several at a time.
    group_options& on_child_failure(failure_handler f) & {
        on_child_failure_ = std::move(f);
        return *this;
    }
    group_options&& on_child_failure(failure_handler f) && {
        return std::move(on_child_failure(std::move(f)));
    }
    /// A single failure comes as group_error, too.
    group_options& strict() & noexcept {
        strict_ = true;
        return *this;
    }
    group_options&& strict() && noexcept { return std::move(strict()); }
    /// At most n children run at a time; the others wait in the order in which they were spawned, without a thread or a frame,
    /// and are never entered if they are cancelled meanwhile. Background children do not count. 0: no limit.
    group_options& max_concurrency(std::size_t n) & noexcept {
        concurrency_ = n;
        return *this;
    }
    group_options&& max_concurrency(std::size_t n) && noexcept { return std::move(max_concurrency(n)); }

    const failure_handler& child_failure_handler() const noexcept { return on_child_failure_; }
    bool is_strict() const noexcept { return strict_; }
    std::size_t concurrency() const noexcept { return concurrency_; }

private:
    failure_handler on_child_failure_;
    bool strict_ = false;
    std::size_t concurrency_ = 0;
};

/// with_group(supervise(handler), body): each failure of a child is handed to `handler` and disturbs nobody.
/// A handler that throws fails the group: so it can pass on what it does not want to handle.
template <class F>
group_options supervise(F&& handler) {
    TENURE_CHECK_CLOSURE(F);
    static_assert(std::is_invocable_v<std::decay_t<F>&, const base::task_failure&>,
                  "supervise takes a function of (const task_failure&)");
    return group_options().on_child_failure(failure_handler(std::forward<F>(handler)));
}

} // namespace tenure::inline v0::core
