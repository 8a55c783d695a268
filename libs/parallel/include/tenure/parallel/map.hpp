// map: a function over many items, several at a time. The results are a stream.
#pragma once
#include <tenure/parallel/detail/collector.hpp>
#include <tenure/parallel/detail/map_state.hpp>
#include <tenure/parallel/detail/source.hpp>
#include <tenure/parallel/item_index.hpp>

namespace tenure::inline v0::parallel {

namespace detail {

enum class gives { values, outcomes };

/// Compiles if F can be called with an Item; otherwise the compiler says what to do, in one line.
template <gives What, class F, class Item>
consteval bool can_be_mapped_here() {
    constexpr bool fits = std::is_invocable_v<F&, Item>;
    static_assert(fits, "map: the function cannot be called with an item");
    if constexpr (fits && What == gives::values) {
        constexpr bool returns = !std::is_void_v<value_of_mapped<F, Item>>;
        static_assert(returns, "map: the function returns nothing: use map_outcomes, or parallel_for");
        return returns;
    }
    return fits;
}
template <bool Anywhere, gives What, class F, class Item>
consteval bool can_be_mapped() {
    if constexpr (Anywhere) {
        constexpr bool fits = can_be_mapped_elsewhere<F, Item>();
        if constexpr (fits) return can_be_mapped_here<What, F, Item>();
        return fits;
    } else {
        return can_be_mapped_here<What, F, Item>();
    }
}

template <bool Anywhere, gives What, class Items, class F>
auto start_map(const map_owner& in, runner::runner* on, Items&& items, F&& f, map_options&& o,
               const base::spawn_site& at) {
    using source = typename source_of<std::decay_t<Items>>::type;
    using function = std::decay_t<F>;
    if constexpr (can_be_mapped<Anywhere, What, function, typename source::value_type>()) {
        using state = map_state<source, function, Anywhere>;
        using value = typename state::value;
        using out = std::conditional_t<What == gives::values, value, item_outcome<value>>;
        core::stream_options how{.takes_slot = false, .name = o.name, .site = at};
        map_plan plan = plan_of(std::move(o), at, on);
        source from(std::decay_t<Items>(std::forward<Items>(items)));
        if (plan.progress) plan.total = from.count();
        auto st = std::make_shared<state>(in, std::move(plan), std::move(from),
                                          std::decay_t<F>(std::forward<F>(f)));
        how.capacity = st->plan.buffer;
        return core::spawn_stream(in.for_stream(at), std::move(how), produce<out, value>,
                                  std::shared_ptr<jobs>(std::move(st)));
    }
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
    return detail::start_map<false, detail::gives::values>(in, nullptr, std::forward<Items>(items),
                                                           std::forward<F>(f), std::move(o), at);
}

/// The same, and gives for each item how it ended (item_outcome): a value, a failure, timed out, or cancelled. No item's
/// failure ends the map; next() throws only what reading the items throws, and timeout_error after `deadline`.
template <class Items, class F>
[[nodiscard]] auto map_outcomes(const map_owner& in, Items&& items, F&& f, map_options o = {},
                                base::spawn_site at = base::spawn_site::current()) {
    return detail::start_map<false, detail::gives::outcomes>(in, nullptr, std::forward<Items>(items),
                                                             std::forward<F>(f), std::move(o), at);
}

/// `map(g, workers, paths, fn<&parse>, {.timeout = 3s})`: the same on a runner, so that the items may be worked on in processes.
/// f is what can be called there (wire/function.hpp), with one parameter, which an item becomes; there item_index() tells its
/// index, and this_task::checkpoint() whether the map still wants it.
/// jobs: at most the runner's width; a negative number counts from that. On a runner of this process only that width counts:
///   the runtime's workers do it, as without a runner.
/// Batches: items travel in batches, and each has a result of its own. A worker that dies costs the item that it ran
///   (item_status::worker_died): those before it keep their results, those after it go to another worker, and none is run twice
///   but for `retries`.
/// Timeout: the item is told of on time; its worker is pressed to end it (process/options.hpp: grace), or ended and replaced.
/// Owner: as above. A pool that is destroyed or closed before the map is over fails its items; another runner outlives the map.
/// Throws: as above; what cannot be sent is the failure of its item.
template <class Items, class F>
[[nodiscard]] auto map(const map_owner& in, runner::runner& on, Items&& items, F&& f, map_options o = {},
                       base::spawn_site at = base::spawn_site::current()) {
    return detail::start_map<true, detail::gives::values>(in, &on, std::forward<Items>(items),
                                                          std::forward<F>(f), std::move(o), at);
}
template <class Items, class F>
[[nodiscard]] auto map_outcomes(const map_owner& in, runner::runner& on, Items&& items, F&& f,
                                map_options o = {}, base::spawn_site at = base::spawn_site::current()) {
    return detail::start_map<true, detail::gives::outcomes>(in, &on, std::forward<Items>(items),
                                                            std::forward<F>(f), std::move(o), at);
}

} // namespace tenure::inline v0::parallel
