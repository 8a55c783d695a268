// What a map promises, on every runner.
#include "map_runners.hpp"

#include <tenure/core/context_scope.hpp>
#include <tenure/core/scope.hpp>
#include <tenure/runner/travelling_key.hpp>

#include <array>
#include <ranges>

namespace map_runners {
namespace {

const runner::travelling_key<int> level{"map.level"};
int above_level(int i) {
    const int* const from = core::this_task::value(level);
    return from ? *from + i : -1;
}

/// Each kind of runner, made when a test begins. One type of test for all, so that each map is compiled once.
struct kind {
    const char* name;
    std::unique_ptr<runner::runner> (*make)(runtime&);
};
const kind kinds[] = {
    {"Inline",
     [](runtime&) -> std::unique_ptr<runner::runner> { return std::make_unique<runner::inline_runner>(); }},
    {"Threads",
     [](runtime&) -> std::unique_ptr<runner::runner> { return std::make_unique<runner::threads>(2); }},
    {"Processes",
     [](runtime& rt) -> std::unique_ptr<runner::runner> {
         return std::make_unique<process::pool>(rt, process::pool_options{.workers = 2, .grace = 20ms});
     }},
};

class MapOn : public testing::TestWithParam<kind> {
protected:
    ~MapOn() override {
        on_.reset();
        EXPECT_TRUE(rt_.close().abandoned.empty());
        EXPECT_TRUE(rt_.audit().clean());
    }
    logs logs_;
    runtime rt_{on_epoll()};
    std::unique_ptr<runner::runner> on_ = GetParam().make(rt_);
};
INSTANTIATE_TEST_SUITE_P(EachRunner, MapOn, testing::ValuesIn(kinds),
                         [](const auto& of) { return std::string(of.param.name); });

TEST_P(MapOn, GivesWhatTheFunctionReturnsInTheOrderOfTheItems) {
    const auto got = all_of(parallel::map(rt_, *on_, first(5000), fn<&doubled>));
    ASSERT_EQ(got.size(), 5000u);
    for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_EQ(got[i], static_cast<int>(2 * i));
}
TEST_P(MapOn, GivesEachOnceInOrderOfCompletionWithBatchesOfOne) {
    auto got = all_of(
        parallel::map(rt_, *on_, first(500), fn<&doubled>, {.batch_size = 1, .order = order::completion}));
    std::sort(got.begin(), got.end());
    ASSERT_EQ(got.size(), 500u);
    for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_EQ(got[i], static_cast<int>(2 * i));
}
TEST_P(MapOn, AFunctionSeesTheContextValuesThatTravel) {
    rt_.block_on([this]() -> task<> {
        auto body = [this]() -> task<> {
            auto all = parallel::map(rt_, *on_, first(300), fn<&above_level>, {.batch_size = 7});
            int next = 1000;
            while (const auto v = co_await all.next())
                EXPECT_EQ(*v, next++);
            EXPECT_EQ(next, 1300);
        };
        co_await core::with_value(level, 1000, body);
    });
}
TEST_P(MapOn, NothingOfNothing) {
    EXPECT_TRUE(all_of(parallel::map(rt_, *on_, first(0), fn<&doubled>)).empty());
}
TEST_P(MapOn, AFunctionKnowsTheIndexOfItsItem) {
    const auto got = all_of(parallel::map(rt_, *on_, first(300), fn<&index_of_it>, {.batch_size = 7}));
    for (std::size_t i = 0; i < got.size(); ++i)
        ASSERT_EQ(got[i], i);
}
TEST_P(MapOn, AFailureCostsItsItem) {
    std::vector<int> items = first(100);
    items[3] = items[4] = items[99] = fails;
    auto got = all_of(parallel::map_outcomes(rt_, *on_, items, acts{}, {.batch_size = 10}));
    ASSERT_EQ(got.size(), 100u);
    for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(got[i].index(), i);
        if (items[i] == fails) {
            EXPECT_EQ(got[i].status(), item_status::failed);
            EXPECT_THROW((void)got[i].value(), std::out_of_range);
        } else {
            ASSERT_EQ(got[i].value(), 2 * items[i]);
        }
    }
}
TEST_P(MapOn, TheFirstFailureEndsIt) {
    std::vector<int> items = first(10'000);
    items[20] = fails;
    auto results = parallel::map(rt_, *on_, items, acts{});
    int given = 0; // those before it that were done when it failed
    const auto read_on = [&] {
        while (const auto one = results.blocking_next())
            EXPECT_EQ(*one, 2 * given++);
    };
    EXPECT_THROW(read_on(), std::out_of_range);
    EXPECT_LE(given, 20);
}
TEST_P(MapOn, MoveOnlyItemsAndResults) {
    std::vector<std::unique_ptr<int>> items;
    for (int i = 0; i < 50; ++i)
        items.push_back(std::make_unique<int>(i));
    const auto more = [](std::unique_ptr<int> p) {
        ++*p;
        return p;
    };
    auto got = all_of(parallel::map(rt_, *on_, std::move(items), more));
    ASSERT_EQ(got.size(), 50u);
    for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_EQ(*got[i], static_cast<int>(i + 1));
}
TEST_P(MapOn, AFunctionThatReturnsNothing) {
    const log_of_calls calls = logs_.next();
    struct notes {
        std::string file;
        void operator()(int i) const { (void)acts{file}(i); }
    };
    const auto got =
        all_of(parallel::map_outcomes(rt_, *on_, first(40), notes{calls.file()}, {.batch_size = 3}));
    EXPECT_EQ(got.size(), 40u);
    for (const auto& one : got)
        EXPECT_TRUE(one);
    const auto began = calls.read();
    EXPECT_EQ(began.size(), 40u);
    for (const auto& [index, times] : began)
        EXPECT_EQ(times, 1) << index;
}
TEST_P(MapOn, ItemsBecomeTheParametersType) {
    const std::vector<const char*> items{"one", "three"};
    const auto length = [](const std::string& s) { return s.size(); };
    EXPECT_EQ(all_of(parallel::map(rt_, *on_, items, length)), (std::vector<std::size_t>{3, 5}));
}
TEST_P(MapOn, AnAbandonedEndlessMapLeavesNothing) {
    auto results = parallel::map(rt_, *on_, std::views::iota(0), fn<&doubled>, {.pre_dispatch = 64});
    for (int i = 0; i < 100; ++i)
        EXPECT_EQ(results.blocking_next(), 2 * i);
}
TEST_P(MapOn, RetriesCallAgain) {
    const log_of_calls calls = logs_.next();
    std::vector<int> items = first(20);
    items[5] = fails;
    auto got = all_of(parallel::map_outcomes(rt_, *on_, items, acts{calls.file()},
                                             {.retries = 2, .backoff = {.first = 1ms}, .batch_size = 4}));
    ASSERT_EQ(got.size(), 20u);
    EXPECT_EQ(got[5].attempts(), 3u);
    EXPECT_EQ(got[5].status(), item_status::failed);
    for (const auto& [index, times] : calls.read())
        EXPECT_EQ(times, index == 5 ? 3 : 1) << index;
}
TEST_P(MapOn, TwoAtOnceInATaskAndAGroup) {
    auto both = [&]() -> task<int> {
        co_return co_await core::with_group([&](core::group g) -> task<int> {
            auto a = parallel::map(g, *on_, first(1000), fn<&doubled>);
            auto b = parallel::map(g, *on_, first(1000), fn<&doubled>, {.order = order::completion});
            int sum = 0;
            for (int i = 0; i < 1000; ++i) {
                sum += *co_await a.next();
                sum -= *co_await b.next();
            }
            co_return sum;
        });
    };
    EXPECT_EQ(rt_.block_on(both), 0);
}
TEST_P(MapOn, OptionsThatCannotBeMeant) {
    EXPECT_THROW((void)parallel::map(rt_, *on_, first(1), fn<&doubled>, {.jobs = 0}), base::usage_error);
    EXPECT_THROW((void)parallel::map(rt_, *on_, first(1), fn<&doubled>, {.timeout = -1s}), base::usage_error);
    EXPECT_THROW((void)parallel::map(rt_, *on_, first(1), fn<&doubled>, {.batch_size = 0}),
                 base::usage_error);
}
TEST_P(MapOn, WhatReadingTheItemsThrowsComesAfterTheResults) {
    const auto items = std::views::iota(0) | std::views::transform([](int i) {
                           if (i == 30) throw std::runtime_error("no more of them");
                           return i;
                       });
    auto results = parallel::map(rt_, *on_, items, fn<&doubled>, {.batch_size = 4});
    for (int i = 0; i < 30; ++i)
        ASSERT_EQ(results.blocking_next(), 2 * i);
    EXPECT_THROW((void)results.blocking_next(), std::runtime_error);
}
double part_of_pi(std::size_t i) {
    const auto x = static_cast<double>(i);
    return (i % 2 == 0 ? 4.0 : -4.0) / (2 * x + 1);
}
struct scaled {
    double by;
    double operator()(std::size_t i) const { return by * part_of_pi(i); }
};
TEST_P(MapOn, AReductionHasTheSameBitsAsWithoutARunner) {
    for (const std::size_t n : {0u, 1u, 7u, 1024u, 100'001u}) {
        const double here = parallel::reduce(rt_, n, 1.0, part_of_pi, std::plus<>());
        EXPECT_EQ(parallel::reduce(rt_, *on_, n, 1.0, fn<&part_of_pi>, std::plus<>()), here);
    }
    const auto sum = [](double a, double b) { return a + b; };
    EXPECT_EQ(parallel::reduce(rt_, *on_, 1000, 0.0, scaled{0.5}, sum),
              parallel::reduce(rt_, 1000, 0.0, scaled{0.5}, sum));
}
TEST_P(MapOn, ALoopCallsEachIndexOnce) {
    const log_of_calls calls = logs_.next();
    struct writes {
        std::string file;
        void operator()(std::size_t i) const {
            std::ofstream(file, std::ios::app) << std::to_string(i) + "\n" << std::flush;
        }
    };
    parallel::parallel_for(rt_, *on_, 300, writes{calls.file()});
    const auto began = calls.read();
    EXPECT_EQ(began.size(), 300u);
    for (const auto& [index, times] : began)
        EXPECT_EQ(times, 1) << index;
}
TEST_P(MapOn, ALoopThrowsWhatItsBodyThrows) {
    const auto some_fail = [](std::size_t i) {
        if (i == 50) throw std::out_of_range("no fifty");
    };
    EXPECT_THROW(parallel::parallel_for(rt_, *on_, 100, some_fail), std::out_of_range);
}
TEST_P(MapOn, LargeItemsAndResults) {
    std::vector<std::string> items;
    for (std::size_t i = 0; i < 12; ++i)
        items.emplace_back(i * 100'000, 'x');
    const auto same = [](const std::string& s) { return s; };
    EXPECT_EQ(all_of(parallel::map(rt_, *on_, items, same, {.batch_size = 5})), items);
}

} // namespace
} // namespace map_runners
