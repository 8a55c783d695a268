// Streams of what is there already, and of other streams: stream_of, ticks, merge, zip, tee.
//
// Each is a task that owns what it reads, as the steps of a stream are (stream.hpp): who stops reading the result ends it all.
#pragma once
#include <tenure/core/event.hpp>
#include <tenure/core/select.hpp>
#include <tenure/core/stream.hpp>

#include <array>
#include <functional>
#include <ranges>

namespace tenure::inline v0::core {
namespace detail {

// Sources.
template <class R>
concept range_to_read = std::ranges::input_range<std::unwrap_reference_t<std::decay_t<R>>>;

/// A range that owns its items gives them away; of what is borrowed they are copied.
template <class T, class R, bool Borrowed>
task<void> range_items(sink<T> out, R& range) {
    constexpr bool gives_away = !Borrowed && !std::ranges::view<R>;
    using given = std::conditional_t<gives_away, std::ranges::range_rvalue_reference_t<R>,
                                     std::ranges::range_reference_t<R>>;
    static_assert(
        std::is_constructible_v<T, given>,
        "stream_of copies the items of a view and of what is passed by std::ref: to have them moved out "
        "pass the container itself, by std::move");
    const auto end = std::ranges::end(range);
    for (auto at = std::ranges::begin(range); at != end; ++at) {
        if constexpr (gives_away)
            co_await out.send(T(std::ranges::iter_move(at)));
        else
            co_await out.send(T(*at));
    }
}
template <class T>
task<void> channel_items(sink<T> out, const channel<T>& from) {
    while (auto v = co_await from.receive())
        co_await out.send(std::move(*v));
}
task<void> tick_items(sink<std::uint64_t> out, base::duration interval);

// merge
template <class T>
task<void> merge_items(const sink<T>& out, std::vector<stream<T>>& in) {
    auto each = [&](group g) -> task<void> {
        for (auto& s : in)
            (void)g.spawn(pass_items<T>, std::cref(out), std::ref(s));
        co_return;
    };
    co_await with_group(each);
}

// zip
template <class... T>
class zip_row {
public:
    using items = std::tuple<T...>;
    explicit zip_row(std::tuple<stream<T>...>& in) noexcept : in_(in) {}
    /// Takes what is here, without a wait. An operation, since whoever is cancelled must not find out that what it reads from
    /// was, too. False: one of them has ended. Throws: as its next().
    class taking {
    public:
        using tenure_operation = void;
        static constexpr bool is_checkpoint = true;
        explicit taking(zip_row& row) noexcept : row_(row) {}
        bool ready() {
            goes_on_ = row_.take_here(all());
            return true;
        }
        void start(strand& s, frame&) {
            (void)ready();
            s.next = step::resume;
        }
        bool result() const noexcept { return goes_on_; }

