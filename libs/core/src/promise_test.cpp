#include "core_test.hpp"

#include <tenure/core/promise.hpp>

#include <memory>
#include <thread>

namespace {
using namespace core_test;
using tenure::base::abandoned;
using tenure::base::cause;

struct Promise : virtual_test {};

TEST_F(Promise, R002_SecondCompletionIsRefusedAndChangesNothing) {
    promise<int> p;
    const auto r = p.result();
    EXPECT_FALSE(r.resolved());
    EXPECT_FALSE(r.try_outcome());
    EXPECT_TRUE(p.set_value(1));
    EXPECT_FALSE(p.set_value(2));
    EXPECT_FALSE(p.set_failure(std::make_exception_ptr(my_error("late"))));
    EXPECT_FALSE(p.set_outcome(tenure::base::outcome<int>::cancelled(nullptr)));
    EXPECT_EQ(r.try_outcome()->value(), 1);
    EXPECT_EQ(run([&]() -> task<int> { co_return co_await r; }), 1);
}
TEST_F(Promise, R002_ARefusedValueIsDestroyedAtOnce) {
    promise<counted> p;
    EXPECT_TRUE(p.set_value(object()));
    EXPECT_EQ(objects_.alive, 1);
    EXPECT_FALSE(p.set_value(object()));
    EXPECT_EQ(objects_.alive, 1);
}
TEST_F(Promise, R002_AFailureStaysToo) {
    promise<void> p;
    EXPECT_TRUE(p.set_failure(std::make_exception_ptr(my_error("first"))));
    EXPECT_FALSE(p.set_value());
    const auto r = p.result();
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(thrown_by([&] { run([&]() -> task<> { co_await r; }); }), "first");
}
TEST_F(Promise, ManyWaitForOneAndAreLentTheSameValue) {
    promise<std::string> p;
    std::vector<const std::string*> seen;
    const auto r = p.result();
    run([&]() -> task<> {
        auto body = [&](group g) -> task<> {
            auto wait = [&]() -> task<> { seen.push_back(&co_await r); };
            for (int i = 0; i < 3; ++i)
                (void)g.spawn(wait);
            co_await sleep_for(1s);
            p.set_value("here");
        };
        co_await with_group(body);
    });
    ASSERT_EQ(seen.size(), 3u);
    EXPECT_EQ(seen[0], seen[1]);
    EXPECT_EQ(seen[0], seen[2]);
    EXPECT_EQ(*seen[0], "here");
}
TEST_F(Promise, ValueOfATemporaryHandleOutlivesIt) {
    std::string v;
    run([&]() -> task<> {
        std::optional<promise<std::string>> p(std::in_place);
        p->set_value(std::string(100, 'x'));
        const auto& lent = co_await p->result();
        p.reset();
        v = lent;
    });
    EXPECT_EQ(v, std::string(100, 'x'));
}
TEST_F(Promise, DestroyedWithoutAResultItIsAbandonedAndNobodyWaitsForEver) {
    std::string said;
    run([&]() -> task<> {
        auto body = [&](group g) -> task<> {
            std::optional<promise<int>> p{promise<int>()};
            auto wait = [r = p->result(), &said]() -> task<> {
                const auto o =
                    co_await as_outcome([](promised<int> x) -> task<int> { co_return co_await x; }(r));
                EXPECT_THROW((void)o.value(), abandoned);
                said = describe(o.error());
            };
            (void)g.spawn(wait);
            co_await sleep_for(1s);
            p.reset();
        };
        co_await with_group(body);
    });
    EXPECT_NE(said.find("promise_test.cpp:"), std::string::npos) << said;
    EXPECT_NE(said.find("destroyed without a result"), std::string::npos) << said;
}
TEST_F(Promise, CancellingAWaiterLeavesThePromiseAlone) {
    promise<int> p;
    const auto r = p.result();
    auto wait = [&]() -> task<int> { co_return co_await r; };
    auto a = rt_.submit(wait);
    auto b = rt_.submit(wait);
    advance(1s);
    a.cancel();
    advance(1s);
    EXPECT_EQ(a.status(), task_status::cancelled);
    EXPECT_EQ(b.status(), task_status::pending);
    p.set_value(3);
    EXPECT_EQ(run([&]() -> task<int> { co_return co_await b; }), 3);
}
TEST_F(Promise, R024_ResultBeforeTheCancelIsDelivered) {
    promise<int> p;
    const auto r = p.result();
    int got = 0;
    auto f = rt_.submit([&]() -> task<> { got = co_await r; });
    advance(1s);
    p.set_value(3);
    f.cancel();
    advance(1s);
    EXPECT_EQ(got, 3);
}
TEST_F(Promise, CancelledOutcomeIsATaskCancelledOfItsReader) {
    promise<int> p;
    p.set_outcome(tenure::base::outcome<int>::cancelled(
        std::make_shared<const cause>(cause{reason::cancelled, "nobody wants it", {}})));
    const auto r = p.result();
    EXPECT_NE(thrown_by([&] { run([&]() -> task<int> { co_return co_await r; }); }).find("nobody wants it"),
              std::string::npos);
}
TEST_F(Promise, MovedFromItIsAnError) {
    promise<int> p;
    const auto r = p.result();
    promise<int> q(std::move(p));
    EXPECT_THROW(p.set_value(1), usage_error); // NOLINT(bugprone-use-after-move): that is the point
    EXPECT_THROW((void)p.result(), usage_error);
    EXPECT_TRUE(q.set_value(2));
    q = promise<int>();
    EXPECT_EQ(r.try_outcome()->value(), 2);
    const auto other = q.result();
    q = promise<int>();
    EXPECT_THROW((void)other.try_outcome()->value(), abandoned);
}
/// Cannot be moved more often than `budget` says.
struct stubborn {
    static inline int budget = 0;
    stubborn() = default;
    stubborn(stubborn&&) { // NOLINT(performance-noexcept-move-constructor): that is the point
        if (budget-- <= 0) throw my_error("not moved");
    }
    stubborn& operator=(stubborn&&) = delete;
    ~stubborn() = default;
};
TEST_F(Promise, ValueWhoseMoveThrowsIsRefusedByAnExceptionOrBecomesAFailure) {
    bool became_a_failure = false;
    for (int moves = 0; moves < 10; ++moves) {
        promise<stubborn> p;
        const auto r = p.result();
        try {
            stubborn::budget = moves;
            EXPECT_TRUE(p.set_value(stubborn()));
            EXPECT_TRUE(r.resolved());
            stubborn::budget = 100;
            run([&]() -> task<> {
                auto wait = [&]() -> task<> { (void)co_await r; };
                const auto o = co_await as_outcome(wait());
                if (o.has_failed()) {
                    became_a_failure = true;
                    EXPECT_EQ(describe(o.error()), "not moved");
                }
            });
        } catch (const my_error&) {
            EXPECT_FALSE(r.resolved()); // it was not the first
            EXPECT_TRUE(p.set_failure(std::make_exception_ptr(my_error("so be it"))));
        }
    }
    EXPECT_TRUE(became_a_failure);
}

// From here on real threads.
TEST(PromiseOnThreads, R002_OneOfManyCompletersIsTheFirst) {
    runtime rt({.threads = 2});
    for (int round = 0; round < 200; ++round) {
        promise<int> p;
        const auto r = p.result();
        auto f = rt.submit([r]() -> task<int> { co_return co_await r; });
        std::atomic<int> accepted{0}, winner{-1};
        std::vector<std::thread> completers;
        for (int i = 0; i < 3; ++i)
            completers.emplace_back([&, i] {
                if (!p.set_value(i)) return;
                ++accepted;
                winner = i;
            });
        for (auto& t : completers)
            t.join();
        EXPECT_EQ(accepted, 1);
        EXPECT_EQ(f.get(), winner);
        EXPECT_EQ(r.try_outcome()->value(), winner);
    }
}
TEST(PromiseOnThreads, R106_ForeignCompleterRacesCancelAndClose) {
    for (int round = 0; round < 100; ++round) {
        promise<int> p;
        std::thread completer;
        {
            runtime rt({.threads = 1});
            auto f = rt.submit([r = p.result()]() -> task<int> { co_return co_await r; });
            completer = std::thread([&] { p.set_value(1); });
            f.cancel();
            (void)f.wait_for(1h);
            EXPECT_TRUE(rt.close().abandoned.empty());
            EXPECT_TRUE(rt.audit().clean());
        }
        completer.join();
    }
}
} // namespace
