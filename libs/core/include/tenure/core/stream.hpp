// stream<T>: items that a task produces while another one reads them. The stream owns that task.
#pragma once
#include <tenure/core/cleanup.hpp>
#include <tenure/core/detail/stream_state.hpp>
#include <tenure/core/group.hpp>
#include <tenure/core/runtime.hpp>

#include <iterator>
#include <tuple>
#include <vector>

namespace tenure::inline v0::core {

/// spawn_stream(g, {.capacity = 64, .stall = 5s, .name = "tokens"}, f, args...)
struct stream_options {
    /// How many items the producer may be ahead; 0: send() returns when the consumer has the item in its hands.
    std::size_t capacity = 16;
    /// How long the consumer waits without an item and without a heartbeat; 0: no limit.
    base::duration stall{};
    /// The producer is one of the tasks that group_options::max_concurrency counts.
    bool takes_slot = true;
    std::string name{}; // of the producer
    base::spawn_site site = base::spawn_site::current();
};

/// What a stream's producer takes as its first parameter: `task<> tokens(sink<std::string> out, …)`.
/// When the consumer has gone, the producer is cancelled. Owner: it owns nothing; copies are the same stream.
/// Threads: any; several tasks may send.
template <class T>
class sink {
public:
    using value_type = T;
    explicit sink(base::ref<detail::stream_state<T>> s) noexcept : state_(std::move(s)) {}

    /// `co_await out.send(v)`: waits for room. Cancel: the item dies with the operation.
    /// Throws: closed_error when nobody reads any more and the caller is not cancelled, as in a shield.
    auto send(T v) const& { return detail::send_to_stream<T>(state_->channel(), std::move(v)); }
    auto send(T v) && = delete; // the sink must live until the operation is awaited
    /// Without waiting, for a producer that drops or refuses what the consumer is too slow for. False: v is as it was.
    [[nodiscard]] bool try_send(T& v) const noexcept {
        auto& to = state_->channel();
        return (to.buffered() ? to.push(v) : to.hand_over(v)) == detail::transfer::done;
    }
    [[nodiscard]] bool try_send(T&& v) const noexcept { return try_send(v); }
    /// "I live, and have no item yet": the stall limit begins anew.
    void heartbeat() const { state_->heartbeat(); }
    /// For the runtime.
    const base::ref<detail::stream_state<T>>& shared() const noexcept { return state_; }

private:
    base::ref<detail::stream_state<T>> state_;
};

template <class T>
class stream;

namespace detail {
template <class T>
task<std::vector<T>> collect_items(stream<T> from) {
    std::vector<T> all;
    while (auto v = co_await from.next())
        all.push_back(std::move(*v));
    co_return all;
}
} // namespace detail

/// The consumer's side of a stream, and the owner of its producer.
///
/// Owner: the stream ends the producer: its destructor cancels it, stop() also waits for its end. Until then the task belongs
///   to the group or runtime that it was spawned in, which waits for it in any case. with_stream() waits by itself.
/// Failure: of the producer is told once: next() throws it after the items that came before, or stop() does. If the stream
///   was dropped, the group fails with it, or the runtime's hook is told.
/// Dropped before anybody has read it, by somebody who is neither cancelled nor failing: the hook is told (abandoned).
/// Threads: any; one consumer at a time.
template <class T>
class [[nodiscard("a stream that is dropped cancels its producer")]] stream {
public:
    using value_type = T;
    explicit stream(base::ref<detail::stream_state<T>> s) noexcept : state_(std::move(s)) {}
    stream(stream&&) noexcept = default;
    stream& operator=(stream&& o) noexcept {
        stream old(std::move(o));
        std::swap(state_, old.state_);
        return *this;
    }
    ~stream() {
        if (state_) state_->drop();
    }

