// How a group treats its children, where it is not the usual way.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/error.hpp>
#include <tenure/core/dump.hpp>
#include <tenure/core/task.hpp>

#include <functional>

namespace tenure::inline v0::core {

using failure_handler = std::function<void(const base::task_failure&)>;

/// A task that lives on after it was cancelled: its scope waits for it.
struct overdue_task {
    base::task_label task;
    base::duration since; // the cancellation of the group
    task_activity doing;
    std::vector<base::spawn_site> awaits; // where it waits, the innermost first; empty while it runs
};
using overdue_handler = std::function<void(const overdue_task&)>;

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

    /// When the group has been cancelled and waits for its end, f is told of each task below it that was cancelled and still
    /// lives `after` that; then again after twice the time, four times, and so on. f is called on a worker, and holds the
    /// group open meanwhile; what it throws is reported through the runtime's hook.
    /// Throws: usage_error unless `after` is longer than zero.
    template <class Rep, class Period>
    group_options& report_overdue(std::chrono::duration<Rep, Period> after, overdue_handler f) & {
        overdue_after_ = base::to_duration(after);
        if (overdue_after_ <= base::duration::zero())
            throw base::usage_error("report_overdue: the time must be longer than zero");
        on_overdue_ = std::move(f);
        return *this;
    }
    template <class Rep, class Period>
    group_options&& report_overdue(std::chrono::duration<Rep, Period> after, overdue_handler f) && {
        return std::move(report_overdue(after, std::move(f)));
    }

    const failure_handler& child_failure_handler() const noexcept { return on_child_failure_; }
    bool is_strict() const noexcept { return strict_; }
    std::size_t concurrency() const noexcept { return concurrency_; }
    base::duration overdue_after() const noexcept { return overdue_after_; }
    const overdue_handler& on_overdue() const noexcept { return on_overdue_; }

private:
    failure_handler on_child_failure_;
    bool strict_ = false;
    std::size_t concurrency_ = 0;
    base::duration overdue_after_{};
    overdue_handler on_overdue_; // empty: nobody is told
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
