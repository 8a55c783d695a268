// Futures as arguments: the child waits for its parents, holds them, and gets their values.
#include "core_test.hpp"

#include <memory>

namespace {
using namespace core_test;
using tenure::base::dependency_failed;

struct Dependencies : virtual_test {};

task<int> add(int a, int b) { co_return a + b; }
task<std::string> text_later(tenure::base::duration d, std::string s) {
    co_await sleep_for(d);
    co_return s;
}

TEST_F(Dependencies, R102_ChildGetsTheValuesOfItsParents) {
    auto a = rt_.submit(give_later, 2s, 3);
    auto b = rt_.submit(give_later, 1s, 4);
    auto sum = rt_.submit(add, a, b);
    auto twice = rt_.submit([](const int& s, int n) { return s * n; }, sum, 2); // a plain function, too
    advance(3s);
    EXPECT_EQ(twice.get(), 14);
    EXPECT_EQ(elapsed(), 3s);
}
TEST_F(Dependencies, R102_ParentThatHasEndedIsNotWaitedFor) {
    auto a = rt_.submit(give, 3);
    advance(1s);
    auto b = rt_.submit(add, a, 1);
    advance(0s);
    EXPECT_EQ(b.get(), 4);
}
TEST_F(Dependencies, R102_ParentWithoutValueOnlyOrders) {
    std::string log;
    auto a = rt_.submit([&]() -> task<> {
        co_await sleep_for(1s);
        log += 'a';
    });
    auto b = rt_.submit([&](int n) { log += static_cast<char>('0' + n); }, a, 7);
    advance(2s);
    b.get();
    EXPECT_EQ(log, "a7");
}
TEST_F(Dependencies, R102_ValueIsLentAndNotCopied) {
    auto parent = rt_.submit([this] { return object(); });
    advance(1s);
    const int made = objects_.made;
    auto child = rt_.submit([](const counted& c) { return &c; }, parent);
    advance(1s);
    EXPECT_EQ(child.get(), &parent.get());
    EXPECT_EQ(objects_.made, made);
}
TEST_F(Dependencies, R102_ParentIsHeldUntilItsChildrenHaveEndedAndNotLonger) {
    auto child = [this] {
        auto parent = rt_.submit([this] { return object(); });
        return rt_.submit(
            [](const counted&) -> task<int> {
                co_await sleep_for(2s);
                co_return 1;
            },
            std::move(parent));
    }();
    advance(1s);
    EXPECT_EQ(objects_.alive, 1) << "the only handle was dropped, the child still reads it";
    advance(2s);
    EXPECT_EQ(objects_.alive, 0) << "the child's handle holds no parent";
    EXPECT_EQ(child.get(), 1);
}
TEST_F(Dependencies, R100_AllHandlesDroppedEverythingStillRuns) {
    int ran = 0;
    for (int i = 0; i < 6; ++i) {
        auto first = rt_.submit([&ran]() -> task<int> {
            co_await sleep_for(1s);
            co_return ++ran;
        });
        (void)rt_.submit([&ran](int) { ++ran; }, first);
    }
    advance(2s);
    EXPECT_EQ(ran, 12);
}
TEST_F(Dependencies, R099_FailedParentGivesDependencyFailedAndTheBodyDoesNotRun) {
    auto a = rt_.submit({.name = "parent"}, fail_later, 1s, "boom");
    auto c = rt_.submit([](const counted&) { ADD_FAILURE() << "entered"; }, object(), a);
    advance(2s);
    try {
        c.get();
        ADD_FAILURE() << "nothing thrown";
    } catch (const dependency_failed& e) {
        EXPECT_EQ(describe(e.why()), "boom");
        EXPECT_EQ(e.task().name, "parent");
        EXPECT_THROW(std::rethrow_exception(e.why()), my_error);
    }
} // and a's failure counts as read
TEST_F(Dependencies, R099_ChainPassesOneFailureOnAndItIsReportedOnce) {
    {
        auto f = rt_.submit(give, 1);
        f = rt_.submit([](int) -> int { throw my_error("first"); }, f);
        for (int i = 0; i < 1000; ++i)
            f = rt_.submit(add, f, 1);
        advance(1s);
    }
    ASSERT_EQ(unread_.size(), 1u);
    EXPECT_NE(unread_[0].find("what it depends on has no value: first"), std::string::npos) << unread_[0];
    expected_unread_ = unread_;
}
TEST_F(Dependencies, R099_CancelledParentGivesDependencyFailed) {
    auto a = rt_.submit(give_later, 1h, 1);
    auto b = rt_.submit(add, a, 1);
    a.cancel("not needed");
    advance(1s);
    try {
        b.get();
        ADD_FAILURE() << "nothing thrown";
    } catch (const dependency_failed& e) {
        EXPECT_THROW(std::rethrow_exception(e.why()), task_cancelled);
    }
}
TEST_F(Dependencies, R021_ChildIsCancelledWhileItWaits) {
    auto a = rt_.submit(give_later, 1h, 1);
    auto b = rt_.submit([](int, const counted&) { ADD_FAILURE(); }, a, object());
    advance(1s);
    EXPECT_TRUE(b.cancel());
    advance(1s);
    EXPECT_EQ(b.status(), task_status::cancelled);
    EXPECT_EQ(objects_.alive, 0);
    EXPECT_EQ(a.status(), task_status::pending) << "the parent is not the child's";
    a.cancel();
}
TEST_F(Dependencies, R021_ChildIsCancelledBeforeItWaits) {
    auto a = rt_.submit(give_later, 1h, 1);
    auto b = rt_.submit(add, a, 1);
    b.cancel();
    a.cancel();
    advance(1s);
    EXPECT_EQ(b.status(), task_status::cancelled);
}
TEST_F(Dependencies, R064_FailureInAGroupCancelsTheChildrenThatWaitForIt) {
    auto parent = []() -> task<> {
        co_await with_group([](group g) -> task<> {
            auto a = g.spawn([]() -> task<int> {
                co_await sleep_for(1s);
                throw my_error("one");
            });
            for (int i = 0; i < 10; ++i)
                a = g.spawn(add, a, 1);
            co_return;
        });
    };
    EXPECT_EQ(thrown_by([&] { run(parent); }), "one");
}
TEST_F(Dependencies, R004_ResultThatAChildHoldsIsNotTaken) {
    auto a = rt_.submit(text_later, 0s, "value");
    auto b = rt_.submit(
        [](const std::string& s) -> task<std::size_t> {
            co_await sleep_for(1s);
            co_return s.size();
        },
        a);
    advance(500ms);
    EXPECT_NE(thrown_by([&] { (void)a.take(); }).find("still holds it"), std::string::npos);
    EXPECT_EQ(a.get(), "value");
    advance(1s);
    EXPECT_EQ(b.get(), 5u);
    EXPECT_EQ(a.take(), "value");
}
TEST_F(Dependencies, R004_ParentWhoseValueWasTakenHasNoneToLend) {
    auto a = rt_.submit(text_later, 0s, "value");
    advance(1s);
    EXPECT_EQ(a.take(), "value");
    auto b = rt_.submit([](const std::string&) { ADD_FAILURE(); }, a);
    advance(1s);
    EXPECT_NE(thrown_by([&] { b.get(); }).find("taken already"), std::string::npos);
}
TEST_F(Dependencies, R005_HandleIsPassedAsItIs) {
    auto a = rt_.submit(give_later, 1h, 1);
    auto b = rt_.submit([](const future<int>& f) { return f.cancel("by its child"); }, as_handle(a));
    advance(1s);
    EXPECT_TRUE(b.get());
    EXPECT_EQ(a.status(), task_status::cancelled);
}
TEST_F(Dependencies, R081_ChildThatWaitsForItsParentsTakesNoSlot) {
    int ran = 0;
    auto parent = [&]() -> task<> {
        co_await with_group(group_options().max_concurrency(2), [&](group g) -> task<> {
            auto a = g.spawn(give_later, 1s, 1);
            (void)g.spawn(
                [&](int) -> task<> {
                    co_await sleep_for(1s);
                    ++ran;
                },
                a);
            (void)g.spawn([&]() -> task<> {
                co_await sleep_for(1s);
                ++ran;
            });
            co_return;
        });
    };
    run(parent);
    EXPECT_EQ(ran, 2);
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(Dependencies, R102_MillionLongChainRunsAndIsReleasedWithoutRecursion) {
    constexpr int length = 1'000'000;
    auto f = rt_.submit(give_later, 1s, 0);
    for (int i = 0; i < length; ++i)
        f = rt_.submit([](int n) { return n + 1; }, f);
    advance(2s);
    EXPECT_EQ(f.get(), length);
}
TEST_F(Dependencies, R102_LongChainThatIsCancelledOrFailsIsReleasedToo) {
    for (const bool fails : {false, true}) {
        auto first = rt_.submit([]() -> task<int> {
            co_await sleep_for(1s);
            throw my_error("x");
        });
        auto f = first;
        for (int i = 0; i < 100'000; ++i)
            f = rt_.submit([](int n) { return n + 1; }, f);
        if (!fails) first.cancel();
        advance(2s);
        EXPECT_THROW(f.get(), dependency_failed);
    }
}
TEST_F(Dependencies, R102_NoCycleSurvivesACaughtDependencyFailure) {
    std::weak_ptr<int> in_parent, in_child;
    {
        auto p = std::make_shared<int>(1), c = std::make_shared<int>(2);
        in_parent = p;
        in_child = c;
        auto a = rt_.submit(
            [](const std::shared_ptr<int>&) -> task<int> {
                co_await sleep_for(1s);
                throw my_error("x");
            },
            std::move(p));
        auto b = rt_.submit([](int, const std::shared_ptr<int>& kept) { return kept; }, a, std::move(c));
        advance(2s);
        EXPECT_THROW(b.get(), dependency_failed);
    }
    EXPECT_TRUE(in_parent.expired());
    EXPECT_TRUE(in_child.expired());
}

TEST(DependenciesThreads, R102_TreesOfChildrenOnRealThreads) {
    runtime rt({.threads = 2});
    for (int round = 0; round < 20; ++round) {
        std::vector<future<int>> level{rt.submit(give, 1)};
        for (int depth = 0; depth < 6; ++depth) {
            std::vector<future<int>> next;
            for (auto& f : level) {
                next.push_back(rt.submit(add, f, 0));
                next.push_back(rt.submit([](int n) { return n; }, std::move(f)));
            }
            level = std::move(next);
        }
        int sum = 0;
        for (auto& f : level)
            sum += f.get();
        EXPECT_EQ(sum, 64);
    }
}
TEST(DependenciesThreads, R106_ParentsEndWhileChildrenAreSpawnedAndCancelled) {
    runtime rt({.threads = 2, .on_unread_failure = [](const unread_failure&) {}});
    std::atomic<int> ran{0};
    int ended = 0;
    std::vector<future<int>> all;
    for (int i = 0; i < 2000; ++i) {
        auto a = rt.submit([]() -> task<int> {
            co_await yield();
            co_return 1;
        });
        all.push_back(rt.submit([&](int n) { return ran += n; }, a));
        if (i % 2) all.back().cancel();
        if (i % 3 == 0) a.cancel();
    }
    for (auto& f : all) {
        f.wait_for(1h);
        ended += f.status() != task_status::pending;
    }
    EXPECT_EQ(ended, 2000);
    EXPECT_GT(ran, 0);
}

} // namespace
