// parallel_for and reduce: a function for each index of a range, on several workers at once.
#pragma once
#include <tenure/core/task.hpp>
#include <tenure/parallel/detail/loop.hpp>
#include <tenure/parallel/map.hpp>

#include <optional>
#include <ranges>
#include <utility>
#include <vector>

namespace tenure::inline v0::parallel {

namespace detail {

template <class T, class F, class Op>
T chunk_sum(chunk c, F& f, Op& op) {
    T sum = f(c.begin);
    for (std::size_t i = c.begin + 1; i < c.end; ++i)
        sum = op(std::move(sum), f(i));
    return sum;
}
/// Neighbours, then neighbours of those, …
template <class T, class Op>
T sum_of_parts(T first, std::vector<std::optional<T>>& parts, Op& op) {
    for (std::size_t step = 1; step < parts.size(); step *= 2)
        for (std::size_t i = 0; i + step < parts.size(); i += 2 * step)
            parts[i].emplace(op(std::move(*parts[i]), std::move(*parts[i + step])));
    if (parts.empty()) return first;
    return op(std::move(first), std::move(*parts[0]));
}

/// What is called with a chunk, on a runner.
template <class Body>
struct calls_in_chunk {
    [[no_unique_address]] Body body;
    void operator()(chunk c) {
        for (std::size_t i = c.begin; i < c.end; ++i)
            (void)body(i);
    }
};
template <class T, class F, class Op>
struct sum_in_chunk {
    [[no_unique_address]] F f;
    [[no_unique_address]] Op op;
    T operator()(chunk c) { return chunk_sum<T>(c, f, op); }
};
/// Compiles if these can be called in another process; otherwise the compiler says what to do.
template <class F, class Op>
consteval bool can_be_reduced_elsewhere() {
    constexpr bool travels = wire::detail::stateless<Op> || std::is_aggregate_v<Op>;
    static_assert(travels, "reduce: op is a lambda without captures, std::plus<>() and the like, or an "
                           "aggregate function object; captures are invisible to the compiler");
    return travels && can_be_mapped_elsewhere<F, std::size_t>();
}

} // namespace detail

/// `parallel_for(rt, n, [&](std::size_t i) { out[i] = f(in[i]); })`: calls body(i) for 0, 1, …, n - 1, each once, in no order,
/// several at once; returns when all have been called. The calling thread works too.
/// body is called by several threads at once, and may borrow the caller's locals.
/// Owner: the call. The other threads' parts are tasks of the runtime, which end with it.
/// Cancel: of the task that calls it: no more is begun, what has begun is awaited, and `cancelled` is thrown.
/// Throws: the first failure of body, after which no more is begun; task_cancelled when the runtime cancels those that help, as
///   it closes (one that has closed gives no help); usage_error for options that cannot be meant, and inside a coroutine.
template <class Body>
void parallel_for(core::runtime& rt, std::size_t n, Body&& body, const loop_options& o = {},
                  base::spawn_site at = base::spawn_site::current()) {
    detail::chunked loop(n, o, at);
    loop.run(rt, [&](detail::chunk c) {
        for (std::size_t i = c.begin; i < c.end; ++i)
            body(i);
    });
}
/// For each element of a range that can be indexed: body(element).
template <std::ranges::random_access_range Range, class Body>
    requires std::ranges::sized_range<Range>
void parallel_for(core::runtime& rt, Range&& items, Body&& body, const loop_options& o = {},
                  base::spawn_site at = base::spawn_site::current()) {
    const auto first = std::ranges::begin(items);
    detail::chunked loop(static_cast<std::size_t>(std::ranges::size(items)), o, at);
    loop.run(rt, [&](detail::chunk c) {
        auto element = first + static_cast<std::ranges::range_difference_t<Range>>(c.begin);
        for (std::size_t i = c.begin; i < c.end; ++i, ++element)
            body(*element);
    });
}

/// `reduce(rt, n, 0.0, [&](std::size_t i) { return x[i] * y[i]; }, std::plus<>())`: op over the values of f(0), f(1), …, f(n - 1),
/// beginning with `first`. op need not commute; how the values are put together depends on n and o.grain alone, so that the
/// result is the same, to the last bit, with any number of workers.
/// Otherwise as parallel_for.
template <class T, class F, class Op>
T reduce(core::runtime& rt, std::size_t n, T first, F&& f, Op&& op, const loop_options& o = {},
         base::spawn_site at = base::spawn_site::current()) {
    const detail::fixed_chunks chunks(n, o);
    std::vector<std::optional<T>> parts(chunks.count());
    const auto put = [&](std::size_t k) { parts[k].emplace(detail::chunk_sum<T>(chunks[k], f, op)); };
    parallel_for(rt, parts.size(), put, chunks.each_alone(), at);
    return detail::sum_of_parts(std::move(first), parts, op);
}

/// `parallel_for(rt, workers, n, fn<&render>)`: body(0), …, body(n - 1) on a runner, for instance in worker processes; returns when
/// all have been called. body is what can be called there (wire/function.hpp).
/// grain: how many at least make up one item of the map that this is (map.hpp); 0: n / 1024.
/// Owner: the call. Throws: the first failure, with which the others are cancelled; usage_error, also inside a coroutine.
template <class Body>
void parallel_for(core::runtime& rt, runner::runner& on, std::size_t n, Body&& body,
                  const loop_options& o = {}, base::spawn_site at = base::spawn_site::current()) {
    using function = std::remove_cvref_t<Body>;
    if constexpr (detail::can_be_mapped_elsewhere<function, std::size_t>()) {
        const detail::fixed_chunks chunks(n, o);
        auto calls =
            map_outcomes(rt, on, chunks.all(), detail::calls_in_chunk<function>{std::forward<Body>(body)},
                         {.jobs = o.jobs, .order = order::completion, .name = o.name}, at);
        for (const auto& one : calls)
            (void)one.value();
    }
}

/// `reduce(rt, workers, n, 0.0, fn<&weight>, std::plus<>())`: as above, on a runner. The result is the same, to the last bit, as
/// without one. T and op's state, if it has any, travel as well.
template <class T, class F, class Op>
T reduce(core::runtime& rt, runner::runner& on, std::size_t n, T first, F&& f, Op&& op,
         const loop_options& o = {}, base::spawn_site at = base::spawn_site::current()) {
    using function = std::remove_cvref_t<F>;
    using operation = std::remove_cvref_t<Op>;
    if constexpr (detail::can_be_reduced_elsewhere<function, operation>()) {
        const detail::fixed_chunks chunks(n, o);
        std::vector<std::optional<T>> parts;
        parts.reserve(chunks.count());
        auto sums =
            map(rt, on, chunks.all(), detail::sum_in_chunk<T, function, operation>{std::forward<F>(f), op},
                {.jobs = o.jobs, .name = o.name}, at);
        for (T& one : sums)
            parts.emplace_back(std::move(one));
        return detail::sum_of_parts(std::move(first), parts, op);
    } else {
        return first;
    }
}

} // namespace tenure::inline v0::parallel

/// As their members travel, those that have any.
template <class Body>
struct tenure::wire::codec<tenure::parallel::detail::calls_in_chunk<Body>> {
    using type = tenure::parallel::detail::calls_in_chunk<Body>;
    static void write(writer& w, const type& v) { wire::write(w, v.body); }
    static type read(reader& r) { return type{wire::read<Body>(r)}; }
};
template <class T, class F, class Op>
struct tenure::wire::codec<tenure::parallel::detail::sum_in_chunk<T, F, Op>> {
    using type = tenure::parallel::detail::sum_in_chunk<T, F, Op>;
    static void write(writer& w, const type& v) {
        if constexpr (!detail::stateless<F>) wire::write(w, v.f);
        if constexpr (!detail::stateless<Op>) wire::write(w, v.op);
    }
    static type read(reader& r) {
        F f = part<F>(r); // in this order
        Op op = part<Op>(r);
        return type{std::move(f), std::move(op)};
    }

private:
    template <class Part>
    static Part part(reader& r) {
        if constexpr (detail::stateless<Part>)
            return Part();
        else
            return wire::read<Part>(r);
    }
};
