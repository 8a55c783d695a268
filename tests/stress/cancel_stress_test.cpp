// Cancellation that races completion, dropping, cleanup and other cancellations.
#include "stress.hpp"

namespace {
using namespace stress;

task<> sleeper(tenure::base::duration d, counted) { co_await sleep_for(d); }

TEST(CancelStress, R106_CancelCompletionAndDropGiveOneTerminalState) {
    std::atomic<int> alive{0};
    runtime rt({.threads = 2});
    for_a_while([&](int n) {
        dice d(static_cast<unsigned>(n));
        std::vector<future<void>> all;
        for (int i = 0; i < 40; ++i)
            all.push_back(rt.submit(sleeper, d.upto(200us), counted(alive)));
        std::vector<std::thread> threads;
        std::atomic<int> won{0};
        for (unsigned t = 0; t < 3; ++t) {
            threads.emplace_back([&, t, own = all] {
                dice e(static_cast<unsigned>(n) * 3 + t + 1000);
                for (int i = 0; i < 60; ++i) {
                    const auto& f = own[e(40)];
                    if (e(2) && f.cancel()) ++won;
                    if (f.status() != task_status::pending) (void)f.why();
                }
            });
        }
        if (d(2)) all.resize(10, all[0]);
        for (auto& t : threads)
            t.join();
        int cancelled = 0;
        for (auto& f : all) {
            while (!f.wait_for(10s)) {}
            const auto s = f.status();
            EXPECT_TRUE(s == task_status::done || s == task_status::cancelled);
            EXPECT_TRUE(s != task_status::cancelled || f.cancel_requested());
            cancelled += s == task_status::cancelled;
            EXPECT_FALSE(f.cancel());
        }
        EXPECT_LE(all.size() == 40 ? cancelled : 0, won);
    });
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_EQ(alive, 0);
}

TEST(CancelStress, R029_EveryCleanupRunsOnceWhereverTheCancelHits) {
    runtime rt({.threads = 2});
    struct counts {
        std::atomic<int> opened{0}, closed{0};
    };
    auto child = [](counts& c) -> task<> {
        ++c.opened;
        co_await defer(
            1min,
            [](counts& k) -> task<> {
                co_await sleep_for(10us);
                ++k.closed;
            },
            std::ref(c));
        for (int n = 0; n < 5; ++n) {
            co_await sleep_for(5us);
            auto limited = [] { return sleep_for(7us); };
            (void)co_await as_outcome(with_timeout(5us, [&limited]() -> task<> { co_await limited(); }));
        }
    };
    auto parent = [&child](counts& c) -> task<> {
        auto body = [&](group g) -> task<> {
            for (int k = 0; k < 3; ++k)
                (void)g.spawn(child, std::ref(c));
            for (int n = 0; n < 5; ++n) {
                co_await yield();
                co_await shield(1min, []() -> task<> { co_await sleep_for(3us); });
            }
        };
        co_await with_group(body);
    };
    for_a_while([&](int n) {
        dice d(static_cast<unsigned>(n));
        counts c;
        auto f = rt.submit(parent, std::ref(c));
        spin(d.upto(300us));
        f.cancel();
        while (!f.wait_for(10s)) {}
        EXPECT_EQ(c.opened, c.closed);
        EXPECT_NE(f.status(), task_status::failed);
    });
    EXPECT_TRUE(rt.close().abandoned.empty());
}

TEST(CancelStress, R050_ManyThreadsCancelATreeOfGroups) {
    for_a_while([&](int n) {
        runtime rt({.threads = 2});
        std::atomic<int> ready{0};
        std::vector<std::optional<group>> groups(8);
        std::vector<std::vector<future<int>>> leaves(8);
        auto leaf = [](int k) -> task<int> {
            for (int i = 0; i < 20; ++i)
                co_await sleep_for(std::chrono::microseconds(k * 10));
            co_return k;
        };
        auto middle = [&](std::size_t i) -> task<> {
            auto body = [&, i](group g) -> task<> {
                for (int k = 0; k < 6; ++k)
                    leaves[i].push_back(g.spawn(leaf, k));
                groups[i] = g;
                ++ready;
                co_return;
            };
            co_await with_group(body);
        };
        auto top = [&]() -> task<> {
            auto body = [&](group g) -> task<> {
                for (std::size_t i = 0; i < 8; ++i)
                    (void)g.spawn(middle, i);
                co_return;
            };
            co_await with_group(body);
        };
        auto f = rt.submit(top);
        while (ready < 8)
            std::this_thread::yield();
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < 16; ++t) {
            threads.emplace_back([&, t] {
                dice d(static_cast<unsigned>(n) * 16 + t);
                spin(d.upto(500us));
                const std::size_t i = d(8);
                if (d(4) == 0) groups[i]->cancel();
                leaves[i][d(6)].cancel();
                if (t == 15) f.cancel();
            });
        }
        for (auto& t : threads)
            t.join();
        while (!f.wait_for(10s)) {}
        for (auto& l : leaves)
            for (auto& x : l) {
                const auto s = x.status();
                EXPECT_TRUE(s == task_status::done || s == task_status::cancelled) << to_string(s);
            }
        EXPECT_TRUE(rt.close().abandoned.empty());
        EXPECT_TRUE(rt.audit().clean());
    });
}

// Both deadlines are the same point in time: the inner scope may never call it its own.
TEST(CancelStress, R053_NestedDeadlinesThatExpireTogether) {
    runtime rt({.threads = 3});
    for_a_while([&](int) {
        std::atomic<int> inner_converted{0}, outer_converted{0};
        auto one = [&](tenure::base::time_point at) -> task<> {
            auto inner = [&](tenure::base::time_point t) -> task<> {
                auto o = co_await as_outcome(with_deadline(t, []() -> task<> { co_await sleep_for(1h); }));
                inner_converted += o.has_failed();
                co_await checkpoint();
            };
            auto o = co_await as_outcome(with_deadline(at, inner, at));
            outer_converted += o.has_failed();
        };
        const auto at = rt.now() + 200us;
        std::vector<future<void>> all;
        for (int i = 0; i < 50; ++i)
            all.push_back(rt.submit(one, at));
        for (auto& f : all)
            f.get();
        EXPECT_EQ(inner_converted, 0);
        EXPECT_EQ(outer_converted, 50);
    });
}

TEST(CancelStress, R024_EventsSetResetAndCancelled) {
    runtime rt({.threads = 3});
    for_a_while([&](int n) {
        dice d(static_cast<unsigned>(n));
        event e;
        std::atomic<int> passed{0};
        std::atomic<bool> stop{false};
        std::vector<future<void>> all;
        for (int i = 0; i < 20; ++i) {
            all.push_back(rt.submit([&]() -> task<> {
                co_await e.wait();
                ++passed;
            }));
        }
        std::thread flips([&] {
            while (!stop) {
                e.set();
                e.reset();
            }
        });
        std::thread resets([&] {
            while (!stop)
                e.reset();
        });
        for (int i = 0; i < 10; ++i) {
            spin(d.upto(5us));
            all[d(20)].cancel();
        }
        int done = 0;
        for (auto& f : all) {
            while (!f.wait_for(10s)) {}
            done += f.status() == task_status::done;
        }
        stop = true;
        flips.join();
        resets.join();
        EXPECT_EQ(passed, done);
    });
    EXPECT_TRUE(rt.close().abandoned.empty());
}
} // namespace