    /// `while (auto v = co_await s.next()) use(*v);`: waits for an item; empty at the end, and ever after.
    /// Cancel: the wait ends, no item is lost. Timeout: none; wrap in with_timeout.
    /// Throws, once, when all items before have been read: what the producer threw; task_cancelled if somebody else cancelled
    ///   it; stalled_error after the stall limit, by which the producer is cancelled.
    auto next() & { return detail::next_of_stream<T>(state()); }
    auto next() && = delete; // the stream would be dropped before the item is here
    /// The same for plain code: the thread waits. Cancel: of its task does not end the wait; give the stream a stall limit.
    /// Throws: as next(); usage_error inside a coroutine.
    std::optional<T> blocking_next() {
        auto& s = state();
        detail::receiving<T> half{&s.channel()};
        wait_for(s, half);
        return s.outcome_of(half);
    }
    /// `for (T& v : s)` in plain code: blocking_next() until the end. Who leaves the loop early has cancelled the producer; the
    /// group or runtime waits for its end.
    class iterator;
    iterator begin() { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

    /// `co_await s.stop()`: cancels the producer and waits until it has ended. What is in the buffer can still be read.
    /// Cancel: only the wait ends. Throws: the producer's failure, also of its cleanup, unless next() has thrown it.
    task<void> stop() {
        (void)state();
        return detail::stop_stream(state_);
    }
    /// `spawn_stream(g, lines, path).filter(is_error).map(parse).take(10)`: each gives a stream that owns the one before: who
    /// stops reading the last ends them all, and stop() waits for all. A step is a task where the first producer lives, with
    /// a buffer of the same size; it takes no slot of the group's max_concurrency. Order: that of the items. What a step throws,
    /// next() of the last throws, once. The end, a failure and a stall are told at once, also while what it came from cleans
    /// up; what that throws is the owner's then, or stop() throws it.
    /// map: of f(item), which may be a coroutine. filter: of the items of which keep(const T&) is true. take: of the first n.
    /// buffer: n items are read ahead, and one more is on its way. timeout_each: next() throws stalled_error once, and all
    /// before it is cancelled, when its reader has waited for d without an item; heartbeats do not count.
    /// More of them, for several streams, are in stream_combine.hpp.
    template <class F>
    auto map(F f, base::spawn_site at = base::spawn_site::current()) &&;
    template <class F>
    stream filter(F keep, base::spawn_site at = base::spawn_site::current()) &&;
    stream take(std::size_t n, base::spawn_site at = base::spawn_site::current()) &&;
    stream buffer(std::size_t n, base::spawn_site at = base::spawn_site::current()) &&;
    template <class Rep, class Period>
    stream timeout_each(std::chrono::duration<Rep, Period> d,
                        base::spawn_site at = base::spawn_site::current()) &&;
    /// `auto all = co_await std::move(s).collect()`: reads to the end. Throws: as next(); what was read before is lost.
    task<std::vector<T>> collect() && { return detail::collect_items(std::move(*this)); }

    /// For the runtime.
    const base::ref<detail::stream_state<T>>& shared() const noexcept { return state_; }

private:
    detail::stream_state<T>& state() {
        if (!state_) detail::throw_stream_moved();
        state_->want();
        return *state_;
    }
    static void wait_for(detail::stream_state<T>& s, detail::receiving<T>& half) {
        struct waiting {
            detail::stream_state<T>& of;
            ~waiting() { of.wait_ends(); }
        } const until_it_comes{s};
        detail::wait_blocking(half, [&s] { s.wait_begins(); });
    }
    base::ref<detail::stream_state<T>> state_; // null: moved from
};

template <class T>
class stream<T>::iterator {
public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    explicit iterator(stream& s) : of_(&s), item_(s.blocking_next()) {}
    T& operator*() const { return *item_; }
    iterator& operator++() {
        item_ = of_->blocking_next();
        return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& i, std::default_sentinel_t) noexcept { return !i.item_; }

private:
    stream* of_;
    mutable std::optional<T> item_;
};

/// Where a producer lives: a group, or a runtime. With the place of the call.
class stream_owner {
public:
    stream_owner(const group& g, base::spawn_site at = base::spawn_site::current()) noexcept
        : stream_owner(g.state().sched, 0, &g.state(), at) {}
    stream_owner(runtime& rt, base::spawn_site at = base::spawn_site::current()) noexcept
        : stream_owner(rt.sched(), rt.sched().epoch(), nullptr, at) {}
    /// Where the producer of this one lives.
    stream_owner(const detail::stream_base& s, base::spawn_site at) noexcept
        : stream_owner(s.sched(), s.epoch(), s.group(), at) {}

