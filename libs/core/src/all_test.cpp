// all and any.
#include "core_test.hpp"

#include <memory>

namespace {
using namespace core_test;

struct All : virtual_test {};
struct Any : virtual_test {};

template <class T>
task<T> later(tenure::base::duration d, T v) {
    co_await sleep_for(d);
    co_return v;
}
task<int> fail_int(tenure::base::duration d, std::string what) {
    co_await sleep_for(d);
    throw my_error(what);
}

TEST_F(All, R080_AllGivesEveryValueInTheOrderOfTheArguments) {
    auto parent = []() -> task<> {
        auto [a, b, c] = co_await all(later(2s, 1), later(1s, std::string("two")), nap(3s));
        EXPECT_EQ(a, 1);
        EXPECT_EQ(b, "two");
        static_assert(std::is_same_v<decltype(c), std::monostate>);
    };
    run(parent);
    EXPECT_EQ(elapsed(), 3s);
}
TEST_F(All, R080_AllOfVoidsGivesNothingAndOfNothingEndsAtOnce) {
    auto parent = []() -> task<> {
        co_await all(nap(1s), nap(2s));
        co_await all();
        const auto none = co_await all(std::vector<task<int>>());
        EXPECT_TRUE(none.empty());
    };
    run(parent);
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(All, R080_AllOfAVector) {
    auto parent = []() -> task<> {
        std::vector<task<std::unique_ptr<int>>> tasks;
        for (int n : {3, 1, 2})
            tasks.push_back([](int v) -> task<std::unique_ptr<int>> {
                co_await sleep_for(v * 1s);
                co_return std::make_unique<int>(v);
            }(n));
        const auto values = co_await all(std::move(tasks));
        EXPECT_EQ(values.size(), 3u);
        EXPECT_EQ(*values[0], 3);
        EXPECT_EQ(*values[2], 2);
        std::vector<task<>> naps;
        naps.push_back(nap(1s));
        co_await all(std::move(naps));
    };
    run(parent);
    EXPECT_EQ(elapsed(), 4s);
}
TEST_F(All, R080_AllTakesFuturesAndOperations) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            auto f = g.spawn(give_later, 1s, 1);
            auto [a, b] = co_await all(f, with_timeout(2s, give_later, 1s, 2));
            EXPECT_EQ(a + b, 3);
            auto [c, d] = co_await all(std::move(f), sleep_for(1s));
            EXPECT_EQ(c, 1);
            (void)d;
        });
    };
    run(parent);
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(All, R080_FirstFailureCancelsTheRestWhichAreAwaited) {
    std::string log;
    auto slow = [&]() -> task<> {
        (void)co_await as_outcome(nap(1h));
        co_await shield(5s, nap, 2s);
        log += "cleaned ";
    };
    auto parent = [&]() -> task<> {
        try {
            (void)co_await all(slow(), fail_int(1s, "first"));
        } catch (const my_error& e) {
            log += e.what();
        }
    };
    run(parent);
    EXPECT_EQ(log, "cleaned first");
    EXPECT_EQ(elapsed(), 3s);
}
TEST_F(All, R080_AllCancelledFromOutside) {
    auto both = []() -> task<> { co_await all(nap(1h), nap(2h)); };
    auto parent = [&]() -> task<> { co_await with_timeout(1s, both); };
    EXPECT_THROW(run(parent), timeout_error);
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(All, ChildrenNameThePlaceWhereTheyAreAwaited) {
    std::string what;
    auto parent = [&]() -> task<> {
        try {
            (void)co_await all(fail_int(1s, "a"), fail_int(1s, "b"));
        } catch (const group_error& e) {
            what = e.what();
        }
    };
    run(parent);
    EXPECT_NE(what.find("spawned at all_test.cpp:"), std::string::npos) << what;
}

TEST_F(Any, R080_FirstSuccessWinsAndTheLosersAreAwaited) {
    std::string log;
    auto slow = [&]() -> task<int> {
        (void)co_await as_outcome(nap(1h));
        co_await shield(5s, nap, 2s);
        log += "cleaned";
        co_return 1;
    };
    auto parent = [&]() -> task<> {
        const int v = co_await any(slow(), fail_int(0s, "ignored"), later(1s, 7));
        EXPECT_EQ(v, 7);
        EXPECT_EQ(log, "cleaned");
    };
    run(parent);
    EXPECT_EQ(elapsed(), 3s);
}
TEST_F(Any, R080_DifferentTypesSayWhichOneItWas) {
    auto parent = []() -> task<> {
        auto v = co_await any(later(2s, 1), later(1s, std::string("two")), sleep_for(1h));
        static_assert(std::is_same_v<decltype(v), std::variant<int, std::string, std::monostate>>);
        EXPECT_EQ(v.index(), 1u);
        EXPECT_EQ(std::get<1>(v), "two");
        auto timer = co_await any(later(2s, 1), sleep_for(1s));
        EXPECT_EQ(timer.index(), 1u);
        co_await any(nap(3s), nap(1s)); // all void
        std::vector<task<std::unique_ptr<int>>> tasks;
        for (int n : {2, 1})
            tasks.push_back([](int x) -> task<std::unique_ptr<int>> {
                co_await sleep_for(x * 1s);
                co_return std::make_unique<int>(x);
            }(n));
        const auto first = co_await any(std::move(tasks));
        EXPECT_EQ(*first, 1);
    };
    run(parent);
    EXPECT_EQ(elapsed(), 4s);
}
TEST_F(Any, R080_AllFailingGivesAllErrors) {
    auto parent = []() -> task<> { (void)co_await any(fail_int(2s, "second"), fail_int(1s, "first")); };
    try {
        run(parent);
        ADD_FAILURE() << "thrown";
    } catch (const group_error& e) {
        ASSERT_EQ(e.errors().size(), 2u);
        EXPECT_EQ(describe(e.errors()[0]), "first");
        EXPECT_EQ(describe(e.errors()[1]), "second");
        EXPECT_NE(e.failures()[0].task.id, 0u);
    }
}
TEST_F(Any, R080_OfNothingIsRefused) {
    auto parent = []() -> task<> { (void)co_await any(std::vector<task<int>>()); };
    EXPECT_THROW(run(parent), usage_error);
}
TEST_F(Any, R080_CancelledFromOutside) {
    auto either = []() -> task<> { co_await any(nap(1h), nap(2h)); };
    auto parent = [&]() -> task<> { co_await with_timeout(1s, either); };
    EXPECT_THROW(run(parent), timeout_error);
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(Any, R080_ALosingFutureGoesOnOnlyTheWaitEnds) {
    auto parent = [&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            auto slow = g.spawn(give_later, 2s, 1);
            const int v = co_await any(slow, later(1s, 2));
            EXPECT_EQ(v, 2);
            EXPECT_EQ(elapsed(), 1s);
            EXPECT_EQ(co_await slow, 1);
        });
    };
    run(parent);
}
TEST_F(Any, R080_CancelledBetweenStillLeavesNothing) {
    auto parent = []() -> task<> {
        for (int i = 0; i < 5; ++i) {
            auto either = []() -> task<> { (void)co_await any(later(2s, 1), later(3s, 1)); };
            (void)co_await move_on_after(i * 1s, either);
        }
    };
    run(parent);
}

TEST(AllOnThreads, R080_ManyAtATime) {
    runtime rt({.threads = 3});
    auto sum = []() -> task<int> {
        std::vector<task<int>> tasks;
        for (int i = 0; i < 1000; ++i)
            tasks.push_back(give(i));
        int total = 0;
        for (const int v : co_await all(std::move(tasks)))
            total += v;
        const int first = co_await any(give(1), give(1), give(1));
        co_return total + first;
    };
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(rt.block_on(sum), 499'501);
    EXPECT_TRUE(rt.close().abandoned.empty());
}

} // namespace
