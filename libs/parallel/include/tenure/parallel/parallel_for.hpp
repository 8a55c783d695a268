// parallel_for and reduce: a function for each index of a range, on several workers at once.
#pragma once
#include <tenure/core/task.hpp>
#include <tenure/parallel/detail/loop.hpp>

#include <ranges>
#include <utility>
#include <vector>

namespace tenure::inline v0::parallel {

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
    const auto sum_of = [&](detail::chunk c) {
        T sum = f(c.begin);
        for (std::size_t i = c.begin + 1; i < c.end; ++i)
            sum = op(std::move(sum), f(i));
        return sum;
    };
    const auto put = [&](std::size_t k) { parts[k].emplace(sum_of(chunks[k])); };
    parallel_for(rt, parts.size(), put, chunks.each_alone(), at);
    // Neighbours, then neighbours of those, …
    for (std::size_t step = 1; step < parts.size(); step *= 2)
        for (std::size_t i = 0; i + step < parts.size(); i += 2 * step)
            parts[i].emplace(op(std::move(*parts[i]), std::move(*parts[i + step])));
    if (parts.empty()) return first;
    return op(std::move(first), std::move(*parts[0]));
}

} // namespace tenure::inline v0::parallel
