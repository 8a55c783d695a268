// Drawn maps over worker processes against what a loop would give. TENURE_MAP_CASES: how many.
#include "map_runners.hpp"

#include <array>
#include <cstdlib>
#include <random>

namespace map_runners {
namespace {

item_status status_of(int what) {
    switch (what) {
    case stuck: return item_status::timed_out;
    case dies:
    case leaves: return item_status::worker_died;
    case fails: return item_status::failed;
    default: return item_status::done;
    }
}

class MapOracle : public WorkerProcesses {};

TEST_F(MapOracle, DrawnMapsGiveWhatALoopGives) {
    const char* const wanted = std::getenv("TENURE_MAP_CASES");
    const int cases = wanted ? std::atoi(wanted) : 40;
    for (int seed = 1; seed <= cases; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 draw(static_cast<unsigned>(seed));
        const auto below = [&](unsigned n) { return static_cast<int>(draw() % n); };
        std::vector<int> items = first(below(4) == 0 ? below(3) : below(200));
        bool any_stuck = false;
        for (int n = items.empty() ? 0 : below(4); n > 0; --n) {
            int what = std::array{stuck, dies, leaves, fails}[static_cast<std::size_t>(below(4))];
            if (what == stuck && (any_stuck || below(2))) what = dies; // it costs the whole timeout
            items[static_cast<std::size_t>(below(static_cast<unsigned>(items.size())))] = what;
            any_stuck |= what == stuck;
        }
        map_options o;
        o.jobs = below(2) ? -1 : 1;
        if (any_stuck || below(2)) o.timeout = 500ms; // enough for one that does not hang
        if (below(2)) o.batch_size = static_cast<std::size_t>(1 + below(30));
        if (below(2)) o.pre_dispatch = static_cast<std::size_t>(1 + below(50));
        if (below(4) == 0) o.retries = 1;
        o.backoff.first = 0s;
        o.order = below(2) ? order::input : order::completion;
        const std::size_t stop_after = below(5) == 0 ? static_cast<std::size_t>(below(20)) : items.size() + 1;

        const log_of_calls calls = new_log();
        std::vector<item_outcome<int>> got;
        {
            auto results = parallel::map_outcomes(rt(), workers(), items, acts{calls.file()}, o);
            while (got.size() < stop_after) {
                auto one = results.blocking_next();
                if (!one) break;
                got.push_back(std::move(*one));
            }
        }
        if (o.order == order::completion) sort_by_index(got);
        if (stop_after > items.size()) {
            ASSERT_EQ(got.size(), items.size());
        }
        for (std::size_t i = 0; i < got.size(); ++i) {
            const std::size_t index = got[i].index();
            if (o.order == order::input || stop_after > items.size()) {
                ASSERT_EQ(index, i);
            }
            ASSERT_EQ(got[i].status(), status_of(items[index])) << index;
            if (got[i]) {
                ASSERT_EQ(got[i].value(), 2 * items[index]);
            }
            const bool again = o.retries > 0 && !got[i] && items[index] != stuck;
            ASSERT_EQ(got[i].attempts(), again ? 2u : 1u);
        }
        for (const auto& [index, times] : calls.read()) {
            const bool again = o.retries > 0 && items[index] < 0 && items[index] != stuck;
            ASSERT_LE(times, again ? 2 : 1) << index;
        }
    }
}

} // namespace
} // namespace map_runners
