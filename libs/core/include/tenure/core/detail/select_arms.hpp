// What select_any() can wait for: each source as an arm (chooser.hpp).
//
// What is made of a source has:   arm(), the choice_arm;   prepare(s), before that is tried for the first time; may throw;
//   waits(), each time when all are listed, and it waits;   value_type, and value(), once it was taken.
#pragma once
#include <tenure/core/channel.hpp>
#include <tenure/core/context.hpp>
#include <tenure/core/detail/stream_state.hpp>
#include <tenure/core/future.hpp>
#include <tenure/core/sleep.hpp>

#include <variant>

namespace tenure::inline v0::core::detail {

/// `arm_of<Source>` is made of a source, which outlives it.
template <class Source>
struct arm_for {
    static_assert(never_true<Source>,
                  "select_any waits for c.receive(), c.send(v), s.next(), sleep_for(d), sleep_until(t), a "
                  "future, a context, or an optional of one of these");
};
template <class Source>
using arm_of = typename arm_for<Source>::type;

template <class Half>
class transfer_arm {
    using result_type = decltype(std::declval<Half&>().result());

public:
    using value_type = std::conditional_t<std::is_void_v<result_type>, std::monostate, result_type>;
    explicit transfer_arm(channel_operation<Half>& op) noexcept : half_(op.half()), arm_(half_) {}
    static void prepare(const strand&) noexcept {}
    static void waits() noexcept {}
    choice_arm* arm() noexcept { return &arm_; }
    value_type value() {
        if constexpr (std::is_void_v<result_type>) {
            half_.result();
            return {};
        } else {
            return half_.result();
        }
    }

private:
    Half& half_;
    channel_arm<Half> arm_;
};
template <class Half>
struct arm_for<channel_operation<Half>> {
    using type = transfer_arm<Half>;
};

/// The stall limit of the stream runs while the select waits.
template <class T>
class next_arm {
public:
    using value_type = std::optional<T>;
    explicit next_arm(next_of_stream<T>& op) noexcept
        : stream_(base::ref<stream_state<T>>::share(&op.of())), arm_(op.half()) {}
    next_arm(const next_arm&) = delete;
    next_arm& operator=(const next_arm&) = delete;
    ~next_arm() { stream_->wait_ends(); }
    void prepare(const strand&) { stream_->wait_begins(); }
    void waits() noexcept { stream_->wait_goes_on(); }
    choice_arm* arm() noexcept { return &arm_; }
    value_type value() {
        stream_->wait_ends();
        return stream_->outcome_of(arm_.half());
    }

private:
    base::ref<stream_state<T>> stream_; // perhaps the last one
    channel_arm<receiving<T>> arm_;
};
template <class T>
struct arm_for<next_of_stream<T>> {
    using type = next_arm<T>;
};

/// Registered with its source from prepare() to its end, which may tell it at any time; it passes that on while it is
/// listed. Whoever tells it holds the source's lock, or none.
class registered_arm : public choice_arm {
public:
    choice_arm* arm() noexcept { return this; }
    static void waits() noexcept {}
    void list(chooser& who) noexcept final { pass_on_to(&who); }
    bool may_be_ready() noexcept final { return try_take(); } // told before it was listed
    void unlist() noexcept final { pass_on_to(nullptr); }

protected:
    ~registered_arm() = default;
    void changed() noexcept {
        base::mutex_lock l(m_); // until we have let go of it the chooser cannot be unlisted, and so not leave
        if (who_) who_->notify();
    }

private:
    void pass_on_to(chooser* who) noexcept {
        base::mutex_lock l(m_);
        who_ = who;
    }
    base::mutex m_;
    chooser* who_ TENURE_GUARDED_BY(m_) = nullptr;
};

class timer_arm final : public registered_arm, public timer {
public:
    using value_type = std::monostate;
    explicit timer_arm(const sleep_operation& s) noexcept : time_(s.time()) {}
    timer_arm(const timer_arm&) = delete;
    timer_arm& operator=(const timer_arm&) = delete;
    ~timer_arm() {
        if (sched_) sched_->disarm(*this);
    }
    void prepare(strand& s) {
        at = time_.from(s.sched->now());
        s.sched->arm(*this);
        sched_ = s.sched;
    }
    bool try_take() noexcept override { return at <= sched_->now(); }
    void fire(held_nodes&) noexcept override { changed(); }
    static std::monostate value() noexcept { return {}; }

private:
    sleep_time time_;
    scheduler* sched_ = nullptr; // null before it was armed
};
template <>
struct arm_for<sleep_operation> {
    using type = timer_arm;
};

class end_arm final : public registered_arm, public other_waiter {
public:
    using value_type = std::monostate;
    template <class T>
    explicit end_arm(const future<T>& f) noexcept : task_(base::ref<task_object>::share(f.object().get())) {}
    end_arm(const end_arm&) = delete;
    end_arm& operator=(const end_arm&) = delete;
    ~end_arm();
    void prepare(strand& s);
    bool try_take() noexcept override { return task_->status() != task_status::pending; }
    void told() noexcept override {
        changed();
        let_go_.store(true, std::memory_order_release); // from here on we may be gone
    }
    static std::monostate value() noexcept { return {}; }

private:
    base::ref<task_object> task_;
    bool listed_ = false;
    // Writer: whoever ends the task (release). Reader: the destructor (acquire), which waits for it.
    std::atomic<bool> let_go_{false};
};
template <class T>
struct arm_for<future<T>> {
    using type = end_arm;
};

class context_arm final : public registered_arm {
public:
    using value_type = base::cause_ptr;
    explicit context_arm(const context& c) : context_(c) {}
    void prepare(strand&) {
        if (!context_.cancel_requested()) // which looks at the clock
            callback_ = context_.after_func([this] { changed(); });
    }
    bool try_take() noexcept override { return context_.node().cancelled(); }
    base::cause_ptr value() const noexcept { return context_.cause(); }

private:
    context context_;
    callback_handle callback_; // its destructor waits for a call that runs
};
template <>
struct arm_for<context> {
    using type = context_arm;
};

/// An arm that may be switched off: then it is never taken.
template <class Source>
class optional_arm final : public choice_arm {
public:
    using value_type = typename arm_of<Source>::value_type;
    explicit optional_arm(std::optional<Source>& s) {
        if (s) on_.emplace(*s);
    }
    void prepare(strand& s) {
        if (on_) on_->prepare(s);
    }
    void waits() noexcept {
        if (on_) on_->waits();
    }
    choice_arm* arm() noexcept { return on_ ? on_->arm() : this; }
    value_type value() { return on_->value(); }

    bool try_take() noexcept override { return false; }
    void list(chooser&) noexcept override {}
    bool may_be_ready() noexcept override { return false; }
    void unlist() noexcept override {}

private:
    std::optional<arm_of<Source>> on_;
};
template <class Source>
struct arm_for<std::optional<Source>> {
    using type = optional_arm<Source>;
};

} // namespace tenure::inline v0::core::detail
