// Runtimes that begin, sleep, are woken and end all the time.
#include "stress.hpp"

namespace {
using namespace stress;

TEST(RuntimeStress, R082_CloseWhileTasksRunAndSpawn) {
    std::atomic<int> alive{0};
    for_a_while([&](int n) {
        dice d(static_cast<unsigned>(n));
        {
            runtime rt({.threads = 1 + d(4), .at_end = {.drain = 0s, .grace = 30s}});
            auto busy = [](counted, unsigned salt) -> task<> {
                for (unsigned k = 0;; ++k) {
                    auto body = [&](group g) -> task<> {
                        (void)g.spawn(
                            [](unsigned us) -> task<> { co_await sleep_for(std::chrono::microseconds(us)); },
                            (salt + k) % 50);
                        (void)g.spawn([] {});
                        co_return;
                    };
                    co_await with_group(body);
                }
            };
            for (unsigned i = 0; i < 10; ++i)
                (void)rt.submit(busy, counted(alive), i);
            spin(d.upto(300us));
            EXPECT_TRUE(rt.close({.drain = d.upto(100us), .grace = 30s}).abandoned.empty());
            EXPECT_TRUE(rt.audit().clean());
        }
        EXPECT_EQ(alive, 0);
    });
}

// The last user of the runtime is a foreign thread: its spawn into a cancelled group ends on its own stack.
TEST(RuntimeStress, R106_ForeignThreadIsTheLastUser) {
    for_a_while([&](int n) {
        dice d(static_cast<unsigned>(n));
        std::atomic<bool> open{false};
        std::optional<group> handle;
        std::optional<std::thread> stranger;
        {
            runtime rt({.threads = 1, .at_end = {.drain = 30s, .grace = 30s}});
            (void)rt.submit([&]() -> task<> {
                auto body = [&](group g) -> task<> {
                    handle = g;
                    g.cancel();
                    open = true;
                    co_return;
                };
                co_await with_group(body);
            });
            while (!open) {}
            stranger.emplace([g = *handle, us = d.upto(20us)]() mutable {
                spin(us);
                try {
                    for (int i = 0; i < 50; ++i)
                        (void)g.spawn([] {});
                } catch (const tenure::base::closed_error&) {}
            });
        }
        stranger->join();
    });
}

TEST(RuntimeStress, R106_SubmittersRaceClose) {
    for_a_while([&](int) {
        std::atomic<int> accepted{0}, ran{0};
        runtime rt({.threads = 2});
        std::vector<std::thread> submitters;
        std::atomic<int> going{0};
        for (int t = 0; t < 3; ++t) {
            submitters.emplace_back([&] {
                ++going;
                try {
                    for (;;) {
                        (void)rt.submit([&] { ++ran; });
                        ++accepted;
                    }
                } catch (const tenure::base::closed_error&) {}
            });
        }
        while (going < 3) {}
        EXPECT_TRUE(rt.close({.drain = 30s}).abandoned.empty());
        for (auto& t : submitters)
            t.join();
        EXPECT_EQ(ran, accepted);
        EXPECT_TRUE(rt.audit().clean());
    });
}

// Nothing may be lost between a worker that goes to sleep and somebody that gives it work.
TEST(RuntimeStress, WakeUpsAreNotLost) {
    runtime rt({.threads = 2});
    for_a_while([&](int n) {
        dice d(static_cast<unsigned>(n));
        for (int i = 0; i < 20; ++i) {
            if (d(3) == 0) spin(d.upto(30us)); // long enough for the workers to fall asleep
            auto f = rt.submit([] { return 1; });
            ASSERT_TRUE(f.wait_for(30s)) << "a submitted task was never run";
        }
    });
}
// One worker is busy until a timer has fired that was armed while the other one slept.
TEST(RuntimeStress, TimersAreNotLostBesideABusyWorker) {
    runtime rt({.threads = 2});
    for_a_while([&](int n) {
        dice d(static_cast<unsigned>(n));
        spin(d.upto(50us));
        std::atomic<bool> fired{false}, late{false};
        auto sleeper = rt.submit([&, us = d.upto(100us)]() -> task<> {
            co_await sleep_for(us);
            fired = true;
        });
        auto busy = rt.submit([&] {
            const auto give_up = std::chrono::steady_clock::now() + 20s;
            while (!fired && !late)
                late = std::chrono::steady_clock::now() > give_up;
        });
        if (d(2)) (void)rt.submit([] {});
        busy.get();
        sleeper.get();
        ASSERT_FALSE(late) << "the timer waited for the busy worker";
    });
}
TEST(RuntimeStress, BlockOnFromManyThreadsWithoutWorkers) {
    runtime rt({.threads = 0});
    for_a_while([&](int n) {
        std::vector<std::thread> callers;
        std::atomic<int> sum{0};
        for (unsigned t = 0; t < 4; ++t) {
            callers.emplace_back([&, t] {
                dice d(static_cast<unsigned>(n) * 4 + t);
                for (int i = 0; i < 5; ++i)
                    sum += rt.block_on([us = d.upto(30us)]() -> task<int> {
                        co_await sleep_for(us);
                        co_return 1;
                    });
            });
        }
        for (auto& t : callers)
            t.join();
        EXPECT_EQ(sum, 20);
    });
}
} // namespace
