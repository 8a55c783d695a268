#include "core_test.hpp"

#include <set>

namespace {
using namespace core_test;
namespace testing = tenure::core::testing;
using testing::require;
using testing::test_failure;

/// Three tasks append their letters; where they may be interleaved is up to the order.
task<> letters(std::string& log) {
    auto body = [&](group g) -> task<> {
        for (const char c : {'a', 'b', 'c'})
            (void)g.spawn([&log, c]() -> task<> {
                for (int i = 0; i < 3; ++i) {
                    log += c;
                    co_await yield();
                }
            });
        co_return;
    };
    co_await with_group(body);
}
std::string order_of(std::uint64_t seed) {
    std::string log;
    testing::run(seed, [&]() { return letters(log); });
    return log;
}
/// Two tasks add 1 each; an await between reading and writing loses one of them in some orders.
task<> lose_an_update() {
    int n = 0;
    auto add = [&]() -> task<> {
        const int seen = n;
        co_await checkpoint(); // ready: on real threads, too, it suspends only now and then
        n = seen + 1;
    };
    auto body = [&](group g) -> task<> {
        (void)g.spawn(add);
        (void)g.spawn(add);
        co_return;
    };
    co_await with_group(body);
    require(n == 2, "an update was lost");
}

TEST(SeededRun, OneSeedGivesOneOrder) {
    for (const std::uint64_t seed : {0u, 1u, 17u})
        EXPECT_EQ(order_of(seed), order_of(seed));
}
TEST(SeededRun, ManySeedsGiveManyOrders) {
    std::set<std::string> orders;
    std::set<char> first;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const std::string s = order_of(seed);
        EXPECT_EQ(s.size(), 9u);
        orders.insert(s);
        first.insert(s[0]);
    }
    EXPECT_GT(orders.size(), 100u);
    EXPECT_EQ(first.size(), 3u);
}
TEST(SeededRun, FailureNamesTheSeedAndItsReplayFailsAlike) {
    std::string first;
    try {
        testing::explore(200, lose_an_update);
    } catch (const test_failure& e) {
        first = e.what();
    }
    ASSERT_NE(first.find("an update was lost (testing_test.cpp:"), std::string::npos) << first;
    ASSERT_EQ(first.find("with seed "), 0u) << first;
    const auto seed = std::stoull(first.substr(std::string("with seed ").size()));
    EXPECT_EQ(thrown_by([&] { testing::run(seed, lose_an_update); }), first);
}
TEST(SeededRun, VirtualTimeWithoutSeedDoesNotFindIt) {
    runtime rt(testing::virtual_time());
    rt.block_on(lose_an_update);
}
TEST(SeededRun, EventAndDeadlineOfOneMomentComeInBothOrders) {
    std::set<bool> seen;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        testing::run(seed, [&]() -> task<> {
            event set;
            auto body = [&](group g) -> task<> {
                (void)g.spawn(set_after, 1s, std::ref(set));
                co_await sleep_for(500ms);
                const bool in_time = co_await move_on_after(500ms, wait_for, std::ref(set));
                seen.insert(in_time);
            };
            co_await with_group(body);
        });
    }
    EXPECT_EQ(seen.size(), 2u);
}
TEST(SeededRun, NestedDeadlinesThatExpireTogetherConvertOutside) {
    testing::explore(100, []() -> task<> {
        auto inner = []() -> task<> { co_await with_timeout(1s, nap, 1h); };
        auto outer = [&inner]() -> task<> {
            auto o = co_await as_outcome(with_timeout(1s, inner));
            require(o.has_failed(), "no timeout");
        };
        co_await outer();
    });
}
TEST(SeededRun, DeadlockShowsTheTree) {
    const std::string text = thrown_by([] {
        testing::run(3, []() -> task<> {
            event never_set;
            co_await never_set.wait();
        });
    });
    EXPECT_EQ(text.find("with seed 3: deadlock"), 0u) << text;
    EXPECT_NE(text.find("'test' spawned at"), std::string::npos) << text;
    EXPECT_NE(text.find("at testing_test.cpp:"), std::string::npos) << text;
}
TEST(SeededRun, TaskLeftBehindIsAFailure) {
    const std::string text = thrown_by([] {
        testing::run(3, [](runtime& rt) -> task<> {
            (void)rt.submit({.name = "forgotten"}, nap, 1h);
            co_return;
        });
    });
    EXPECT_EQ(text.find("with seed 3: a task outlived the test: 1 task lives"), 0u) << text;
    EXPECT_NE(text.find("'forgotten'"), std::string::npos) << text;
}
TEST(SeededRun, UnreadFailureIsAFailure) {
    const std::string text = thrown_by([] {
        testing::run(3, [](runtime& rt) -> task<> {
            (void)rt.submit({.name = "loud"}, fail_later, 0s, "nobody hears me");
            co_return;
        });
    });
    EXPECT_NE(text.find("nobody read the failure of task "), std::string::npos) << text;
    EXPECT_NE(text.find("nobody hears me"), std::string::npos) << text;
}
TEST(SeededRun, ExploreRunsEachSeedOnce) {
    int runs = 0;
    testing::explore(25, [&]() -> task<> {
        ++runs;
        co_return;
    });
    EXPECT_EQ(runs, 25);
    testing::explore(0, []() -> task<> { throw my_error("never run"); });
}
TEST(SeededRun, ManyReadyTasksEachRunOnce) {
    testing::run(5, [](runtime& rt) -> task<> {
        std::vector<int> runs(1000);
        std::vector<future<void>> all;
        for (int& n : runs)
            all.push_back(rt.submit([&n] { ++n; }));
        for (auto& f : all)
            co_await f;
        require(runs == std::vector<int>(1000, 1), "one ran twice, or never");
    });
}

} // namespace
