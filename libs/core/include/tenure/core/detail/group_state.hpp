// What a group shares with its children: the count, the failures, the context that cancels them all.
#pragma once
#include <tenure/core/detail/child_count.hpp>
#include <tenure/core/detail/overdue_watch.hpp>
#include <tenure/core/detail/task_state.hpp>
#include <tenure/core/group_options.hpp>

#include <memory>
#include <optional>
#include <unordered_set>

namespace tenure::inline v0::core::detail {

class group_state final : public base::ref_counted, public pooled {
public:
    group_state(scheduler& s, context_node& parent, strand& body, const group_options* options = nullptr);
    ~group_state() override;

    /// False: the group has ended; nothing was counted.
    bool try_count_up(child_kind kind = child_kind::ordinary) noexcept { return count_.try_up(kind); }
    /// The last thing a child does. The last child completes the join.
    void count_down(child_kind kind = child_kind::ordinary) noexcept {
        if (strand* joiner = count_.down(kind)) joiner->complete();
    }

    /// Before anybody can see the child's state.
    void child_ending(const task_object& child, task_status how, const std::exception_ptr& e) noexcept;
    /// Cancels the group. Of a child, or of the body (no label).
    void add_failure(const std::exception_ptr& e, base::task_label of = {}) noexcept;
    bool cancel(std::string message) noexcept;

    /// The body has ended, and s waits (s.wait(nullptr, …)). True: no child is left and the group has ended.
    /// False: complete() of `s` will come; join again.
    bool join(strand& s) noexcept;
    /// Before the body: begins what the options ask for. May throw std::bad_alloc.
    void watch() {
        if (policy_ && policy_->options.on_overdue()) policy_->overdue.begin(*this, policy_->options);
    }
    /// After the join: cut off from the tree.
    void unlink() noexcept;
    /// The list of its timers, made at the first call; the caller has counted itself up.
    owned_timers& own_timers();
    /// After the join: null if it never had timers.
    owned_timers* timers() const noexcept { return timers_.load(std::memory_order_acquire); }

    /// What background children are under. The caller has counted one up.
    base::ref<context_node> background();
    /// Null: as many children as you like.
    concurrency_limit* limit() noexcept { return policy_ && policy_->limit ? &*policy_->limit : nullptr; }

    /// After the join, once: a single failure unchanged (unless strict), several as group_error, none as null.
    std::exception_ptr failure() noexcept;
    /// After the join: some child ended cancelled.
    bool lost_a_child() noexcept;

    /// For a spawn at `late` of a task that has that name, after the end. Throws: closed_error, which names both places.
    [[noreturn]] void throw_ended(const base::spawn_site& late, const std::string& task = {}) const;
    /// The same for a timer.
    [[noreturn]] void throw_ended_for_timer(const char* verb, const base::spawn_site& late) const;

    base::spawn_site opened_at{}; // where its scope is awaited; constant once the group has a handle
    scheduler& sched;
    const base::ref<context_node> context;

private:
    struct policy {
        explicit policy(const group_options& o) : options(o) {
            if (o.concurrency() > 0) limit.emplace(o.concurrency());
        }
        const group_options options;
        std::optional<concurrency_limit> limit;
        overdue_watch overdue;
    };
    void cancel_background() noexcept;

    child_count count_;
    const std::unique_ptr<policy> policy_; // null: the usual one
    // Writer: own_timers(), once (release). Readers: the same, timers() (acquire). Publishes the list.
    std::atomic<owned_timers*> timers_{nullptr};
    base::mutex m_;
    bool lost_ TENURE_GUARDED_BY(m_) = false;
    bool drained_ TENURE_GUARDED_BY(m_) = false; // the background children are cancelled
    base::ref<context_node> background_ TENURE_GUARDED_BY(m_);
    std::vector<base::task_failure> failures_ TENURE_GUARDED_BY(m_);
    // The same error, read through a future by a sibling that let it pass, counts once. Addresses of exception objects
    // that failures_ keeps alive.
    std::unordered_set<const void*> seen_ TENURE_GUARDED_BY(m_);
};

} // namespace tenure::inline v0::core::detail
