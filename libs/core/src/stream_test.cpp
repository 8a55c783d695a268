#include "stream_test.hpp"

namespace {
using namespace core_test;

struct Stream : virtual_test {};

TEST_F(Stream, ItemsArriveInOrderWhateverTheCapacity) {
    for (const std::size_t capacity : {0u, 1u, 2u, 16u}) {
        const stream_options o{.capacity = capacity};
        auto scope = [&]() { return with_stream(o, read_all, count_up, 100); };
        EXPECT_EQ(run(scope), numbers(0, 100));
        auto observer = [&](group g) -> task<std::vector<int>> {
            co_return co_await read_all(spawn_stream(g, o, count_up, 100));
        };
        EXPECT_EQ(run([&]() -> task<std::vector<int>> { co_return co_await with_group(observer); }),
                  numbers(0, 100));
        EXPECT_EQ(run([&] { return read_all(spawn_stream(rt_, o, count_up, 100)); }), numbers(0, 100));
    }
}
TEST_F(Stream, EndIsEmptyForEver) {
    auto body = [&]() -> task<> {
        auto s = spawn_stream(rt_, count_up, 0);
        for (int i = 0; i < 3; ++i)
            EXPECT_FALSE(co_await s.next());
    };
    run(body);
}
TEST_F(Stream, ItemsNeedOnlyBeMovableAndDieWithTheStream) {
    struct item {
        std::unique_ptr<int> number;
        counted one;
        item(int n, tally& t) : number(std::make_unique<int>(n)), one(t) {}
        item(item&&) noexcept = default;
    };
    auto produce = [](sink<item> out, tally& t) -> task<> {
        for (int i = 0;; ++i)
            co_await out.send(item(i, t));
    };
    auto consume = [](stream<item> s) -> task<int> {
        co_await nap(1s); // the buffer fills
        auto first = co_await s.next();
        co_return *first->number;
    };
    EXPECT_EQ(
        run([&]() -> task<int> { co_return co_await with_stream(consume, produce, std::ref(objects_)); }), 0);
    EXPECT_EQ(objects_.alive, 0);
}
TEST_F(Stream, ProducerIsNamedAndKnowsWhereItCameFrom) {
    auto fail = [](sink<int>) -> task<> {
        co_await nap(1s);
        throw my_error("unread");
    };
    std::vector<tenure::base::task_label> labels;
    auto keep = [&](const tenure::base::task_failure& f) { labels.push_back(f.task); };
    int line = 0;
    auto body = [&](group g) -> task<> {
        auto a = spawn_stream(g, fail); // here
        auto b = spawn_stream(g, {.name = "tokens"}, fail);
        line = __LINE__;
        co_await nap(2s);
    };
    run([&]() -> task<> { co_await with_group(supervise(keep), body); });
    ASSERT_EQ(labels.size(), 2u);
    EXPECT_EQ(labels[0].name, "tokens");
    EXPECT_EQ(labels[0].site.line(), static_cast<unsigned>(line - 1));
    EXPECT_EQ(labels[1].site.line(), static_cast<unsigned>(line - 2));
    EXPECT_NE(std::string(labels[1].site.file_name()).find("stream_test.cpp"), std::string::npos);
}
TEST_F(Stream, ArgumentsMayBeFutures) {
    auto body = [&](group g) -> task<std::vector<int>> {
        auto n = g.spawn(give_later, 1s, 3);
        co_return co_await read_all(spawn_stream(
            g, [](sink<int> out, const int& until) -> task<> { co_await count_up(out, until); }, n));
    };
    EXPECT_EQ(run([&]() -> task<std::vector<int>> { co_return co_await with_group(body); }), numbers(0, 3));
}

// R093: the producer is cancelled and joined, its locals and its cleanup are over.
TEST_F(Stream, R093_ConsumerThatReturnsEarlyHasEndedTheProducerBeforeTheNextStatement) {
    std::string log;
    auto body = [&]() -> task<> {
        co_await with_stream([](stream<int> s) { return read_some(std::move(s), 3); }, count_and_clean_up, 1s,
                             std::ref(log));
        EXPECT_EQ(log, "lc");
        log += '.';
    };
    run(body);
    EXPECT_EQ(log, "lc.");
    EXPECT_EQ(elapsed(), 1s);
}
TEST_F(Stream, R093_ConsumerThatThrowsHasEndedTheProducerBeforeTheHandlerRuns) {
    std::string log;
    auto consume = [](stream<int> s) -> task<> {
        co_await read_some(std::move(s), 3);
        throw my_error("enough");
    };
    auto body = [&]() -> task<> {
        try {
            co_await with_stream(consume, count_and_clean_up, 1s, std::ref(log));
        } catch (const my_error& e) {
            EXPECT_EQ(log, "lc");
            log += e.what();
        }
    };
    run(body);
    EXPECT_EQ(log, "lcenough");
}
TEST_F(Stream, R093_ConsumerThatIsCancelledHasEndedTheProducerBeforeItsScopeIsLeft) {
    std::string log;
    auto read = [](sink<int> out, std::string& to) -> task<> {
        co_await defer(
            1min,
            [](std::string& t) -> task<> {
                co_await sleep_for(1s);
                t += 'c';
            },
            std::ref(to));
        co_await out.send(0);
        co_await nap(1h);
    };
    auto body = [&]() -> task<> {
        auto in_time = [&]() -> task<> { (void)co_await with_stream(read_all, read, std::ref(log)); };
        const auto o = co_await as_outcome(with_timeout(3s, in_time));
        EXPECT_TRUE(o.has_failed());
        EXPECT_EQ(log, "c");
    };
    run(body);
    EXPECT_EQ(elapsed(), 4s);
}
TEST_F(Stream, R093_HandleThatIsMovedOutOfTheScopeReadsWhatIsThereAndEnds) {
    std::optional<stream<int>> outside;
    auto consume = [&](stream<int> s) -> task<> {
        co_await nap(1s);
        outside.emplace(std::move(s));
    };
    run([&]() -> task<> {
        const stream_options o{.capacity = 3};
        co_await with_stream(o, consume, count_for_ever);
    });
    EXPECT_EQ(run([&] { return read_all(std::move(*outside)); }), numbers(0, 3));
}
TEST_F(Stream, R093_StopOfAnObserverJoinsTheProducer) {
    std::string log;
    auto body = [&](group g) -> task<> {
        auto s = spawn_stream(g, {.capacity = 2}, count_and_clean_up, 1s, std::ref(log));
        EXPECT_EQ(co_await s.next(), 0);
        co_await nap(1s);
        co_await s.stop();
        EXPECT_EQ(log, "lc");
        EXPECT_EQ(co_await s.next(), 1); // what it had sent
        EXPECT_EQ(co_await s.next(), 2);
        EXPECT_FALSE(co_await s.next());
        co_await s.stop();
    };
    run([&]() -> task<> { co_await with_group(body); });
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(Stream, R093_DroppedObserverCancelsTheProducerAndItsGroupWaits) {
    std::string log;
    auto body = [&](group g) -> task<> {
        co_await read_some(spawn_stream(g, count_and_clean_up, 1s, std::ref(log)), 3);
        EXPECT_EQ(log, "");
    };
    run([&]() -> task<> { co_await with_group(body); });
    EXPECT_EQ(log, "lc");
}
TEST_F(Stream, R093_ConsumersTimeoutIsOnTimeThoughTheProducerHangsInItsCleanup) {
    std::string log;
    auto body = [&](group g) -> task<> {
        auto hang = [](sink<int> out, std::string& to) -> task<> {
            co_await defer(
                1h,
                [](std::string& t) -> task<> {
                    co_await sleep_for(30min);
                    t += 'c';
                },
                std::ref(to));
            co_await out.send(0);
            co_await nap(24h);
        };
        auto consume = [&]() -> task<> { (void)co_await read_all(spawn_stream(g, hang, std::ref(log))); };
        const auto o = co_await as_outcome(with_timeout(2s, consume));
        EXPECT_TRUE(o.has_failed());
        EXPECT_EQ(elapsed(), 2s);
        EXPECT_EQ(log, "");
    };
    run([&]() -> task<> { co_await with_group(body); });
    EXPECT_EQ(log, "c"); // it has not outlived its group
}
TEST_F(Stream, R093_TenThousandAbandonedMidwayLeaveNothing) {
    auto body = [&](group g) -> task<> {
        for (int i = 0; i < 10'000; ++i) {
            auto produce = [](sink<int> out, counted) -> task<> { co_await count_for_ever(out); };
            auto s = spawn_stream(g, {.capacity = 4, .stall = 1h}, produce, object());
            for (int n = 0; n < 3; ++n)
                EXPECT_EQ(co_await s.next(), n);
        }
        co_await nap(1s);
        EXPECT_EQ(rt_.audit().timers, 0u);
        EXPECT_EQ(rt_.audit().tasks, 1u); // this one
        EXPECT_EQ(objects_.alive, 0);
    };
    run([&]() -> task<> { co_await with_group(body); });
}

// R094
TEST_F(Stream, R094_ItemsThenTheFailureOnceThenTheEnd) {
    for (const std::size_t capacity : {0u, 1u, 16u}) {
        std::vector<int> got;
        int failures = 0;
        auto consume = [&](stream<int> s) -> task<> {
            try {
                while (auto v = co_await s.next())
                    got.push_back(*v);
            } catch (const my_error& e) {
                EXPECT_STREQ(e.what(), "the source failed");
                ++failures;
            }
            for (int i = 0; i < 3; ++i)
                EXPECT_FALSE(co_await s.next());
            co_await nap(1s); // not cancelled
        };
        const stream_options o{.capacity = capacity};
        run([&]() -> task<> { co_await with_stream(o, consume, count_and_fail, 5); });
        auto observer = [&](group g) -> task<> { co_await consume(spawn_stream(g, o, count_and_fail, 5)); };
        run([&]() -> task<> { co_await with_group(observer); });
        run([&] { return consume(spawn_stream(rt_, o, count_and_fail, 5)); });
        EXPECT_EQ(failures, 3);
        EXPECT_EQ(got.size(), 15u);
    }
}
TEST_F(Stream, R094_FailureThatTheConsumerLetsPassIsTheGroupsOnce) {
    EXPECT_EQ(
        thrown_by([&] { run([&]() -> task<> { (void)co_await with_stream(read_all, count_and_fail, 5); }); }),
        "the source failed");
}
TEST_F(Stream, R094_FailureThatNobodyReadsFailsTheGroup) {
    auto stop_before = [](stream<int> s) -> task<> {
        co_await nap(1s);
        co_await read_some(std::move(s), 3);
    };
    EXPECT_EQ(
        thrown_by([&] { run([&]() -> task<> { co_await with_stream(stop_before, count_and_fail, 5); }); }),
        "the source failed");
    auto observer = [&](group g) -> task<> { co_await stop_before(spawn_stream(g, count_and_fail, 5)); };
    EXPECT_EQ(thrown_by([&] { run([&]() -> task<> { co_await with_group(observer); }); }),
              "the source failed");
}
TEST_F(Stream, R094_FailureThatNobodyReadsGoesToTheHookOnceWithoutAGroup) {
    auto stop_before = [&](stream<int> s) -> task<> {
        co_await nap(1s);
        co_await read_some(std::move(s), 3);
    };
    run([&] { return stop_before(spawn_stream(rt_, count_and_fail, 5)); });
    std::optional<stream<int>> outlives;
    auto observer = [&](group g) -> task<> {
        outlives.emplace(spawn_stream(g, count_and_fail, 5));
        co_return;
    };
    run([&]() -> task<> { co_await with_group(observer); });
    EXPECT_EQ(unread_.size(), 1u);
    outlives.reset();
    expected_unread_ = {"the source failed", "the source failed"};
}
TEST_F(Stream, R094_FailureMayBeReadAfterTheGroupHasEnded) {
    std::optional<stream<int>> outlives;
    auto observer = [&](group g) -> task<> {
        outlives.emplace(spawn_stream(g, count_and_fail, 2));
        co_return;
    };
    run([&]() -> task<> { co_await with_group(observer); });
    EXPECT_EQ(thrown_by([&] { run([&] { return read_some(std::move(*outlives), 3); }); }),
              "the source failed");
}
TEST_F(Stream, R094_ProducerThatSomebodyElseCancelsEndsWithTaskCancelledOnce) {
    auto s = spawn_stream(rt_, {.capacity = 1}, [](sink<int> out) -> task<> {
        auto body = [&](group g) -> task<> {
            co_await out.send(7);
            g.cancel("by hand");
            co_await nap(1h);
        };
        co_await with_group(body);
        throw tenure::base::cancelled{}; // not ours: a failure
    });
    auto body = [&]() -> task<> {
        EXPECT_EQ(co_await s.next(), 7);
        EXPECT_TRUE((co_await as_outcome(s.next())).has_failed());
        EXPECT_FALSE(co_await s.next());
    };
    run(body);
    auto inner = [&](group g, std::vector<int>& got) -> task<> {
        auto a = spawn_stream(g, {.capacity = 2}, count_for_ever);
        (void)rt_.submit(
            [](stream<int>& of, std::vector<int>& to) -> task<> {
                co_await nap(2s);
                try {
                    for (;;)
                        to.push_back((co_await of.next()).value());
                } catch (const task_cancelled&) {
                    to.push_back(-1);
                }
                EXPECT_FALSE(co_await of.next());
            },
            std::move(a), std::ref(got));
        co_await nap(1s);
        g.cancel("by hand");
    };
    std::vector<int> got;
    run([&]() -> task<> { co_await with_group([&](group g) { return inner(std::move(g), got); }); });
    advance(3s);
    EXPECT_EQ(got, (std::vector{0, 1, -1}));
}
TEST_F(Stream, StreamThatNobodyReadsIsReported) {
    auto body = [&](group g) -> task<> {
        { auto s = spawn_stream(g, count_for_ever); }
        { // stopped: dealt with
            auto s = spawn_stream(g, count_for_ever);
            co_await s.stop();
        }
        auto cancelled = [&]() -> task<> { // before it came to read
            auto s = spawn_stream(g, count_for_ever);
            co_await nap(1h);
        };
        EXPECT_FALSE(co_await move_on_after(1s, cancelled));
        auto failing = [&]() -> task<> {
            auto s = spawn_stream(g, count_for_ever);
            co_await yield();
            throw my_error("before it came to read");
        };
        EXPECT_TRUE((co_await as_outcome(failing())).has_failed());
    };
    run([&]() -> task<> { co_await with_group(body); });
    expected_unread_ = {"the stream was dropped before anybody read it: read it, or stop() it"};
}

TEST_F(Stream, R095_ProducerIsNeverMoreThanTheCapacityAhead) {
    for (const std::size_t capacity : {0u, 1u, 3u, 4u}) {
        int sent = 0;
        auto produce = [&](sink<int> out) -> task<> {
            for (;;) {
                co_await out.send(sent);
                ++sent;
            }
        };
        auto consume = [&](stream<int> s) -> task<> {
            for (int received = 0; received < 20; ++received) {
                co_await nap(1s);
                EXPECT_EQ(sent, received + static_cast<int>(capacity));
                EXPECT_EQ(co_await s.next(), received);
            }
        };
        sent = 0;
        const stream_options o{.capacity = capacity};
        run([&]() -> task<> { co_await with_stream(o, consume, produce); });
    }
}
TEST_F(Stream, ProducerMayRefuseWhatTheConsumerIsTooSlowForAndRecover) {
    int refused = 0;
    auto produce = [&](sink<int> out) -> task<> {
        for (int i = 0; i < 10; ++i) {
            refused += !out.try_send(i);
            co_await nap(1s);
        }
    };
    auto consume = [&](stream<int> s) -> task<std::vector<int>> {
        co_await nap(5500ms); // overloaded
        co_return co_await read_all(std::move(s));
    };
    const stream_options o{.capacity = 2};
    const auto got =
        run([&]() -> task<std::vector<int>> { co_return co_await with_stream(o, consume, produce); });
    EXPECT_EQ(got, (std::vector{0, 1, 6, 7, 8, 9}));
    EXPECT_EQ(refused, 4);
}

TEST_F(Stream, R096_TimeoutAroundNextLosesNoItem) {
    for (const std::size_t capacity : {0u, 1u, 4u}) {
        auto slow = [](sink<int> out) -> task<> {
            for (int i = 0; i < 20; ++i) {
                co_await nap(700ms);
                co_await out.send(i);
            }
        };
        auto consume = [](stream<int> s) -> task<std::vector<int>> {
            std::vector<int> got;
            int timeouts = 0;
            for (bool ended = false; !ended;) {
                auto one = [&]() -> task<> {
                    auto v = co_await s.next();
                    v ? got.push_back(*v) : void(ended = true);
                };
                timeouts += !co_await move_on_after(500ms, one);
            }
            EXPECT_GE(timeouts, 20);
            co_return got;
        };
        const stream_options o{.capacity = capacity};
        EXPECT_EQ(run([&]() -> task<std::vector<int>> { co_return co_await with_stream(o, consume, slow); }),
                  numbers(0, 20));
    }
}
TEST_F(Stream, R096_CleanupErrorOfAnAbandonedProducerReachesTheOwner) {
    auto three = [](stream<int> s) { return read_some(std::move(s), 3); };
    EXPECT_EQ(
        thrown_by([&] { run([&]() -> task<> { co_await with_stream(three, count_and_fail_in_cleanup); }); }),
        "the history was not written");
    auto observer = [&](group g) -> task<> { co_await three(spawn_stream(g, count_and_fail_in_cleanup)); };
    EXPECT_EQ(thrown_by([&] { run([&]() -> task<> { co_await with_group(observer); }); }),
              "the history was not written");
    run([&] { return three(spawn_stream(rt_, count_and_fail_in_cleanup)); });
    advance(2s);
    expected_unread_ = {"the history was not written"};
}
TEST_F(Stream, R096_CleanupErrorJoinsTheConsumersOwn) {
    auto consume = [](stream<int> s) -> task<> {
        co_await read_some(std::move(s), 3);
        throw my_error("enough");
    };
    try {
        run([&]() -> task<> { co_await with_stream(consume, count_and_fail_in_cleanup); });
        FAIL();
    } catch (const group_error& e) {
        ASSERT_EQ(e.errors().size(), 2u);
        EXPECT_EQ(describe(e.errors()[0]), "enough");
        EXPECT_EQ(describe(e.errors()[1]), "the history was not written");
    }
}
TEST_F(Stream, R096_StopThrowsTheCleanupErrorAndNobodyElse) {
    auto body = [&](group g) -> task<> {
        auto s = spawn_stream(g, count_and_fail_in_cleanup);
        EXPECT_EQ(co_await s.next(), 0);
        const auto o = co_await as_outcome(s.stop());
        EXPECT_EQ(describe(o.error()), "the history was not written");
        co_await s.stop();
        co_await nap(1s);
    };
    run([&]() -> task<> { co_await with_group(body); });
}
TEST_F(Stream, SendInAShieldAfterTheConsumerHasGoneIsRefused) {
    std::string text;
    auto produce = [&](sink<int> out) -> task<> {
        auto body = [&]() -> task<> { co_await count_for_ever(out); };
        auto cleanup = [&]() -> task<> {
            const auto o = co_await as_outcome(out.send(1));
            text = describe(o.error());
        };
        co_await with_cleanup(1s, body, cleanup);
    };
    auto three = [](stream<int> s) { return read_some(std::move(s), 3); };
    run([&]() -> task<> { co_await with_stream(three, produce); });
    EXPECT_NE(text.find("closed"), std::string::npos) << text;
}

// R098
TEST_F(Stream, R098_NeitherItemNorHeartbeatIsStalledAndCancelsTheProducer) {
    for (const std::size_t capacity : {0u, 4u}) {
        const auto began = elapsed();
        bool cleaned = false;
        auto produce = [&](sink<int> out) -> task<> {
            co_await out.send(0);
            co_await nap(1s);
            co_await out.send(1);
            co_await nap_and_clean_up(1s, cleaned);
        };
        auto consume = [&](stream<int> s) -> task<> {
            EXPECT_EQ(co_await s.next(), 0);
            EXPECT_EQ(co_await s.next(), 1);
            try {
                (void)co_await s.next();
                ADD_FAILURE();
            } catch (const stalled_error& e) {
                EXPECT_EQ(elapsed() - began, 6s);
                EXPECT_EQ(e.task().name, "tokens");
            }
            EXPECT_FALSE(co_await s.next());
            EXPECT_FALSE(cleaned);
        };
        const stream_options o{.capacity = capacity, .stall = 5s, .name = "tokens"};
        run([&]() -> task<> { co_await with_stream(o, consume, produce); });
        EXPECT_TRUE(cleaned);
        EXPECT_EQ(elapsed() - began, 7s);
    }
}
TEST_F(Stream, R098_HeartbeatIsASignOfLife) {
    auto produce = [](sink<int> out) -> task<> {
        for (int i = 0; i < 10; ++i) {
            co_await nap(4s);
            out.heartbeat();
        }
        co_await out.send(1);
        co_await nap(1h);
    };
    auto consume = [&](stream<int> s) -> task<> {
        EXPECT_EQ(co_await s.next(), 1);
        EXPECT_EQ(elapsed(), 40s);
        const auto o = co_await as_outcome(s.next());
        EXPECT_TRUE(o.has_failed());
        EXPECT_EQ(elapsed(), 45s);
    };
    const stream_options o{.stall = 5s};
    run([&]() -> task<> { co_await with_stream(o, consume, produce); });
}
TEST_F(Stream, R098_SlowConsumerIsNoStall) {
    auto consume = [](stream<int> s) -> task<> {
        for (int i = 0; i < 5; ++i) {
            co_await nap(1min);
            EXPECT_EQ(co_await s.next(), i);
        }
    };
    const stream_options o{.capacity = 1, .stall = 5s};
    run([&]() -> task<> { co_await with_stream(o, consume, count_for_ever); });
}
TEST_F(Stream, R098_WaitsThatWereCutShortCountTogether) {
    auto silent = [](sink<int>) -> task<> { co_await nap(1h); };
    auto consume = [&](stream<int> s) -> task<> {
        auto one = [&]() -> task<> { (void)co_await s.next(); };
        for (int i = 0; i < 4; ++i)
            EXPECT_FALSE(co_await move_on_after(1s, one));
        EXPECT_TRUE((co_await as_outcome(s.next())).has_failed());
        EXPECT_EQ(elapsed(), 5s);
    };
    const stream_options o{.stall = 5s};
    run([&]() -> task<> { co_await with_stream(o, consume, silent); });
}
TEST_F(Stream, R098_FailureOfAStalledProducersCleanupIsTheOwners) {
    auto produce = [](sink<int>) -> task<> {
        auto cleanup = []() -> task<> {
            co_await nap(1s);
            throw my_error("the history was not written");
        };
        co_await defer(1min, cleanup);
        co_await nap(1h);
    };
    auto consume = [&](stream<int> s) -> task<> {
        EXPECT_TRUE((co_await as_outcome(s.next())).has_failed());
        co_await nap(3s);
        EXPECT_FALSE(co_await s.next());
    };
    const stream_options o{.stall = 5s};
    EXPECT_EQ(thrown_by([&] { run([&]() -> task<> { co_await with_stream(o, consume, produce); }); }),
              "the history was not written");
}

TEST_F(Stream, OptionsAndUsesThatCannotBeMeantAreRefused) {
    EXPECT_THROW((void)spawn_stream(rt_, {.stall = -1s}, count_for_ever), usage_error);
    EXPECT_THROW((void)spawn_stream(rt_, {.capacity = static_cast<std::size_t>(-1)}, count_for_ever),
                 usage_error);
    auto in_a_coroutine = [](stream<int> s) -> task<> {
        (void)s.blocking_next();
        co_return;
    };
    const std::string text =
        thrown_by([&] { run([&]() -> task<> { co_await with_stream(in_a_coroutine, count_for_ever); }); });
    EXPECT_NE(text.find("co_await"), std::string::npos) << text;
    auto moved_from = [](stream<int> s) -> task<> {
        const auto to = std::move(s);
        co_await read_some(std::move(s), 1); // NOLINT(bugprone-use-after-move)
    };
    EXPECT_NE(thrown_by([&] {
                  run([&]() -> task<> { co_await with_stream(moved_from, count_for_ever); });
              }).find("moved from"),
              std::string::npos);
    expected_unread_ = {};
    unread_.clear();
}
TEST_F(Stream, SpawnInAGroupThatHasEndedIsRefused) {
    std::optional<group> ended;
    run([&]() -> task<> {
        co_await with_group([&](group g) -> task<> {
            ended = g;
            co_return;
        });
    });
    EXPECT_THROW((void)spawn_stream(*ended, count_for_ever), closed_error);
}

// Steps
TEST_F(Stream, StepsReadInOrder) {
    for (const std::size_t capacity : {0u, 1u, 4u}) {
        const stream_options o{.capacity = capacity};
        auto body = [&](group g) -> task<std::vector<std::string>> {
            auto to_text = [](int i) -> task<std::string> {
                co_await nap(1ms);
                co_return std::to_string(i);
            };
            co_return co_await spawn_stream(g, o, count_for_ever)
                .filter([](const int& i) { return i % 2 == 1; })
                .map([](int i) { return i * 10; })
                .map(to_text)
                .take(3)
                .collect();
        };
        EXPECT_EQ(run([&]() -> task<std::vector<std::string>> { co_return co_await with_group(body); }),
                  (std::vector<std::string>{"10", "30", "50"}));
    }
    EXPECT_EQ(run([&] { return spawn_stream(rt_, count_up, 3).take(10).collect(); }), numbers(0, 3));
    EXPECT_EQ(run([&] { return spawn_stream(rt_, count_up, 3).take(0).collect(); }), numbers(0, 0));
}
TEST_F(Stream, R093_WhoStopsReadingTheLastStepEndsThemAll) {
    std::string log;
    auto body = [&](group g) -> task<> {
        auto s =
            spawn_stream(g, count_and_clean_up, 1s, std::ref(log)).map([](int i) { return -i; }).take(100);
        EXPECT_EQ(co_await s.next(), 0);
        EXPECT_EQ(co_await s.next(), -1);
        co_await s.stop();
        EXPECT_EQ(log, "lc");
        log += '.';
        co_await read_some(spawn_stream(g, count_and_clean_up, 1s, std::ref(log)).take(100), 2);
        EXPECT_EQ(log, "lc.");
    };
    run([&]() -> task<> { co_await with_group(body); });
    EXPECT_EQ(log, "lc.lc");
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(Stream, R094_FailureComesThroughTheStepsOnce) {
    auto body = [&](group g) -> task<> {
        auto s = spawn_stream(g, count_and_fail, 2).map([](int i) { return i + 1; }).filter([](int) {
            return true;
        });
        EXPECT_EQ(co_await s.next(), 1);
        EXPECT_EQ(co_await s.next(), 2);
        EXPECT_EQ(describe((co_await as_outcome(s.next())).error()), "the source failed");
        EXPECT_FALSE(co_await s.next());
        auto bad = spawn_stream(g, count_for_ever).map([](int i) {
            if (i == 1) throw my_error("not this one");
            return i;
        });
        EXPECT_EQ(co_await bad.next(), 0);
        EXPECT_EQ(describe((co_await as_outcome(bad.next())).error()), "not this one");
        EXPECT_FALSE(co_await bad.next());
    };
    run([&]() -> task<> { co_await with_group(body); });
}
TEST_F(Stream, R096_CleanupErrorOfTheFirstReachesTheOwnerThroughTheSteps) {
    auto body = [&](group g) -> task<> {
        EXPECT_EQ((co_await spawn_stream(g, count_up, 5).take(3).collect()).size(), 3u);
        co_await read_some(spawn_stream(g, count_and_fail_in_cleanup).take(100), 3);
    };
    EXPECT_EQ(thrown_by([&] { run([&]() -> task<> { co_await with_group(body); }); }),
              "the history was not written");
}

TEST_F(Stream, HandleMayGoWhileNextWaits) {
    auto body = [&](group g) -> task<> {
        auto s = std::make_shared<std::optional<stream<int>>>(
            spawn_stream(rt_, [](sink<int>) -> task<> { co_await sleep_for(24h); }));
        auto reader = g.spawn(
            [](std::shared_ptr<std::optional<stream<int>>> from) -> task<bool> {
                const auto v = co_await (*from)->next();
                co_return v.has_value();
            },
            s);
        co_await sleep_for(1s);
        s->reset();
        EXPECT_FALSE(co_await reader);
    };
    run([&]() -> task<> { co_await with_group(std::ref(body)); });
}
TEST_F(Stream, StepsTakeNoSlotOfALimitedGroup) {
    auto body = [&](group g) -> task<> {
        auto s = spawn_stream(g, count_up, 100).map([](int i) { return i + 1; }).filter([](int i) {
            return i % 2 == 0;
        });
        int n = 0;
        while (co_await s.next())
            ++n;
        EXPECT_EQ(n, 50);
    };
    run([&]() -> task<> { co_await with_group(group_options().max_concurrency(1), std::ref(body)); });
}
// A wait that was cut short, time in which nobody waits, and an item that is there: none of them is a stall.
TEST_F(Stream, R098_OnlyTimeInWhichTheConsumerWaitsCounts) {
    for (const std::size_t capacity : {0u, 1u}) {
        for (int used = 252; used < 258; ++used) { // around the end of the strand's budget of awaits
            auto body = [&](group g) -> task<> {
                auto produce = [](sink<int> out) -> task<> {
                    co_await sleep_for(2s);
                    co_await out.send(1);
                    co_await out.send(2);
                };
                auto s = spawn_stream(g, {.capacity = capacity, .stall = 5s}, produce);
                auto one = [&]() -> task<> { (void)co_await s.next(); };
                (void)co_await move_on_after(1s, one);
                co_await sleep_for(9s);
                for (int i = 0; i < 100; ++i)
                    (void)g.spawn([] {});
                for (int i = 0; i < used; ++i)
                    co_await checkpoint();
                int n = 0;
                while (co_await s.next())
                    ++n;
                EXPECT_EQ(n, 2);
            };
            run([&]() -> task<> { co_await with_group(std::ref(body)); });
        }
    }
}
} // namespace