    private:
        zip_row& row_;
        bool goes_on_ = false;
    };
    taking take_here() { return taking(*this); }
    bool complete() const noexcept {
        return std::apply([](const auto&... each) { return (each.has_value() && ...); }, row_);
    }
    /// Waits for one of the streams of which nothing is here: whoever ends or fails ends the zip, also while others are silent.
    auto next() { return next(all()); }
    /// False: that one has ended.
    template <class Taken>
    bool put(Taken taken) {
        return put(taken, all());
    }
    items take() {
        return std::apply([](auto&... each) { return items(std::move(*each)...); }, row_);
    }

private:
    static constexpr auto all() { return std::index_sequence_for<T...>(); }
    template <std::size_t... I>
    bool take_here(std::index_sequence<I...>) {
        return (take_one_here(std::get<I>(in_), std::get<I>(row_)) && ...);
    }
    template <class U>
    static bool take_one_here(stream<U>& s, std::optional<U>& place) {
        if (place) return true;
        receiving<U> half{&s.shared()->channel()};
        if (!take_at_once(half)) return true;
        place = s.shared()->outcome_of(half);
        return place.has_value();
    }
    template <std::size_t... I>
    auto next(std::index_sequence<I...>) {
        return select_any(biased, next_unless_here(std::get<I>(in_), std::get<I>(row_))...);
    }
    template <class U>
    static std::optional<next_of_stream<U>> next_unless_here(stream<U>& s, const std::optional<U>& here) {
        if (here) return std::nullopt;
        return std::optional<next_of_stream<U>>(s.next());
    }
    template <class Taken, std::size_t... I>
    bool put(Taken& taken, std::index_sequence<I...>) {
        return ((taken.index() == I && put_one(std::get<I>(row_), std::get<I>(taken))) || ...);
    }
    template <class U>
    static bool put_one(std::optional<U>& place, std::optional<U>& item) {
        if (item) place.emplace(std::move(*item));
        return place.has_value();
    }
    std::tuple<stream<T>...>& in_;
    std::tuple<std::optional<T>...> row_;
};
template <class... T>
task<void> zip_items(const sink<std::tuple<T...>>& out, std::tuple<stream<T>...>& in) {
    for (;;) {
        zip_row<T...> row(in);
        // To wait for one of several is much dearer than an item, and mostly all of the row is here.
        for (;;) {
            auto here = row.take_here();
            if (!co_await here) co_return;
            if (row.complete()) break;
            auto one = row.next();
            if (!row.put(co_await one)) co_return;
        }
        co_await out.send(row.take());
    }
}

// tee: a task that reads, and sends a copy into each branch. A branch's own task only waits for the end, and leaves when its
// reader does. The last one that leaves stops the reading, and waits for its end.
class tee_state {
public:
    explicit tee_state(std::size_t branches) noexcept : branches_(branches) {}
    /// Once the branches are there, which may have left already.
    void begin(stream<base::unit> reading);
    /// By the reading task, before over().set(). Null: the end.
    void ends_with(std::exception_ptr failure) noexcept { failure_ = std::move(failure); }
    event& over() noexcept { return over_; }
    /// For a branch, which tells its reader; once it is over.
    const std::exception_ptr& failure_to_tell() noexcept {
        told_.store(true, std::memory_order_relaxed);
        return failure_;
    }
    /// Throws: a failure that no branch has told; of the cleanup.
    static task<void> leave(std::shared_ptr<tee_state> all);

private:
    event over_;
    std::exception_ptr failure_;    // constant once it is over
    std::atomic<bool> told_{false}; // relaxed: read by the last that leaves, which m_ puts behind the others
    base::mutex m_;
    std::size_t branches_ TENURE_GUARDED_BY(m_);
    std::optional<stream<base::unit>> reading_ TENURE_GUARDED_BY(m_);
};

template <class T>
task<void> tee_branch(sink<T> out, std::shared_ptr<tee_state>& all) {
    co_await defer(base::duration::max(), &tee_state::leave, all);
    co_await all->over().wait();
    out.shared()->sends_no_more(all->failure_to_tell());
}
template <class T>
task<void> copy_items(stream<T>& in, std::vector<sink<T>>& to) {
    std::vector<std::size_t> full;
    while (!to.empty()) {
        auto v = co_await in.next();
        if (!v) co_return;
        // Those that have room are not held up by one that has none.
        full.clear();
        for (std::size_t i = to.size(); i-- > 0;)
            if (!to[i].try_send(T(std::as_const(*v)))) full.push_back(i);
        for (const std::size_t i : full) { // from the last one on
            T copy(std::as_const(*v));
            bool left = false;
            try {
                co_await to[i].send(std::move(copy));
            } catch (const base::closed_error&) {
                left = true;
            }
            if (left) to.erase(to.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
}
template <class T>
task<void> tee_items(sink<base::unit>, stream<T>& in, std::vector<sink<T>>& to,
                     std::shared_ptr<tee_state>& all) {
    co_await defer(base::duration::max(), stop_streams, streams_in(in));
    std::exception_ptr failure;
    try {
        co_await copy_items(in, to);
    } catch (...) {
        failure = std::current_exception();
    }
    all->ends_with(std::exchange(failure, nullptr));
    all->over().set();
}
template <class T, std::size_t... I>
std::array<stream<T>, sizeof...(I)> make_tee(stream<T>&& in, base::spawn_site at, std::index_sequence<I...>) {
    const auto o = like(in, "tee", at);
    const auto from = shared_of(in);
    from->want(); // by its branches
    const stream_owner where(*from, at);
    const auto all = std::make_shared<tee_state>(sizeof...(I));
    auto branch = [&](std::size_t) {
        return launch_stream(where, produced_by::step, stream_options(o), &tee_branch<T>, all);
    };
    std::array<stream<T>, sizeof...(I)> branches{branch(I)...};
    std::vector<sink<T>> to{sink<T>(branches[I].shared())...};
    all->begin(launch_stream(where, produced_by::step, {.capacity = 0, .name = "tee", .site = at},
                             &tee_items<T>, std::move(in), std::move(to), all));
    return branches;
}

} // namespace detail

/// `stream_of(g, std::move(lines))`, `stream_of(g, std::views::iota(1))`: the items of any input range, one after the other as
/// they are read. A container is the stream's own, copied or moved in, and its items are moved out; a view, and what is passed
/// by std::ref, is borrowed: it must outlive the owner's tasks, and its items are copied.
/// Owner: of the task, `in`. Threads: the range is read on a worker: one that blocks belongs into run_blocking().
/// Throws: as spawn_stream(). What the range throws, next() throws, once, after the items before.
template <detail::range_to_read R>
auto stream_of(stream_owner in, stream_options o, R&& range) {
    using given = std::unwrap_reference_t<std::decay_t<R>>;
    constexpr bool borrowed = !std::is_same_v<given, std::decay_t<R>>;
    return detail::launch_stream(in, detail::produced_by::source, std::move(o),
                                 &detail::range_items<std::ranges::range_value_t<given>, given, borrowed>,
                                 std::forward<R>(range));
}
template <detail::range_to_read R>
auto stream_of(stream_owner in, R&& range) {
    return stream_of(in, stream_options{.site = in.site()}, std::forward<R>(range));
}
/// `stream_of(g, requests)`: what is received from the channel, until that is closed and drained. Others may receive from it,
/// too. What the stream has received and nobody reads dies with it: its capacity, and one item on its way.
template <class T>
stream<T> stream_of(stream_owner in, stream_options o, channel<T> from) {
    return detail::launch_stream(in, detail::produced_by::source, std::move(o), &detail::channel_items<T>,
                                 std::move(from));
}
template <class T>
stream<T> stream_of(stream_owner in, channel<T> from) {
    return stream_of(in, stream_options{.site = in.site()}, std::move(from));
}

/// `ticks(g, 1s)`: every() as a stream: 1, 2, 3, …, each when so many intervals are over, for ever. One tick waits for a reader
/// that is late; those for which there was no room are left out, and their numbers with them.
/// Throws: as spawn_stream(); usage_error unless interval > 0.
stream<std::uint64_t> ticks(stream_owner in, base::duration interval);
template <class Rep, class Period>
stream<std::uint64_t> ticks(stream_owner in, std::chrono::duration<Rep, Period> interval) {
    return ticks(in, base::to_duration(interval));
}

// What follows reads other streams, and lives where the first of them does; it takes no slot of a group's max_concurrency.
// Owner: of those streams, the result: dropped or stopped, it ends them all. End and failure are told at once, as by a step.

/// `merge(a, b, c)`, `merge(std::vector)`: the items of all of them as they come, those of each in their order; ends when all
/// have ended. A reader that is slow slows all of them.
/// Throws: usage_error if there are none. What one of them throws, next() throws, once, and the others are cancelled: what they
///   had sent and nobody has read may be lost. group_error if several fail at the same time.
template <class T>
stream<T> merge(std::vector<stream<T>> of, base::spawn_site at = base::spawn_site::current()) {
    if (of.empty()) throw base::usage_error("merge: there is no stream to read: give it at least one");
    auto o = detail::like(of.front(), "merge", at);
    return detail::add_step<detail::merge_items<T>, T>(std::move(o), std::move(of));
}
template <class T, class... More>
stream<T> merge(stream<T> first, stream<More>... more) {
    static_assert((std::is_same_v<T, More> && ...),
                  "merge takes streams of the same item: bring them to one type first, by map()");
    const base::spawn_site at = detail::shared_of(first)->producer()->label().site;
    std::vector<stream<T>> all;
    all.reserve(1 + sizeof...(more));
    all.push_back(std::move(first));
    (all.push_back(std::move(more)), ...);
    return merge(std::move(all), at);
}

/// `zip(a, b)`: stream<std::tuple<A, B>>: the first of each, the second of each, and so on. Ends with the shortest, at once,
/// and the others are cancelled; items that have no counterpart are dropped.
/// Throws: what one of them throws, next() throws, once.
template <class... T>
stream<std::tuple<T...>> zip(stream<T>... of) {
    static_assert(sizeof...(T) > 0, "zip needs a stream to read");
    std::tuple<stream<T>...> all(std::move(of)...);
    const auto& first = std::get<0>(all);
    auto o = detail::like(first, "zip", detail::shared_of(first)->producer()->label().site);
    return detail::add_step<detail::zip_items<T...>, std::tuple<T...>>(std::move(o), std::move(all));
}

/// `auto [a, b] = tee(s)`, `auto [a, b, c] = tee<3>(s)`: streams that each have every item, a copy of it. Each is read at its own
/// pace, and is ahead of the slowest by the capacity of `s` and one item at most: a branch that is not read holds the others
/// then, until it is dropped or stopped. The last one that is dropped ends `s`; its stop() waits for that.
/// Throws: what `s` throws, next() of each branch throws, once; a branch that does not read it hands it to the owner, as any
///   stream.
template <std::size_t N = 2, class T>
std::array<stream<T>, N> tee(stream<T> s, base::spawn_site at = base::spawn_site::current()) {
    static_assert(N > 0, "tee gives at least one stream");
    static_assert(std::is_copy_constructible_v<T>,
                  "tee gives each of its streams a copy of every item, and this one cannot be copied: make a "
                  "std::shared_ptr of it, by map()");
    return detail::make_tee(std::move(s), at, std::make_index_sequence<N>());
}

} // namespace tenure::inline v0::core
