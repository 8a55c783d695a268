// item_index: which item of a map the running function was called with.
#pragma once
#include <cstddef>
#include <optional>

namespace tenure::inline v0::parallel {

/// In a plain function that map calls: the index of its item; the first one is 0. It depends on the items alone, so that it is a
/// seed for each: `std::mt19937 bits(*item_index())`.
/// In a map inside a map: of the innermost. In a parallel_for or reduce inside a map: of the map's item, on every thread.
/// Empty elsewhere: outside a map, in tasks that the function spawns, and in a coroutine. That is given it as an argument:
/// `map(g, urls, [](std::string url) { return fetch(std::move(url), *item_index()); })`.
std::optional<std::size_t> item_index();

} // namespace tenure::inline v0::parallel
