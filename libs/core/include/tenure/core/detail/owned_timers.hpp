// Timers that a task or a group owns. Each is a strand of its own, which the timer queue pushes when it is due.
//
// PHASE        meaning                                         left by
//   arming     being put into the timer queue                  whoever arms -> armed; fire() -> due; cancel() -> called_off
//   due        fired while it was being armed                  whoever arms, who then pushes -> fired; cancel() -> called_off
//   armed      in the timer queue                              fire(), which pushes -> fired; cancel(), the owner -> called_off
//   fired      in the run queue                                its worker -> running; cancel() -> called_off
//   running    its callback runs                               its worker -> arming (an interval), ended; cancel() -> stopping
//   stopping   the same, and it is not armed again             its worker -> ended
//   called_off its callback will not run; in the run queue,    its worker, or the owner -> ended
//              pushed by who took it out of the timer queue
//   ended      off its owner's list                            nobody
//
// END OF AN OWNER: its list is closed, then its timers end one after the other, last first: what is armed is reported, run
// or dropped; what runs is cancelled and waited for. Only then does the owner publish its own end.
// Lock order: list, then timers, then contexts, then the run queue. No user code under any of them.
#pragma once
#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/task.hpp>

#include <atomic>
#include <optional>
#include <string>

namespace tenure::inline v0::core {

/// What becomes of a timer that is still armed when its owner ends.
enum class at_end : std::uint8_t {
    report, // the callback does not run, and the runtime's hook for unread failures is told of it
    run,    // it runs at once, and the owner waits for it, at most for the grace
    drop    // it does not run
};

namespace detail {

class owned_timers;

class owned_timer : public base::ref_counted, public strand, public link, public timer {
public:
    /// Interval 0: it fires once.
    owned_timer(owned_timers& list, base::duration after, base::duration interval, at_end policy,
                base::duration grace, base::task_label label);

    /// True: a call that was due to come was prevented, and none is under way. Threads: any.
    bool cancel() noexcept;

    bool start_root() noexcept final;
    bool child_ended(strand&, ending how) noexcept final;
    void fire(held_nodes& visited) noexcept final;
    base::task_label label() const final { return label_; }
    /// What its callback arms belongs to its own owner.
    owned_timers* own_timers() final { return list_.get(); }

protected:
    enum class entry : std::uint8_t { entered, ended, forgotten };
    /// Calls the callback; a coroutine is entered.
    virtual entry enter() noexcept = 0;
    /// The callback has ended.
    virtual void left() noexcept = 0;
    virtual void drop_callback() noexcept = 0;
    /// The object that the callback is bound to is gone.
    virtual bool forgotten() const noexcept = 0;
    result<void> result_;

private:
    friend class owned_timers;
    enum class phase : std::uint8_t { arming, due, armed, fired, running, stopping, called_off, ended };
    class own_context_node final : public context_node {
    public:
        explicit own_context_node(owned_timer& t) noexcept : context_node(&t, node_kind::task), timer_(t) {}

    private:
        void dispose() noexcept override { timer_.release(); }
        owned_timer& timer_;
    };
    bool change(phase from, phase to) noexcept {
        return phase_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
    }
    void arm();
    bool end_with_owner() noexcept;
    void ran() noexcept;
    void report(const std::exception_ptr& e) noexcept;
    void settle() noexcept;

    own_context_node own_;
    base::ref<owned_timers> list_; // null once it has ended
    // Writers: whoever arms, fires, cancels, runs (acq_rel). Who wins a change owns what follows from it.
    std::atomic<phase> phase_{phase::arming};
    const at_end policy_;
    bool linked_ = false; // confined to its worker
    bool at_end_ = false; // it runs because its owner ends; written before it is pushed
    bool listed_ = false; // guarded by the list's lock, as prev_ and next_
    owned_timer *prev_ = nullptr, *next_ = nullptr;
    const base::duration interval_;
    const base::duration grace_;
    const base::task_label label_;
};

/// The list of an owner. Referenced by the owner and by each timer on it.
class owned_timers final : public base::ref_counted {
public:
    /// Callbacks do not hear a cancellation of the owner's context: they end when it ends.
    owned_timers(scheduler& s, context_node& owner) noexcept : sched(s), context(owner) {}

