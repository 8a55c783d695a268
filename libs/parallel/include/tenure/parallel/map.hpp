// map: a function over many items, several at a time. The results are a stream.
#pragma once
#include <tenure/base/outcome.hpp>
#include <tenure/core/observe.hpp>
#include <tenure/core/this_task.hpp>
#include <tenure/parallel/detail/item_place.hpp>
#include <tenure/parallel/detail/jobs.hpp>
#include <tenure/parallel/detail/source.hpp>
#include <tenure/parallel/item_index.hpp>

#include <map>
#include <vector>

namespace tenure::inline v0::parallel {

enum class item_status : std::uint8_t { done, failed, timed_out, cancelled };
const char* to_string(item_status s) noexcept;

/// How one item ended: what map_outcomes() gives.
template <class T>
class item_outcome {
public:
    item_outcome(std::size_t index, base::outcome<T> how, bool timed_out = false, unsigned attempts = 1)
        : index_(index), attempts_(attempts), timed_out_(timed_out), how_(std::move(how)) {}

    std::size_t index() const noexcept { return index_; }    ///< of the item: the first one is 0
    unsigned attempts() const noexcept { return attempts_; } ///< with the one that gave this
    item_status status() const noexcept {
        if (timed_out_) return item_status::timed_out;
        if (how_.has_value()) return item_status::done;
        return how_.has_failed() ? item_status::failed : item_status::cancelled;
    }
    explicit operator bool() const noexcept { return how_.has_value(); }
    /// The value. Throws: what the function threw; timeout_error; task_cancelled.
    decltype(auto) value() & { return how_.value(); }
    decltype(auto) value() const& { return how_.value(); }
    decltype(auto) value() && { return std::move(how_).value(); }
    /// What value() would throw; null for a value, and for an item that was cancelled.
    std::exception_ptr error() const { return how_.error(); }

private:
    std::size_t index_;
    unsigned attempts_;
    bool timed_out_;
    base::outcome<T> how_;
};

/// Whether an item of this type is copied, for another attempt. Specialize it as false for a type of which the compiler only
/// believes that it can be copied: one with a member std::vector<std::unique_ptr<…>>.
template <class T>
inline constexpr bool can_be_tried_again = std::is_copy_constructible_v<T>;
template <std::ranges::range T>
    requires(!std::is_same_v<std::ranges::range_value_t<T>, T>) // as std::filesystem::path
inline constexpr bool can_be_tried_again<T> =
    std::is_copy_constructible_v<T> && can_be_tried_again<std::ranges::range_value_t<T>>;

namespace detail {

/// How long a job keeps its worker before other tasks have their turn.
inline constexpr base::duration worker_share = std::chrono::milliseconds(2);

/// While a plain job is on its worker.
class in_place {
public:
    explicit in_place(core::stand_in& s) noexcept : worker_(s) { worker_.begin(); }
    in_place(const in_place&) = delete;
    in_place& operator=(const in_place&) = delete;
    ~in_place() { worker_.end(); }

private:
    core::stand_in& worker_;
};

template <class R>
struct value_of_call : std::type_identity<R> {
    static constexpr bool is_coroutine = false;
};
template <class R>
struct value_of_call<core::task<R>> : std::type_identity<R> {
    static constexpr bool is_coroutine = true;
};

/// The typed part of a map: its items, its function, its results.
template <class Source, class F>
class map_state final : public jobs {
public:
    using source_type = Source;
    using item = typename Source::value_type;
    static_assert(std::is_invocable_v<F&, item>, "map: the function cannot be called with an item");
    using call = value_of_call<std::remove_cvref_t<std::invoke_result_t<F&, item>>>;
    using value = typename call::type;
    using result = item_outcome<value>;

    class items final : public batch {
    public:
        using batch::batch;
        std::size_t count() const noexcept override { return in.size(); }
        void time_out(std::size_t k, std::exception_ptr e) override { put(k, failure(std::move(e)), true); }
        std::shared_ptr<batch> again(std::size_t k) override {
            auto one = std::make_shared<items>(first + k, attempt + 1);
            one->in.reserve(1);
            one->out.resize(1);
            one->in.push_back(std::move(in[k]));
            return one;
        }
        void count_results(map_progress& p) const noexcept override {
            for (const auto& one : out) {
                if (!one) continue;
                switch (one->status()) {
                case item_status::done: ++p.done; break;
                case item_status::failed: ++p.failed; break;
                case item_status::timed_out: ++p.timed_out; break;
                case item_status::cancelled: ++p.cancelled; break;
                }
            }
        }
        void put(std::size_t k, base::outcome<value>&& how, bool timed_out = false) {
            try {
                out[k].emplace(first + k, std::move(how), timed_out, attempt);
            } catch (...) { // what moving the value throws
                out[k].emplace(first + k, failure(std::current_exception()), false, attempt);
            }
        }
        static base::outcome<value> failure(std::exception_ptr e) {
            return base::outcome<value>::failure(std::move(e));
        }
        std::vector<item> in;
        std::vector<std::optional<result>> out; // of those whose turn is over, and that are not tried again
    };