    /// Counts a task. Throws: closed_error if no more are accepted.
    void count_up() const;
    /// Once it has counted one; as sched() and parent().
    void uncount() const noexcept { detail::uncount(*sched_, group_, detail::child_kind::ordinary); }
    detail::scheduler& sched() const noexcept { return *sched_; }
    detail::context_node& parent() const noexcept { return group_ ? *group_->context : sched_->root(); }
    detail::group_state* group() const noexcept { return group_; } // null: the runtime
    const base::spawn_site& site() const noexcept { return at_; }

private:
    stream_owner(detail::scheduler& s, std::uint32_t epoch, detail::group_state* g,
                 base::spawn_site at) noexcept
        : group_(g), sched_(&s), epoch_(epoch), at_(at) {}
    detail::group_state* group_;
    detail::scheduler* sched_;
    std::uint32_t epoch_; // of the runtime; unused with a group
    base::spawn_site at_;
};

namespace detail {

template <class T>
struct sink_value {
    static constexpr bool is_sink = false;
    using type = int;
};
template <class T>
struct sink_value<sink<T>> : std::type_identity<T> {
    static constexpr bool is_sink = true;
};
/// T of a producer's first parameter, sink<T>.
template <class F>
struct produced {
    using first = sink_value<typename first_parameter<std::decay_t<F>>::type>;
    static_assert(first::is_sink,
                  "a producer's first parameter says what it is a stream of: task<> f(sink<std::string> out, "
                  "...); spell its type out, not auto");
    using type = typename first::type;
};
template <class F>
using produced_t = typename produced<F>::type;

/// A step reads streams: it takes no slot of its group, and waits for them also when it was cancelled before it began.
enum class produced_by : std::uint8_t { source, step };

/// A stream, and what its producer's task is given beside its arguments. That task is counted.
template <class T>
struct opened_stream {
    opened_stream(const stream_owner& in, produced_by by, const stream_options& o)
        : extras(std::make_unique<task_extras>()) {
        extras->always_entered = by == produced_by::step;
        if (in.group() && by == produced_by::source && o.takes_slot)
            extras = with_limit_of(*in.group(), std::move(extras));
        in.count_up();
        try {
            state = base::ref<stream_state<T>>::adopt(
                new stream_state<T>(in.sched(), in.group(), o.capacity, o.stall));
        } catch (...) {
            in.uncount();
            throw;
        }
        extras->observer = state;
    }
    base::ref<stream_state<T>> state;
    std::unique_ptr<task_extras> extras;
};

template <class F, class... A>
auto launch_stream(const stream_owner& in, produced_by by, stream_options&& o, F&& f, A&&... a) {
    using value = produced_t<F>;
    static_assert(std::is_void_v<spawned_value_t<F, sink<value>, A...>>,
                  "a producer returns task<>: what it has to give goes through its sink");
    opened_stream<value> s(in, by, o);
    s.state->begin(launch({in.sched(), in.parent(), in.group(), std::move(s.extras)},
                          spawn_options{std::move(o.name), o.site}, std::forward<F>(f), sink<value>(s.state),
                          std::forward<A>(a)...));
    return stream<value>(std::move(s.state));
}

// A step: a task that reads one stream, or several, and produces another. Whoever reads that is told its end, or a failure,
// at once; then the step waits for what it has read from, and passes on what the cleanup of that throws.
template <class T>
const base::ref<stream_state<T>>& shared_of(const stream<T>& s) {
    if (!s.shared()) throw_stream_moved();
    return s.shared();
}
template <class T>
std::vector<base::ref<stream_base>> streams_in(const stream<T>& in) {
    return {shared_of(in)};
}
template <class T>
std::vector<base::ref<stream_base>> streams_in(const std::vector<stream<T>>& in) {
    std::vector<base::ref<stream_base>> all;
    for (const auto& s : in)
        all.push_back(shared_of(s));
    return all;
}
template <class... T>
std::vector<base::ref<stream_base>> streams_in(const std::tuple<stream<T>...>& in) {
    return std::apply([](const auto&... s) { return std::vector<base::ref<stream_base>>{shared_of(s)...}; },
                      in);
}
template <auto Body, class U, class In, class... A>
task<void> run_step(sink<U> out, In& in, A&... a) {
    co_await defer(base::duration::max(), stop_streams, streams_in(in));
    std::exception_ptr failure;
    try {
        co_await Body(out, in, a...);
    } catch (...) {
        failure = std::current_exception();
    }
    out.shared()->sends_no_more(std::exchange(failure, nullptr));
}
/// Lives where the first of `in` does, which must not be empty.
template <auto Body, class U, class In, class... A>
stream<U> add_step(stream_options o, In in, A&&... a) {
    const auto from = streams_in(in);
    for (const auto& s : from)
        s->want(); // by the last of the steps
    const stream_owner where(*from.front(), o.site);
    return launch_stream(where, produced_by::step, std::move(o), &run_step<Body, U, In, std::decay_t<A>...>,
                         std::move(in), std::forward<A>(a)...);
}
/// Of a step that is no further ahead than what it reads from.
template <class T>
stream_options like(const stream<T>& s, const char* name, base::spawn_site at) {
    return {.capacity = shared_of(s)->channel().capacity(), .name = name, .site = at};
}

template <class T>
task<void> pass_items(const sink<T>& out, stream<T>& in) {
    while (auto v = co_await in.next())
        co_await out.send(std::move(*v));
}
template <class T, class U, class F>
task<void> map_items(const sink<U>& out, stream<T>& in, F& f) {
    while (auto v = co_await in.next()) {
        if constexpr (returns_task<F&, T>) {
            U u = co_await std::invoke(f, std::move(*v));
            co_await out.send(std::move(u));
        } else {
            co_await out.send(std::invoke(f, std::move(*v)));
        }
    }
}
template <class T, class F>
task<void> filter_items(const sink<T>& out, stream<T>& in, F& keep) {
    while (auto v = co_await in.next())
        if (std::invoke(keep, std::as_const(*v))) co_await out.send(std::move(*v));
}
template <class T>
task<void> take_items(const sink<T>& out, stream<T>& in, std::size_t n) {
    for (; n > 0; --n) {
        auto v = co_await in.next();
        if (!v) co_return;
        co_await out.send(std::move(*v));
    }
}
template <class R>
struct step_value : std::type_identity<R> {};
template <class R>
struct step_value<task<R>> : std::type_identity<R> {};

/// Stops a stream, wherever its handle has gone.
class stop_at_exit {
public:
    explicit stop_at_exit(base::ref<stream_base> s) noexcept : stream_(std::move(s)) {}
    stop_at_exit(const stop_at_exit&) = delete;
    stop_at_exit& operator=(const stop_at_exit&) = delete;
    ~stop_at_exit() { stream_->stop(); }

private:
    base::ref<stream_base> stream_;
};

/// The scope: a group whose body is the consumer.
template <class B, class F, class... A>
auto run_with_stream(stream_options o, B body, F producer, A... args)
    -> task<task_value_t<B&, stream<produced_t<F>>>> {
    if (o.site.line() == 0) o.site = awaited_at();
    auto scope = [&](group g) -> task<task_value_t<B&, stream<produced_t<F>>>> {
        auto s = launch_stream(stream_owner(g), produced_by::source, std::move(o), std::move(producer),
                               std::move(args)...);
        const stop_at_exit end(s.shared());
        co_return co_await body(std::move(s));
    };
    co_return co_await with_group(scope);
}
template <class B, class F, class... A>
auto make_stream_scope(stream_options o, B&& body, F&& producer, A&&... args) {
    TENURE_CHECK_CLOSURE(B);
    TENURE_CHECK_CLOSURE(F);
    static_assert(returns_task<std::decay_t<B>&, stream<produced_t<F>>>,
                  "with_stream takes the consumer first, a coroutine: [](stream<T> s) -> task<> { … }");
    return run_with_stream<std::decay_t<B>, std::decay_t<F>, std::decay_t<A>...>(
        std::move(o), std::forward<B>(body), std::forward<F>(producer), std::forward<A>(args)...);
}
/// Throws: usage_error unless d > 0.
base::duration checked_limit(base::duration d);

template <class F>
concept not_options = !std::is_same_v<std::remove_cvref_t<F>, stream_options>;

} // namespace detail

/// `auto s = spawn_stream(g, tokens, prompt)`: starts tokens(sink<T>, prompt) in the group, or in the runtime, with copies of the
/// arguments, and gives the stream of what it sends. The first parameter's type says what that is.
/// Its consumer is an observer: a timeout around its reading is on time, also when the producer does not end.
/// Throws: closed_error if the owner accepts no more; usage_error for options that cannot be meant.
template <class F, class... A>
    requires detail::not_options<F>
auto spawn_stream(stream_owner in, F&& producer, A&&... args) {
    return detail::launch_stream(in, detail::produced_by::source, {.site = in.site()},
                                 std::forward<F>(producer), std::forward<A>(args)...);
}
template <class F, class... A>
auto spawn_stream(stream_owner in, stream_options o, F&& producer, A&&... args) {
    return detail::launch_stream(in, detail::produced_by::source, std::move(o), std::forward<F>(producer),
                                 std::forward<A>(args)...);
}

/// `co_await with_stream(print_all, tokens, prompt)`: runs print_all(stream<T>), the consumer, which reads what
/// tokens(sink<T>, prompt), the producer, sends.
/// Owner: the calling task. However the consumer ends, the producer is cancelled, and has ended with its cleanup before this
///   await returns; so both may borrow the caller's locals.
/// Throws: what the consumer throws; a failure of the producer that the consumer did not get, also of its cleanup;
///   group_error for both.
template <class B, class F, class... A>
    requires detail::not_options<B>
auto with_stream(B&& consumer, F&& producer, A&&... args) {
    return detail::make_stream_scope({.site = {}}, std::forward<B>(consumer), std::forward<F>(producer),
                                     std::forward<A>(args)...);
}
template <class B, class F, class... A>
auto with_stream(const stream_options& o, B&& consumer, F&& producer, A&&... args) {
    return detail::make_stream_scope(o, std::forward<B>(consumer), std::forward<F>(producer),
                                     std::forward<A>(args)...);
}
template <class B, class F, class... A>
auto with_stream(stream_options&& o, B&& consumer, F&& producer, A&&... args) {
    static_assert(detail::temporary_options_are_safe<B>,
                  "GCC 12 destroys temporary options twice inside co_await: give them a name first");
    return detail::make_stream_scope(std::move(o), std::forward<B>(consumer), std::forward<F>(producer),
                                     std::forward<A>(args)...);
}

template <class T>
template <class F>
auto stream<T>::map(F f, base::spawn_site at) && {
    static_assert(std::is_invocable_v<F&, T>, "map takes a function of one item: [](T item) { return …; }");
    using value = typename detail::step_value<std::decay_t<std::invoke_result_t<F&, T>>>::type;
    auto o = detail::like(*this, "map", at);
    return detail::add_step<detail::map_items<T, value, F>, value>(std::move(o), std::move(*this),
                                                                   std::move(f));
}
template <class T>
template <class F>
stream<T> stream<T>::filter(F keep, base::spawn_site at) && {
    static_assert(
        std::is_invocable_r_v<bool, F&, const T&>,
        "filter takes a function that says whether an item is kept: [](const T& item) { return …; }");
    auto o = detail::like(*this, "filter", at);
    return detail::add_step<detail::filter_items<T, F>, T>(std::move(o), std::move(*this), std::move(keep));
}
template <class T>
stream<T> stream<T>::take(std::size_t n, base::spawn_site at) && {
    auto o = detail::like(*this, "take", at);
    return detail::add_step<detail::take_items<T>, T>(std::move(o), std::move(*this), n);
}
template <class T>
stream<T> stream<T>::buffer(std::size_t n, base::spawn_site at) && {
    auto o = detail::like(*this, "buffer", at);
    o.capacity = n;
    return detail::add_step<detail::pass_items<T>, T>(std::move(o), std::move(*this));
}
template <class T>
template <class Rep, class Period>
stream<T> stream<T>::timeout_each(std::chrono::duration<Rep, Period> d, base::spawn_site at) && {
    auto o = detail::like(*this, "timeout_each", at);
    o.stall = detail::checked_limit(base::to_duration(d));
    return detail::add_step<detail::pass_items<T>, T>(std::move(o), std::move(*this));
}

} // namespace tenure::inline v0::core
