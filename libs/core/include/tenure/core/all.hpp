// all and any: several things awaited at a time, each as a task of its own.
#pragma once
#include <tenure/core/observe.hpp>
#include <tenure/core/task_set.hpp>

#include <tuple>
#include <variant>
#include <vector>

namespace tenure::inline v0::core {
namespace detail {

template <class T>
task<T> as_task(task<T>&& t) {
    return std::move(t);
}
template <class Op>
    requires awaitable_operation<std::remove_cvref_t<Op>>
auto as_task(Op&& op) {
    return await_in_own_frame<std::remove_cvref_t<Op>>(std::forward<Op>(op));
}
template <class H>
    requires awaitable_handle<H>
auto as_task(H&& handle) {
    return as_task(std::forward<H>(handle).await_operation());
}
/// T of what `co_await a` gives.
template <class A>
using awaited_t = typename decltype(as_task(std::declval<A>()))::value_type;

/// A task as a function to be spawned, once.
template <class T>
class run_task {
public:
    explicit run_task(task<T>&& t) noexcept : task_(std::move(t)) {}
    task<T> operator()() { return std::move(task_); }

private:
    task<T> task_;
};

template <class T>
using unless_void = std::conditional_t<std::is_void_v<T>, base::unit, T>;
template <class... T>
using all_values = std::conditional_t<(std::is_void_v<T> && ...), void, std::tuple<unless_void<T>...>>;
template <class T>
unless_void<T> value_of(future<T>& ended) {
    if constexpr (std::is_void_v<T>)
        return {};
    else
        return ended.take();
}
template <class T, class... U>
struct value_of_any
    : std::conditional<(std::is_same_v<T, U> && ...), T, std::variant<unless_void<T>, unless_void<U>...>> {};
template <class... T>
using any_value = typename value_of_any<T...>::type;

template <class... T>
std::tuple<future<T>...> spawn_each([[maybe_unused]] group& g, [[maybe_unused]] base::spawn_site at,
                                    task<T>&... t) {
    return std::tuple<future<T>...>{g.spawn({.name = {}, .site = at}, run_task<T>(std::move(t)))...};
}
template <class T>
task_set<T> spawn_each(const group& g, base::spawn_site at, std::vector<task<T>>& tasks) {
    task_set<T> set(g);
    for (auto& t : tasks)
        set.spawn({.name = {}, .site = at}, run_task<T>(std::move(t)));
    return set;
}

template <class... T>
auto await_all(task<T>... t) -> task<all_values<T...>> {
    const base::spawn_site at = awaited_at();
    auto body = [&](group g) -> task<std::tuple<future<T>...>> { co_return spawn_each(g, at, t...); };
    auto ended = co_await with_group(body);
    if constexpr (!std::is_void_v<all_values<T...>>)
        co_return std::apply([](auto&... f) { return all_values<T...>{value_of(f)...}; }, ended);
}
template <class T>
auto await_all_of(std::vector<task<T>> tasks)
    -> task<std::conditional_t<std::is_void_v<T>, void, std::vector<T>>> {
    const base::spawn_site at = awaited_at();
    auto body = [&](group g) -> task<task_set<T>> { co_return spawn_each(g, at, tasks); };
    auto set = co_await with_group(body);
    co_return co_await set.results();
}

/// Throws what any() throws when nothing has a value.
[[noreturn]] void throw_none_of(std::vector<base::task_failure> failures);

template <class T>
auto await_any_of(std::vector<task<T>> tasks) -> task<T> {
    if (tasks.empty()) throw base::usage_error("any() of nothing: there is no value that it could ever have");
    const base::spawn_site at = awaited_at();
    std::optional<future<T>> first;
    std::vector<base::task_failure> failures;
    auto body = [&](group g) -> task<> {
        task_set<T> set = spawn_each(g, at, tasks);
        for (;;) {
            auto ended = co_await set.next();
            if (!ended) break;
            if (ended->status() == task_status::done) {
                first = std::move(ended);
                g.cancel("another one had a value first");
                break;
            }
            if (const auto e = ended->error()) failures.push_back({ended->label(), e});
        }
    };
    co_await with_group(supervise([](const base::task_failure&) {}), body); // next() tells of failures
    if (!first) throw_none_of(std::move(failures));
    co_return co_await std::move(*first);
}
/// Of a variant R, the I-th alternative.
template <class R, std::size_t I, class T>
auto as_alternative(task<T> t) -> task<R> {
    if constexpr (std::is_void_v<T>) {
        co_await std::move(t);
        co_return R(std::in_place_index<I>);
    } else {
        T value = co_await std::move(t);
        co_return R(std::in_place_index<I>, std::move(value));
    }
}
template <class... T, std::size_t... I>
auto await_any(std::index_sequence<I...>, task<T>... t) {
    using value = any_value<T...>;
    std::vector<task<value>> tasks;
    tasks.reserve(sizeof...(T));
    if constexpr ((std::is_same_v<T, value> && ...))
        (tasks.push_back(std::move(t)), ...);
    else
        (tasks.push_back(as_alternative<value, I>(std::move(t))), ...);
    return await_any_of(std::move(tasks));
}

} // namespace detail

/// `auto [page, n] = co_await all(fetch(url), count())`: runs them at a time and waits for all. Void ones give a base::unit;
/// nothing if all are void.
/// What may be awaited may be given: tasks, futures (only the wait is this task's), operations.
/// Owner: the calling task. Cancel: each is cancelled, and awaited. Timeout: none; wrap in with_timeout.
/// Throws: as with_group: the first failure cancels the others.
template <class... A>
auto all(A&&... a) {
    return detail::await_all(detail::as_task(std::forward<A>(a))...);
}
/// The same for any number of one type: `std::vector<T> all_of_them = co_await all(std::move(tasks))`, in that order.
template <class T>
auto all(std::vector<task<T>> tasks) {
    return detail::await_all_of(std::move(tasks));
}

/// `auto page = co_await any(fetch(mirror1), fetch(mirror2))`: runs them at a time; the first that has a value wins, the
/// others are cancelled, and awaited. Gives a T if all give a T, otherwise a std::variant that says which one it was.
/// Owner, Cancel, Timeout: as all.
/// Throws: group_error with all failures if none has a value; failures of those that do not win are dropped.
template <class A, class... B>
auto any(A&& a, B&&... b) {
    return detail::await_any(std::make_index_sequence<1 + sizeof...(B)>(),
                             detail::as_task(std::forward<A>(a)), detail::as_task(std::forward<B>(b))...);
}
/// The same for any number of one type. Throws: usage_error for none.
template <class T>
auto any(std::vector<task<T>> tasks) {
    return detail::await_any_of(std::move(tasks));
}

} // namespace tenure::inline v0::core