    map_state(map_owner in, map_plan&& p, Source&& s, F&& f)
        : jobs(std::move(in), std::move(p)), source(std::move(s)), f_(std::move(f)) {
        if (!can_be_tried_again<item> && plan.retries > 0)
            throw base::usage_error(
                "map: retries needs items that can be copied, for each attempt is called with a copy: "
                "give it pointers that share, or indices");
    }

    Source source;

private:
    core::future<void> start(map_owner in, job_ticket t) override {
        core::spawn_options o{.name = plan.name, .site = plan.site};
        if constexpr (call::is_coroutine)
            return in.spawn(std::move(o), run_awaiting, std::move(t));
        else
            return in.spawn(std::move(o), run_plain, std::move(t));
    }
    static core::task<> run_awaiting(const job_ticket& t) {
        auto& self = static_cast<map_state&>(t.of());
        job& me = t.me();
        const base::task_id task = running_task();
        while (self.take(me)) {
            auto& b = static_cast<items&>(*me.doing);
            const base::time_point began = self.now();
            for (std::size_t k = me.from; k < b.count(); ++k) {
                std::optional<item> one; // a body that is given up keeps its own
                std::optional<core::task<value>> body;
                std::exception_ptr not_called = self.copy_for_retry(b, k, one);
                self.begin(me, k);
                if (!not_called)
                    not_called = self.make_body(b.in[k], one, body, item_place(task, b.first + k));
                std::optional<base::outcome<value>> how;
                if (body)
                    how.emplace(co_await core::as_outcome(std::move(*body)));
                else
                    how.emplace(items::failure(std::move(not_called)));
                if (!self.end(me, k)) co_return;
                self.settle(b, k, std::move(*how));
                if (self.stopped()) co_return;
            }
            self.finished(me, self.now() - began);
        }
    }
    std::exception_ptr make_body(item& from, std::optional<item>& one, std::optional<core::task<value>>& body,
                                 const item_place&) {
        try {
            if (!one) one.emplace(std::move(from));
            body.emplace(std::invoke(f_, std::move(*one)));
        } catch (...) { // before there was a coroutine
            return std::current_exception();
        }
        return nullptr;
    }
    // On a worker of its own. It ends after a while, so that other tasks have their turn.
    static void run_plain(const job_ticket& t) {
        auto& self = static_cast<map_state&>(t.of());
        job& me = t.me();
        const in_place here(me.worker);
        item_place at(running_task());
        const base::time_point began = self.now();
        base::time_point now = began;
        while (now - began < worker_share && self.take(me)) {
            if (!self.run_batch(me, at)) return;
            const base::time_point then = std::exchange(now, self.now());
            self.finished(me, now - then);
        }
    }
    bool run_batch(job& me, item_place& at) {
        auto& b = static_cast<items&>(*me.doing);
        const bool copies = has_retries(b);
        for (std::size_t k = me.from; k < b.count(); ++k) {
            at.is(b.first + k);
            auto how = copies ? attempt_with_copy(me, b, k) : attempt(me, k, b.in[k]);
            if (!end(me, k)) return false;
            settle(b, k, std::move(how));
            if (stopped()) return false;
        }
        return true;
    }
    // Before the item begins: who gives it up takes it for its next attempt. What copying throws.
    std::exception_ptr copy_for_retry(items& b, std::size_t k, std::optional<item>& into) const noexcept {
        if constexpr (can_be_tried_again<item>) {
            try {
                if (has_retries(b)) into.emplace(std::as_const(b.in[k]));
            } catch (...) {
                return std::current_exception();
            }
        }
        return nullptr;
    }
    void settle(items& b, std::size_t k, base::outcome<value>&& how) {
        if (how.has_failed() && has_retries(b)) {
            std::exception_ptr error = how.error();
            if (try_again(b, k, error, false)) return;
            b.put(k, items::failure(std::move(error)));
        } else {
            b.put(k, std::move(how));
        }
    }
    base::outcome<value> attempt_with_copy(job& me, items& b, std::size_t k) {
        std::optional<item> copy;
        std::exception_ptr not_copied = copy_for_retry(b, k, copy);
        if (copy) return attempt(me, k, *copy);
        begin(me, k);
        return items::failure(std::move(not_copied));
    }
    base::outcome<value> attempt(job& me, std::size_t k, item& from) {
        begin(me, k);
        try {
            item one = std::move(from); // a function that is given up keeps its own
            if constexpr (std::is_void_v<value>) {
                std::invoke(f_, std::move(one));
                return base::outcome<value>::success();
            } else {
                return base::outcome<value>::success(std::invoke(f_, std::move(one)));
            }
        } catch (const base::cancelled&) {
            return base::outcome<value>::cancelled(core::this_task::why());
        } catch (...) {
            return items::failure(std::current_exception());
        }
    }
    F f_;
};

// The dispatcher: reads items as far as the window allows.
template <class State>
core::task<> dispatch(std::shared_ptr<State> st) {
    using items = typename State::items;
    std::exception_ptr error;
    std::size_t index = 0;
    bool more = true;
    while (more) {
        const std::size_t n = co_await st->room();
        auto b = std::make_shared<items>(index);
        b->in.reserve(n);
        try {
            while (b->in.size() < n && more) {
                std::optional<typename State::item> one;
                if constexpr (State::source_type::awaits)
                    one = co_await st->source.next();
                else
                    st->source.next(one);
                if (one)
                    b->in.push_back(std::move(*one));
                else
                    more = false;
            }
        } catch (...) { // what was read before is worked on
            error = std::current_exception();
            more = false;
        }
        index += b->in.size();
        b->out.resize(b->in.size());
        if (!b->in.empty()) st->offer(std::move(b));
    }
    st->end_of_items(std::move(error));
}

// The collector: hands results on, each once. An item that is tried again is missing in its batch, and comes in one of its own.
template <class Out, class State>
class collector {
    static constexpr bool outcomes = std::is_same_v<Out, typename State::result>;

public:
    collector(core::sink<Out>& to, State& from) noexcept : to_(to), from_(from) {}