    /// Takes over a reference. Throws: closed_error once the owner ends; std::bad_alloc.
    void add(owned_timer& t);
    /// On the worker of `s`, the owner's strand. True: all have ended. False: complete() of `s` will come; ask again.
    bool end(strand& s) noexcept;

    scheduler& sched;
    context_node& context; // alive until end() has said true

private:
    friend class owned_timer;
    bool rearm(owned_timer& t) noexcept;
    void remove(owned_timer& t) noexcept;
    void unlist(owned_timer& t) noexcept TENURE_REQUIRES(m_);

    base::mutex m_;
    bool closed_ TENURE_GUARDED_BY(m_) = false;
    owned_timer* newest_ TENURE_GUARDED_BY(m_) = nullptr;
    owned_timer* awaited_ TENURE_GUARDED_BY(m_) = nullptr; // by waiter_
    strand* waiter_ TENURE_GUARDED_BY(m_) = nullptr;
};

/// The list of the task that runs on this thread. Throws: usage_error if none does that could own a timer.
owned_timers& timers_of_this_task(const char* verb, const base::spawn_site& at);
/// d > 0. Throws: usage_error.
base::duration checked_interval(base::duration d);

template <class F>
class owned_callback final : public owned_timer {
public:
    template <class X, class... O>
    explicit owned_callback(X&& f, O&&... o) : owned_timer(std::forward<O>(o)...), f_(std::forward<X>(f)) {}

private:
    static constexpr bool bound = requires(F& f) { f.hold(); };
    entry enter() noexcept override {
        try {
            if constexpr (bound) {
                if (!f_->hold()) return entry::forgotten;
            }
            if constexpr (returns_task<F&>) {
                auto t = (*f_)();
                t.enter(*this, *this, result_);
                return entry::entered;
            } else {
                (*f_)();
            }
        } catch (...) {
            if (!cancelled() || !is_cancelled_exception()) result_.error = std::current_exception();
        }
        return entry::ended;
    }
    void left() noexcept override {
        if constexpr (bound) f_->let_go();
    }
    bool forgotten() const noexcept override {
        if constexpr (bound) return f_->expired();
        return false;
    }
    void drop_callback() noexcept override { f_.reset(); }
    std::optional<F> f_;
};

/// A callback bound to an object: skipped once that is gone, and holding it only while it runs.
template <class T, class F>
class bound_callback {
public:
    bound_callback(std::weak_ptr<T> to, F f) : to_(std::move(to)), f_(std::move(f)) {}
    bool hold() noexcept { return (held_ = to_.lock()) != nullptr; }
    void let_go() noexcept { held_.reset(); }
    bool expired() const noexcept { return to_.expired(); }
    auto operator()() { return std::invoke(f_, *held_); }

private:
    std::weak_ptr<T> to_;
    std::shared_ptr<T> held_;
    F f_;
};

template <class F>
concept timer_callback =
    std::is_void_v<std::invoke_result_t<F&>> || std::is_same_v<std::invoke_result_t<F&>, task<void>>;

template <class F>
base::ref<owned_timer> start_timer(owned_timers& list, base::duration after, base::duration interval,
                                   at_end policy, base::duration grace, base::task_label label, F&& f) {
    static_assert(timer_callback<std::decay_t<F>>,
                  "a timer calls a function or a coroutine that returns nothing");
    auto t = base::ref<owned_timer>::adopt(new owned_callback<std::decay_t<F>>(
        std::forward<F>(f), list, after, interval, policy, grace, std::move(label)));
    list.add(*base::ref<owned_timer>(t).detach());
    return t;
}

} // namespace detail
} // namespace tenure::inline v0::core
