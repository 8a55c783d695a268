// What the tests of streams share: producers and consumers.
#pragma once
#include "core_test.hpp"

#include <tenure/core/stream.hpp>

#include <limits>
#include <numeric>

namespace core_test {
using tenure::base::stalled_error;
using tenure::core::testing::require;

inline std::vector<int> numbers(int from, int until) {
    std::vector<int> all(static_cast<std::size_t>(until - from));
    std::iota(all.begin(), all.end(), from);
    return all;
}
inline task<> count_up(sink<int> out, int until) {
    for (int i = 0; i < until; ++i)
        co_await out.send(i);
}
inline task<> count_for_ever(sink<int> out) { co_await count_up(out, std::numeric_limits<int>::max()); }
inline task<> count_and_fail(sink<int> out, int until) {
    co_await count_up(out, until);
    throw my_error("the source failed");
}
/// Counts for ever; its cleanup takes d, and then notes that it is over.
inline task<> count_and_clean_up(sink<int> out, tenure::base::duration d, std::string& log) {
    const mourner local(log, 'l');
    auto cleanup = [](tenure::base::duration takes, std::string& to) -> task<> {
        co_await sleep_for(takes);
        to += 'c';
    };
    co_await defer(1min, cleanup, d, std::ref(log));
    co_await count_for_ever(out);
}
inline task<std::vector<int>> read_all(stream<int> s) {
    std::vector<int> got;
    while (auto v = co_await s.next())
        got.push_back(*v);
    co_return got;
}
inline task<> read_some(stream<int> s, int n) {
    for (int i = 0; i < n; ++i)
        require(co_await s.next() == i);
}
inline task<> count_and_fail_in_cleanup(sink<int> out) {
    auto cleanup = []() -> task<> {
        co_await nap(1s);
        throw my_error("the history was not written");
    };
    co_await defer(1min, cleanup);
    co_await count_for_ever(out);
}

} // namespace core_test