    core::task<> run() {
        while (auto b = co_await from_.next_done()) {
            if (from_.plan.in_order)
                keep(std::move(b), 0);
            else
                for (std::size_t k = there(*b, 0); k < b->count(); k = there(*b, k))
                    k = co_await deliver(*b, k);
            while (!early_.empty() && early_.begin()->first == turn_) {
                const auto next = early_.extract(early_.begin()).mapped();
                const std::size_t k = co_await deliver(*next, turn_ - next->first);
                turn_ = next->first + k;
                keep(next, k);
            }
        }
        if (const auto e = from_.source_error()) failures_.push_back(e);
        if (failures_.size() == 1) std::rethrow_exception(failures_.front());
        if (!failures_.empty()) throw base::group_error(std::move(failures_));
    }

private:
    bool fails_at_once() const noexcept { return !outcomes && !from_.plan.keep_going; }
    static auto& results_of(batch& b) { return static_cast<typename State::items&>(b).out; }
    // The first result from k on.
    static std::size_t there(batch& b, std::size_t k) {
        const auto& out = results_of(b);
        while (k < out.size() && !out[k])
            ++k;
        return k;
    }
    // Until the turn of what it has from k on.
    void keep(std::shared_ptr<batch> b, std::size_t k) {
        k = there(*b, k);
        if (k == b->count()) return;
        const std::size_t index = b->first + k;
        if (index != turn_ && fails_at_once()) throw_failure_of(*b, k);
        early_.emplace(index, std::move(b));
    }
    static void throw_failure_of(batch& b, std::size_t k) {
        auto& out = results_of(b);
        for (; k < out.size(); ++k)
            if (out[k] && !*out[k]) (void)out[k]->value();
    }
    // From k on, up to the first that is not there: which one that is.
    core::task<std::size_t> deliver(batch& b, std::size_t k) {
        auto& out = results_of(b);
        auto* one = out.data() + k;
        for (auto* const end = out.data() + out.size(); one != end && *one; ++one) {
            if constexpr (outcomes) {
                co_await to_.send(std::move(**one));
            } else if (**one) {
                co_await to_.send(std::move(**one).value());
            } else if (fails_at_once()) {
                (void)(*one)->value();
            } else {
                failures_.push_back(failure_of(**one));
            }
            one->reset();
        }
        const auto to = static_cast<std::size_t>(one - out.data());
        from_.delivered(to - k);
        co_return to;
    }
    static std::exception_ptr failure_of(const typename State::result& one) {
        try {
            (void)one.value();
        } catch (...) {
            return std::current_exception();
        }
        return nullptr;
    }
    core::sink<Out>& to_;
    State& from_;
    std::vector<std::exception_ptr> failures_;
    std::size_t turn_ = 0;                                // the item whose result comes next
    std::map<std::size_t, std::shared_ptr<batch>> early_; // by the first item whose result waits for its turn
};

template <class Out, class State>
core::task<> produce(core::sink<Out> to, std::shared_ptr<State> st) {
    const stop_jobs at_exit(*st);
    st->start_watch();
    auto parts = [&](core::group g) -> core::task<> {
        st->pause_in(g);
        if (st->plan.progress) (void)g.spawn_background(State::tell_progress, st);
        (void)g.spawn(dispatch<State>, st);
        collector<Out, State> results(to, *st);
        co_await results.run();
    };
    std::exception_ptr failure;
    try {
        co_await core::with_group(std::ref(parts));
    } catch (...) {
        failure = std::current_exception();
    }
    st->stop();
    try {
        st->tell_end();
    } catch (...) {
        if (!failure) failure = std::current_exception();
    }
    if (failure) std::rethrow_exception(failure);
}

template <class Items, class F>
using state_of = map_state<typename source_of<std::decay_t<Items>>::type, std::decay_t<F>>;

template <class Out, class State, class Items, class F>
core::stream<Out> start_map(const map_owner& in, Items&& items, F&& f, map_options&& o,
                            const base::spawn_site& at) {
    using source = typename State::source_type;
    core::stream_options how{.takes_slot = false, .name = o.name, .site = at};
    map_plan plan = plan_of(std::move(o), at);
    source from(std::decay_t<Items>(std::forward<Items>(items)));
    if (plan.progress) plan.total = from.count();
    auto st =
        std::make_shared<State>(in, std::move(plan), std::move(from), std::decay_t<F>(std::forward<F>(f)));
    how.capacity = st->plan.buffer;
    return core::spawn_stream(in.for_stream(at), std::move(how), produce<Out, State>, std::move(st));
}

} // namespace detail

/// `for (auto& page : map(rt, urls, fetch, {.jobs = 8, .timeout = 3s}))`, `while (auto p = co_await pages.next())`,
/// `co_await map(g, urls, fetch).collect()`: calls f(item) for each item, several at once, and gives what it returns.
/// f is a plain function, or a coroutine function; it is called by several threads at once, and is destroyed after the last call.
/// items: a range, which is copied or moved in (std::ref(range) borrows it) and read by one thread, as far ahead as
///   pre_dispatch allows, so that it may be lazy, single-pass or without an end; or a stream<T>. Each item is moved into its
///   call.
/// Owner: the stream owns the map: dropping it cancels what runs, in the middle of the items as well. Each running call is a task
///   of the group or runtime, which waits for it; in a group with max_concurrency each takes a slot.
/// Retries: an item that failed gets up to `retries` more attempts, after the pauses that `backoff` says; its result is that of
///   the last one. It keeps its index and its place in the order.
/// Timeout: an item that takes longer than `timeout` is given up on time, whoever reads the results and in whatever order:
///   its task is cancelled, and the other items go on. A function that does not notice keeps its thread, for which another one
///   works, and is a task that its owner waits for, and that close() names.
/// Throws: usage_error for options that cannot be meant. next() throws, once, after results that came before: the first
///   failure of an item (timeout_error for one that took too long), with which the others are cancelled; with keep_going
///   all failures after the last result, more than one as group_error; what reading the items throws, after the
///   results of those before; timeout_error after `deadline`.
template <class Items, class F>
[[nodiscard]] auto map(const map_owner& in, Items&& items, F&& f, map_options o = {},
                       base::spawn_site at = base::spawn_site::current()) {
    using state = detail::state_of<Items, F>;
    static_assert(!std::is_void_v<typename state::value>,
                  "map: the function returns nothing: use map_outcomes, or parallel_for");
    return detail::start_map<typename state::value, state>(in, std::forward<Items>(items), std::forward<F>(f),
                                                           std::move(o), at);
}

/// The same, and gives for each item how it ended (item_outcome): a value, a failure, timed out, or cancelled. No item's
/// failure ends the map; next() throws only what reading the items throws, and timeout_error after `deadline`.
template <class Items, class F>
[[nodiscard]] auto map_outcomes(const map_owner& in, Items&& items, F&& f, map_options o = {},
                                base::spawn_site at = base::spawn_site::current()) {
    using state = detail::state_of<Items, F>;
    return detail::start_map<typename state::result, state>(in, std::forward<Items>(items),
                                                            std::forward<F>(f), std::move(o), at);
}

} // namespace tenure::inline v0::parallel
