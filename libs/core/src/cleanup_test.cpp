#include "core_test.hpp"

namespace {
using namespace core_test;

struct Cleanup : virtual_test {};

task<> note(std::string& log, char c) {
    co_await sleep_for(1s);
    log += c;
}

TEST_F(Cleanup, R029_RunsHoweverTheFrameEndsLastFirst) {
    enum how { returns, throws, cancelled };
    for (const how h : {returns, throws, cancelled}) {
        std::string log;
        auto body = [&]() -> task<> {
            co_await defer(1min, note, std::ref(log), 'a');
            co_await defer(1min, note, std::ref(log), 'b');
            const mourner local(log, 'l');
            co_await sleep_for(1s);
            if (h == throws) throw my_error("x");
            if (h == cancelled) co_await sleep_for(1h);
        };
        auto f = rt_.submit(body);
        advance(2s);
        if (h == cancelled) f.cancel();
        advance(5s);
        EXPECT_EQ(log, "lba") << h; // the locals are gone before the first cleanup runs
        EXPECT_EQ(f.status(), h == returns  ? task_status::done
                              : h == throws ? task_status::failed
                                            : task_status::cancelled);
        if (h == throws) {
            EXPECT_THROW(f.get(), my_error);
        }
    }
}
TEST_F(Cleanup, R029_SecondRequestCannotInterruptIt) {
    bool cleaned = false;
    auto f = rt_.submit(nap_and_clean_up, 10s, std::ref(cleaned));
    advance(1s);
    f.cancel();
    advance(1s);
    EXPECT_FALSE(f.cancel());
    advance(20s);
    EXPECT_TRUE(cleaned);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Cleanup, R029_OverrunOfTheGraceIsATimeoutError) {
    for (const bool cancelled : {false, true}) {
        auto f = rt_.submit([]() -> task<> {
            co_await defer(1s, nap, 1h);
            co_await sleep_for(1s);
        });
        advance(1ms);
        if (cancelled) f.cancel();
        advance(5s);
        EXPECT_THROW(f.get(), timeout_error);
    }
}
TEST_F(Cleanup, R029_GraceOfZeroLetsItRunToItsFirstAwait) {
    std::string log;
    auto f = rt_.submit([&]() -> task<> {
        co_await defer(
            0s,
            [](std::string& l) -> task<> {
                l += "began";
                co_await sleep_for(1s);
                l += "!";
            },
            std::ref(log));
    });
    advance(5s);
    EXPECT_THROW(f.get(), timeout_error);
    EXPECT_EQ(log, "began");
}
TEST_F(Cleanup, R029_ArgumentsLiveUntilTheirCleanupHasRunAndNotLonger) {
    auto child = [&]() -> task<> {
        co_await defer(1min, [](const counted&) -> task<> { co_await sleep_for(1s); }, object());
        co_await defer(1min, [](const counted&) -> task<> { co_await sleep_for(1s); }, object());
        EXPECT_EQ(objects_.alive, 2);
    };
    auto parent = [&]() -> task<> {
        co_await child();
        EXPECT_EQ(objects_.alive, 0);
    };
    run(parent);
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(Cleanup, R030_ErrorReplacesCancelledAndReachesTheOwner) {
    auto f = rt_.submit([]() -> task<> {
        co_await defer(1min, fail_later, 1s, "cleanup");
        co_await sleep_for(1h);
    });
    advance(1s);
    f.cancel();
    advance(5s);
    EXPECT_EQ(thrown_by([&] { f.get(); }), "cleanup");
}
TEST_F(Cleanup, R030_ErrorReplacesAValue) {
    auto body = []() -> task<int> {
        co_await defer(1min, fail_later, 1s, "cleanup");
        co_return 4;
    };
    EXPECT_EQ(thrown_by([&] { run(body); }), "cleanup");
}
TEST_F(Cleanup, R030_ErrorsJoinTheBodysInOrder) {
    auto body = []() -> task<> {
        co_await defer(1min, fail_later, 0s, "a");
        co_await defer(1min, fail_later, 0s, "b");
        throw my_error("body");
    };
    std::vector<std::string> found;
    try {
        run(body);
    } catch (const group_error& e) {
        for (const auto& x : e.errors())
            found.push_back(describe(x));
    }
    EXPECT_EQ(found, (std::vector<std::string>{"body", "b", "a"}));
}
TEST_F(Cleanup, R030_ErrorOfAnInnerCleanupRunsTheHandlersThenTheCancelShows) {
    std::string log;
    auto inner = []() -> task<> {
        co_await defer(1min, fail_later, 1s, "cleanup");
        co_await sleep_for(1h);
    };
    auto f = rt_.submit([&]() -> task<> {
        try {
            co_await inner();
        } catch (const my_error& e) {
            log += e.what();
        }
        co_await checkpoint();
        log += "!";
    });
    advance(1s);
    f.cancel();
    advance(5s);
    EXPECT_EQ(log, "cleanup");
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Cleanup, CallableThatThrowsBeforeItIsACoroutineIsAnErrorAndTheOthersRun) {
    std::string log;
    auto refuses = +[](int) -> task<> { throw my_error("no frame"); };
    auto body = [&]() -> task<> {
        co_await defer(1min, note, std::ref(log), 'a');
        co_await defer(1min, refuses, 1);
        co_await defer(1min, note, std::ref(log), 'b');
    };
    EXPECT_EQ(thrown_by([&] { run(body); }), "no frame");
    EXPECT_EQ(log, "ba");
}
TEST_F(Cleanup, R092_ReleasesRunAfterTheChildrenHaveEnded) {
    std::string log;
    auto body = [&]() -> task<> {
        co_await defer(1min, note, std::ref(log), 'r');
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn([&]() -> task<> {
                co_await defer(1min, note, std::ref(log), 'c');
                co_await sleep_for(1h);
            });
            co_await sleep_for(1s);
            throw my_error("x");
        });
    };
    EXPECT_EQ(thrown_by([&] { run(body); }), "x");
    EXPECT_EQ(log, "cr");
}
TEST_F(Cleanup, NestedFramesRunTheirsInnermostFirst) {
    std::string log;
    auto inner = [&]() -> task<> {
        co_await defer(1min, note, std::ref(log), 'i');
        co_await sleep_for(1h);
    };
    auto outer = [&]() -> task<> {
        co_await defer(1min, note, std::ref(log), 'o');
        co_await inner();
    };
    auto f = rt_.submit(outer);
    advance(1s);
    f.cancel();
    advance(5s);
    EXPECT_EQ(log, "io");
}
TEST_F(Cleanup, CleanupMayItselfDeferAndOpenGroups) {
    std::string log;
    auto cleanup = +[](std::string& l) -> task<> {
        co_await defer(1min, note, std::ref(l), 'd');
        co_await with_group([&](group g) -> task<> {
            (void)g.spawn(note, std::ref(l), 'g');
            co_return;
        });
        l += 'c';
    };
    auto f = rt_.submit([&]() -> task<> {
        co_await defer(1min, cleanup, std::ref(log));
        co_await sleep_for(1h);
    });
    advance(1s);
    f.cancel();
    advance(5s);
    EXPECT_EQ(log, "gcd");
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Cleanup, R029_DeferIsRegisteredEvenByACancelledTask) {
    std::string log;
    auto f = rt_.submit([&]() -> task<> {
        (void)co_await as_outcome(sleep_for(1h));
        co_await defer(1min, note, std::ref(log), 'd');
        co_await checkpoint();
        log += '!';
    });
    advance(1s);
    f.cancel();
    advance(5s);
    EXPECT_EQ(log, "d");
}
TEST_F(Cleanup, ManyDefersOfOneFrameUseNoStack) {
    int ran = 0;
    auto body = [&]() -> task<> {
        for (int i = 0; i < 100'000; ++i) {
            co_await defer(
                1min,
                [](int& n) -> task<> {
                    ++n;
                    co_return;
                },
                std::ref(ran));
        }
    };
    run(body);
    EXPECT_EQ(ran, 100'000);
}
TEST_F(Cleanup, ManyNestedFramesWithDefersUseNoStack) {
    int ran = 0;
    struct chain {
        static task<> down(int n, int& count) {
            co_await defer(
                1min,
                [](int& k) -> task<> {
                    ++k;
                    co_return;
                },
                std::ref(count));
            if (n > 0) co_await down(n - 1, count);
            if (n == 0) co_await sleep_for(1h);
        }
    };
    auto f = rt_.submit(chain::down, 20'000, std::ref(ran));
    advance(1s);
    f.cancel();
    advance(1s);
    EXPECT_EQ(ran, 20'001);
    EXPECT_EQ(f.status(), task_status::cancelled);
}
TEST_F(Cleanup, WithCleanupMayBorrowTheCallersLocals) {
    for (const bool cancelled : {false, true}) {
        int seen = 0;
        auto f = rt_.submit([&]() -> task<int> {
            int local = 5;
            auto body = [&]() -> task<int> {
                co_await sleep_for(2s);
                co_return ++local;
            };
            auto cleanup = [&]() -> task<> {
                co_await sleep_for(1s);
                seen = local;
            };
            co_return co_await with_cleanup(1min, body, cleanup);
        });
        advance(1s);
        if (cancelled) f.cancel();
        advance(5s);
        EXPECT_EQ(seen, cancelled ? 5 : 6);
        EXPECT_EQ(f.status(), cancelled ? task_status::cancelled : task_status::done);
    }
}
} // namespace
