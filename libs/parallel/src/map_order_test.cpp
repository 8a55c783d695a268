// Random maps, here and on a runner, against a sequential oracle; each in an order that its seed draws.
#include "map_test.hpp"
#include "simulated_workers.hpp"

#include <algorithm>
#include <cstdlib>
#include <random>

namespace tenure::inline v0::parallel {
namespace {

enum class fate : std::uint8_t { value, failure, hang, death };
struct bad_item : std::runtime_error {
    explicit bad_item(std::size_t i) : runtime_error(std::to_string(i)) {}
};

/// Its first attempts end like this: all of them, or so many that one is good.
struct item_plan {
    fate bad = fate::value;
    unsigned attempts = 0; // that are bad; 0: none
};
/// How it ends, and after how many attempts.
struct expected_end {
    fate how;
    unsigned attempts;
};
enum class asked : std::uint8_t { nobody, says_all, says_even };

struct dead_worker : simulated_workers::dies {
    std::size_t item;
};

/// Of a failure or a timeout.
std::size_t item_of(const std::exception_ptr& e) {
    try {
        std::rethrow_exception(e);
    } catch (const bad_item& one) {
        return static_cast<std::size_t>(std::stoul(one.what()));
    } catch (const dead_worker& one) {
        return one.item;
    } catch (const base::timeout_error& one) { // "map: item 7 has taken more than …"
        return static_cast<std::size_t>(std::stoul(std::string(one.what()).substr(10)));
    }
}

struct map_case {
    std::vector<item_plan> items;
    asked retry_if = asked::nobody;
    map_options options;
    std::size_t read;    // how many results the consumer wants
    bool broken = false; // reading the items throws behind the last one
    bool as_stream = false;
    unsigned workers = 0; // of the runner; 0: without one

