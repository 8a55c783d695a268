// What a stream's two sides share: the channel between them, and who is told of the producer's end.
//
//   PRODUCER  running --sends_no_more()--> cleans up   a step: what it has come to is put down; then the channel is closed
//             any -----ending()----> ended             its outcome is put down; then the channel is closed
//   CONSUMER  reading --stop()----> stopped            the producer is cancelled; then the channel is closed
//             reading --stall limit--> stalled         the same
//             any -----drop()-----> gone
//
// INVARIANTS
//  1. A failure of the producer is told once: by next() or stop(), or, when the consumer is gone, to the producer's owner.
//     Whether it or drop() comes first is decided under m_.
//  2. The channel is closed after the outcome is put down, or after the consumer has left `reading`: so whoever finds it
//     closed and empty finds out why.
//  3. The producer is cancelled before the channel is closed: a sender that finds it closed sees that it is to unwind.
//  4. The stall timer is armed only while the consumer waits and the producer runs, so that both the state and the scheduler
//     live. It is armed and removed under m_; fire() runs under the timers' lock, and takes no other than the channel's.
// Lock order: m_, then timers, then contexts and the channel.
#pragma once
#include <tenure/core/channel.hpp>
#include <tenure/core/detail/group_state.hpp>

namespace tenure::inline v0::core::detail {

[[noreturn]] void throw_stream_moved();

class stream_base : public end_observer {
public:
    /// Of the runtime, or of the group. Stall 0: no limit.
    stream_base(scheduler& s, group_state* group, base::duration stall);

    /// Before anybody has a handle.
    void begin(base::ref<task_object> producer) noexcept { producer_ = std::move(producer); }
    bool ending(task_object& t, task_status how) noexcept final;
    void ended(task_object&) noexcept final {}

    // The consumer's.
    void stop() noexcept { leave_reading(consumer::stopped, nullptr); }
    /// Somebody reads, or stops it: it is not forgotten.
    void want() noexcept { // once: the producer reads from this cache line for every item
        if (!wanted_.load(std::memory_order_relaxed)) wanted_.store(true, std::memory_order_relaxed);
    }
    /// The handle is gone.
    void drop() noexcept;
    /// Around a wait for an item: from when the consumer is listed, or just before.
    void wait_begins();
    /// It is listed only now, or again: meanwhile the limit may have been over in vain.
    void wait_goes_on() noexcept;
    void wait_ends() noexcept;
    void got_item() noexcept {
        if (stall_ != base::duration::zero()) renew_limit();
    }
    /// The channel has ended. Throws: why, the first time.
    void at_end();
    /// After the producer's end. Throws: its failure, unless it has been told.
    void throw_failure();
    const base::ref<task_object>& producer() const noexcept { return producer_; }

    // The producer's.
    void heartbeat();
    /// It has come to its end, by this failure if there is one: its reader is told, while its cleanup may take longer.
    void sends_no_more(const std::exception_ptr& failure) noexcept;

    // Where its producer lives. The runtime may be gone once that has ended.
    scheduler& sched() const noexcept { return sched_; }
    std::uint32_t epoch() const noexcept { return epoch_; }
    group_state* group() const noexcept { return group_.get(); }

protected:
    virtual void close_channel() noexcept = 0;
    /// It has been given nothing yet, and nobody has woken it.
    virtual bool consumer_waits() const noexcept = 0;

private:
    enum class consumer : std::uint8_t { reading, stopped, stalled };
    class stall_timer final : public timer {
    public:
        explicit stall_timer(stream_base& s) noexcept : of_(s) {}
        void fire(held_nodes& visited) noexcept override {
            if (of_.consumer_waits()) of_.leave_reading(consumer::stalled, &visited);
        }

    private:
        stream_base& of_;
    };
    void leave_reading(consumer how, held_nodes* visited) noexcept;
    void renew_limit() noexcept;
    void arm() TENURE_REQUIRES(m_);
    void keep(const std::exception_ptr& failure) noexcept TENURE_REQUIRES(m_);
    void hand_to_owner(const std::exception_ptr& e) noexcept;
    void report(const std::exception_ptr& e) const noexcept;