    /// One after the other.
    expected_end end_of(std::size_t i) const {
        const item_plan& p = items[i];
        const bool again =
            retry_if == asked::nobody ? p.bad != fate::hang : retry_if == asked::says_all || i % 2 == 0;
        const auto most = again ? 1 + static_cast<unsigned>(options.retries) : 1u;
        return p.attempts < most ? expected_end{fate::value, p.attempts + 1} : expected_end{p.bad, most};
    }
    /// At most, one after the other.
    base::duration time() const {
        base::duration sum = 0s;
        for (std::size_t i = 0; i < items.size(); ++i) {
            const auto bad = std::min(items[i].attempts, end_of(i).attempts);
            if (items[i].bad == fate::hang) sum += bad * 1200ms;
            sum += bad * options.backoff.most + 20ms * end_of(i).attempts;
        }
        return sum;
    }
};
map_case draw(std::uint64_t seed) {
    std::mt19937_64 bits(seed);
    const auto below = [&](std::uint64_t n) { return static_cast<std::size_t>(bits() % n); };
    map_case c;
    c.items.resize(below(4) == 0 ? below(4) : below(60));
    const std::size_t bad_in = 1 + below(30);
    if (below(2) == 0) c.workers = static_cast<unsigned>(1 + below(4));
    for (item_plan& p : c.items)
        if (below(bad_in) == 0 && below(3) != 0)
            p = {static_cast<fate>(1 + below(c.workers ? 3 : 2)), static_cast<unsigned>(1 + below(4))};
    c.options.jobs = static_cast<int>(1 + below(5));
    c.options.timeout = 1s;
    if (below(2) == 0) c.options.batch_size = 1 + below(7);
    if (below(2) == 0) c.options.pre_dispatch = 1 + below(20);
    if (below(2) == 0) c.options.order = order::completion;
    c.options.keep_going = below(2) == 0;
    c.read = below(3) == 0 ? 1 + below(20) : c.items.size() + 1;
    c.broken = below(5) == 0;
    c.as_stream = below(3) == 0;
    if (below(2) == 0) c.options.retries = static_cast<int>(1 + below(4));
    c.options.backoff = {.first = below(3) * 50ms, .factor = 1.5, .most = 100ms};
    c.retry_if = static_cast<asked>(below(3));
    if (c.retry_if != asked::nobody)
        c.options.retry_if = [by = c.retry_if](const std::exception_ptr& e) {
            return by == asked::says_all || item_of(e) % 2 == 0;
        };
    return c;
}

struct no_more_items : std::exception {};
/// 0, 1, …; throws behind the last one if it is broken.
task<> send_numbers(core::sink<std::size_t> out, std::size_t n, bool broken) {
    for (std::size_t i = 0; i < n; ++i) {
        if (i % 3 == 0) co_await core::sleep_for(1ms);
        co_await out.send(i);
    }
    if (broken) throw no_more_items();
}
auto numbers(std::size_t n, bool broken) {
    return std::views::iota(std::size_t{0}, n + (broken ? 1 : 0)) | std::views::transform([n](std::size_t i) {
               if (i == n) throw no_more_items();
               return i;
           });
}

/// What a consumer has got: results, and what next() threw in the end.
template <class T>
struct seen {
    std::vector<T> results;
    std::exception_ptr error;
    bool ended = false;
};
template <class T>
task<seen<T>> read(core::stream<T> from, std::size_t n) {
    seen<T> got;
    try {
        while (got.results.size() < n) {
            auto one = co_await from.next();
            if (!one) {
                got.ended = true;
                break;
            }
            got.results.push_back(std::move(*one));
        }
    } catch (...) {
        got.error = std::current_exception();
    }
    co_return got;
}

/// How many failures an error stands for.
std::size_t failures_in(const std::exception_ptr& e) {
    if (!e) return 0;
    try {
        std::rethrow_exception(e);
    } catch (const base::group_error& all) {
        return all.errors().size();
    } catch (...) {
        return 1;
    }
}
bool is_of_the_source(const std::exception_ptr& e) {
    try {
        std::rethrow_exception(e);
    } catch (const no_more_items&) {
        return true;
    } catch (...) {
        return false;
    }
}

void check_outcomes(const map_case& c, const seen<item_outcome<std::size_t>>& got) {
    std::vector<bool> told(c.items.size());
    for (std::size_t k = 0; k < got.results.size(); ++k) {
        const auto& one = got.results[k];
        require(one.index() < c.items.size() && !told[one.index()], "each item is told of once");
        told[one.index()] = true;
        if (c.options.order == order::input) require(one.index() == k, "in the order of the items");
        const expected_end end = c.end_of(one.index());
        require(one.attempts() == end.attempts, "as many attempts as it takes");
        switch (end.how) {
        case fate::value: require(one && one.value() == one.index() * 2); break;
        case fate::failure: require(one.status() == item_status::failed); break;
        case fate::hang: require(one.status() == item_status::timed_out); break;
        case fate::death: require(one.status() == item_status::worker_died); break;
        }
    }
    if (c.read <= c.items.size()) return;
    require(got.results.size() == c.items.size(), "all of them");
    require(c.broken ? got.error && is_of_the_source(got.error) : got.ended, "and then the end");
}
void check_values(const map_case& c, const seen<std::size_t>& got) {
    std::vector<std::size_t> good;
    for (std::size_t i = 0; i < c.items.size(); ++i)
        if (c.end_of(i).how == fate::value) good.push_back(2 * i);
    const std::size_t bad = c.items.size() - good.size();
    auto results = got.results;
    if (c.options.order == order::completion)
        std::sort(results.begin(), results.end());
    else
        require(std::equal(results.begin(), results.end(), good.begin(),
                           good.begin() + static_cast<std::ptrdiff_t>(std::min(results.size(), good.size()))),
                "in the order of the items");
    require(std::adjacent_find(results.begin(), results.end()) == results.end() &&
                std::all_of(results.begin(), results.end(),
                            [&](std::size_t v) { return std::binary_search(good.begin(), good.end(), v); }),
            "each value once");
    if (c.read <= c.items.size()) return;
    if (c.options.keep_going || bad == 0) {
        require(results == good, "all values");
        require(failures_in(got.error) == bad + (c.broken ? 1 : 0), "every failure is told");
    } else {
        require(failures_in(got.error) == 1, "the first failure is told");
    }
}

struct running_case {
    const map_case& drawn;
    std::vector<unsigned> tried; // how often each item's function was called
    /// Notes the call; what it comes to.
    fate attempt(std::size_t i) {
        return ++tried[i] <= drawn.items[i].attempts ? drawn.items[i].bad : fate::value;
    }
};
running_case* current = nullptr; // where a function finds it that has come as a message

std::size_t far_away(std::size_t i) {
    switch (current->attempt(i)) {
    case fate::failure: throw bad_item(i);
    case fate::hang: throw simulated_workers::hangs();
    case fate::death: throw dead_worker{{}, i};
    case fate::value: break;
    }
    return 2 * i;
}
task<std::size_t> here(std::size_t i) {
    const fate f = current->attempt(i);
    co_await core::sleep_for(std::chrono::milliseconds(i * 7919 % 11));
    if (f == fate::failure) throw bad_item(i);
    if (f == fate::hang) co_await core::sleep_for(std::chrono::hours(1));
    co_return 2 * i;
}

task<> run_case(runtime& rt, std::uint64_t seed) {
    const map_case c = draw(seed);
    running_case running{c, std::vector<unsigned>(c.items.size())};
    current = &running;
    simulated_workers workers(std::max(1u, c.workers), seed);
    const auto began = rt.now();
    const std::size_t n = c.items.size();
    const auto check_each = [&](core::group g, auto items) -> task<> {
        if (seed % 2 == 0) {
            auto results = c.workers
                               ? map_outcomes(g, workers, std::move(items), runner::fn<&far_away>, c.options)
                               : map_outcomes(g, std::move(items), here, c.options);
            check_outcomes(c, co_await read(std::move(results), c.read));
        } else {
            auto results = c.workers ? map(g, workers, std::move(items), runner::fn<&far_away>, c.options)
                                     : map(g, std::move(items), here, c.options);
            check_values(c, co_await read(std::move(results), c.read));
        }
    };
    const auto in_group = [&](core::group g) -> task<> {
        if (c.as_stream)
            co_await check_each(g, core::spawn_stream(g, send_numbers, n, c.broken));
        else
            co_await check_each(g, numbers(n, c.broken));
    };
    try {
        co_await core::with_group(std::ref(in_group));
    } catch (const core::testing::test_failure&) {
        throw;
    } catch (...) { // what nobody has read, of the map or of the stream of its items: their group is told
        require(c.read <= c.items.size() || (c.as_stream && c.broken));
    }
    for (std::size_t i = 0; i < n; ++i)
        require(running.tried[i] <= c.end_of(i).attempts, "no attempt too many");
    require(rt.now() - began < c.time() + 1200ms, "what hangs or waits costs its own time");
}

TEST(MapOrder, R097_RandomMapsDoWhatASequentialOneDoes) {
    constexpr std::uint64_t cases = 1000;
    const char* given = std::getenv("TENURE_STRESS_SEED");
    static std::uint64_t first = given ? static_cast<std::uint64_t>(std::atoll(given)) * 1'000'000 : 1;
    for (const std::uint64_t end = first + cases; first != end; ++first) // others, when it is repeated
        core::testing::run(first, [seed = first](runtime& rt) -> task<> { return run_case(rt, seed); });
}

} // namespace
} // namespace tenure::inline v0::parallel