    scheduler& sched_; // alive while the producer runs
    const std::uint32_t epoch_;
    const base::ref<group_state> group_; // null: the runtime's
    const base::ref<shared_hook> hook_;  // it may outlive the runtime
    const base::duration stall_;
    base::ref<task_object> producer_; // constant after begin()
    std::atomic<bool> wanted_{false}; // relaxed: only a report depends on it

    // Writers: stop(), the stall timer; the first one wins (acq_rel). Readers: the consumer (acquire).
    std::atomic<consumer> consumer_{consumer::reading};
    base::mutex m_;
    task_status how_ TENURE_GUARDED_BY(m_) = task_status::pending; // how the producer has ended
    std::exception_ptr failure_ TENURE_GUARDED_BY(m_);             // not told yet
    bool early_ TENURE_GUARDED_BY(m_) = false;                     // sends_no_more()
    bool end_told_ TENURE_GUARDED_BY(m_) = false;
    bool gone_ TENURE_GUARDED_BY(m_) = false;
    bool armed_ TENURE_GUARDED_BY(m_) = false;
    base::time_point waits_since_ TENURE_GUARDED_BY(m_){};
    base::duration left_ TENURE_GUARDED_BY(m_){}; // of the stall limit, when the consumer began to wait
    stall_timer timer_;
};

template <class T>
class stream_state final : public stream_base {
public:
    stream_state(scheduler& s, group_state* group, std::size_t capacity, base::duration stall)
        : stream_base(s, group, stall),
          channel_(base::ref<channel_state<T>>::adopt(new channel_state<T>(capacity))) {}
    channel_state<T>& channel() const noexcept { return *channel_; }
    /// What its consumer has received. Throws: as at_end().
    std::optional<T> outcome_of(receiving<T>& half) {
        std::optional<T> got = half.result();
        got ? got_item() : at_end();
        return got;
    }

private:
    void close_channel() noexcept override { channel_->close(); }
    bool consumer_waits() const noexcept override { return channel_->any(channel_base::side::receive); }
    const base::ref<channel_state<T>> channel_;
};

template <class T>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] send_to_stream {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    send_to_stream(channel_state<T>& to, T&& v) noexcept : send_(sending<T>{&to, std::move(v)}) {}
    // A stream that its consumer has left cancels the producer, perhaps after it was asked about that; and is closed then.
    bool ready() { return send_.ready() && !send_.half().refused; }
    void start(strand& s, frame& f) { send_.start(s, f); }
    void result() { send_.result(); }

private:
    channel_operation<sending<T>> send_;
};

template <class T>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] next_of_stream {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    explicit next_of_stream(stream_state<T>& s) noexcept : of_(&s), receive_(receiving<T>{&s.channel()}) {}
    next_of_stream(next_of_stream&&) noexcept = default; // before it is awaited
    next_of_stream& operator=(next_of_stream&&) = delete;
    ~next_of_stream() {
        if (kept_) kept_->wait_ends();
    }
    bool ready() { return receive_.ready(); }
    void start(strand& s, frame& f) {
        receive_.start(s, f);
        if (s.next != step::park) return;
        kept_ = base::ref<stream_state<T>>::share(of_);
        of_->wait_begins();
    }
    std::optional<T> result() {
        const auto keep = std::exchange(kept_, nullptr); // perhaps the last one
        if (keep) keep->wait_ends();
        return of_->outcome_of(receive_.half());
    }
    // For select_any().
    stream_state<T>& of() noexcept { return *of_; }
    receiving<T>& half() noexcept { return receive_.half(); }

private:
    stream_state<T>* of_;
    base::ref<stream_state<T>> kept_; // while it waits
    channel_operation<receiving<T>> receive_;
};

/// Cancels the producer and waits until it has ended. Throws: its failure.
task<void> stop_stream(base::ref<stream_base> s);
/// The same with all of them at once. Throws: their failures.
task<void> stop_streams(std::vector<base::ref<stream_base>> all);

} // namespace tenure::inline v0::core::detail
