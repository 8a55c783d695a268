#include "map_test.hpp"

#include <array>
#include <atomic>

namespace tenure::inline v0::parallel {
namespace {

auto numbers(int n) { return std::views::iota(0, n); }

TEST(Progress, IsToldAgainAndAgainAndOnceInTheEnd) {
    core::testing::explore(20, [](runtime& rt) -> task<> {
        const auto began = rt.now();
        std::vector<map_progress> told;
        auto f = [](int i) -> task<int> {
            co_await sleep_for(10ms);
            co_return i;
        };
        map_options o{.jobs = 2, .batch_size = 1};
        o.progress = [&](const map_progress& p) {
            require(p.last || rt.now() - began == static_cast<long>(told.size() + 1) * 100ms);
            told.push_back(p);
        };
        auto results = map(rt, numbers(105), f, o);
        while (co_await results.next()) {}
        require(told.size() == 6, "in 530 ms, each 100 ms, and in the end");
        for (std::size_t i = 0; i < 5; ++i) {
            require(told[i].running == 2 || told[i].done % 2 == 0,
                    "the two end and begin at the same moment");
            require(told[i].done >= 20 * i + 18 && told[i].done <= 20 * i + 20);
            require(told[i].total == 105u && !told[i].last);
        }
        require(told.back().last && told.back().done == 105 && told.back().running == 0);
    });
}

TEST(Progress, CountsHowItemsEnded) {
    core::testing::explore(20, [](runtime& rt) -> task<> {
        map_progress last;
        std::vector<int> tries(40);
        auto f = [&tries](int i) -> task<int> {
            const int n = ++tries[static_cast<std::size_t>(i)];
            co_await sleep_for(i % 10 == 1 ? std::chrono::hours(1) : 1ms);
            if (i % 10 == 2 || (i % 10 == 3 && n == 1)) throw std::runtime_error("bad");
            co_return i;
        };
        map_options o{.jobs = 3, .timeout = 1s, .retries = 1};
        o.progress = [&last](const map_progress& p) { last = p; };
        auto results = map_outcomes(rt, numbers(40), f, o);
        while (co_await results.next()) {}
        require(last.last && last.done == 32 && last.failed == 4 && last.timed_out == 4 && last.retries == 8);
        require(last.ended() == 40 && last.total == 40u && last.running == 0);
    });
}

TEST(Progress, NobodyKnowsHowManyItemsAStreamHas) {
    core::testing::run(1, [](runtime& rt) -> task<> {
        map_progress last;
        auto items = [](core::sink<int> out) -> task<> {
            for (int i = 0; i < 3; ++i)
                co_await out.send(i);
        };
        map_options o{};
        o.progress = [&last](const map_progress& p) { last = p; };
        auto results = map(rt, core::spawn_stream(rt, items), [](int i) { return i; }, o);
        while (co_await results.next()) {}
        require(last.last && last.done == 3 && !last.total);
    });
}

TEST(Progress, WhatItThrowsEndsTheMap) {
    core::testing::explore(20, [](runtime& rt) -> task<> {
        for (const bool in_the_end : {false, true}) {
            int calls = 0;
            auto f = [](int i) -> task<int> {
                co_await sleep_for(1ms);
                co_return i;
            };
            map_options o{.jobs = 1, .keep_going = true};
            o.progress = [&](const map_progress& p) {
                if (p.last != in_the_end) return;
                ++calls;
                throw std::runtime_error("no paper");
            };
            auto results = map_outcomes(rt, numbers(1000), f, o);
            std::size_t n = 0;
            try {
                while (co_await results.next())
                    ++n;
                require(false);
            } catch (const std::runtime_error& e) {
                require(e.what() == std::string("no paper"));
            }
            require(calls == 1 && (n == 1000) == in_the_end);
        }
    });
}

TEST(Progress, AMapThatFailsTellsOfItsEnd) {
    core::testing::explore(20, [](runtime& rt) -> task<> {
        bool last = false;
        map_options o{.jobs = 2, .batch_size = 1};
        o.progress = [&](const map_progress& p) {
            require(!last, "nothing after the end");
            last = p.last;
            require(p.failed == 1);
        };
        auto f = [](int i) -> task<int> {
            co_await sleep_for(1ms);
            if (i == 3) throw std::logic_error("three");
            co_return i;
        };
        auto results = map(rt, numbers(1000), f, o);
        try {
            while (co_await results.next()) {}
            require(false);
        } catch (const std::logic_error&) {
            require(last);
        }
    });
}

TEST(Progress, OfAMapThatIsDroppedNothingIsTold) {
    core::testing::explore(50, [](runtime& rt) -> task<> {
        auto told = std::make_shared<int>(0);
        const auto use = [&](core::group g) -> task<> {
            map_options o{};
            o.progress = [told](const map_progress& p) {
                require(!p.last);
                ++*told;
            };
            auto f = [](int i) -> task<int> {
                co_await sleep_for(1ms);
                co_return i;
            };
            auto results = map(g, std::views::iota(0), f, o);
            co_await sleep_for(250ms);
            (void)co_await results.next();
        };
        co_await core::with_group(std::ref(use));
        require(*told == 2);
        co_await sleep_for(1h);
        require(*told == 2 && told.use_count() == 1, "the callback is gone with the map");
        (void)rt;
    });
}

TEST(Progress, CancelledAtEveryPointLeavesNothing) {
    const auto points = core::testing::cancel_at_every_point([]() -> task<> {
        auto use = [](core::group g) -> task<> {
            auto f = [](int i) -> task<int> {
                co_await sleep_for(1ms);
                co_return i;
            };
            map_options o{.jobs = 2};
            o.progress = [](const map_progress&) {};
            o.progress_every = 1ms;
            auto results = map(g, numbers(6), f, o);
            while (co_await results.next()) {}
        };
        co_await core::with_group(std::ref(use));
    });
    EXPECT_GT(points, 20u);
}

TEST(Progress, OnThreadsOneCallAtATime) {
    runtime rt({.threads = 2});
    std::atomic<int> inside{0};
    std::size_t ended = 0;
    bool last = false;
    map_options o{.timeout = 1h, .retries = 1, .backoff = {.first = 1us}, .order = order::completion};
    o.progress = [&](const map_progress& p) {
        EXPECT_EQ(++inside, 1);
        EXPECT_FALSE(last);
        EXPECT_GE(p.ended(), ended);
        ended = p.ended();
        last = p.last;
        --inside;
    };
    o.progress_every = 50us;
    auto f = [](int i) {
        if (i % 1000 == 0) throw i;
        return i;
    };
    for (auto& one : map_outcomes(rt, numbers(100'000), f, o))
        EXPECT_EQ(one.status() == item_status::failed, one.index() % 1000 == 0);
    EXPECT_TRUE(last);
    EXPECT_EQ(ended, 100'000u);
}

TEST(Progress, TimesThatCannotBeMeantAreRefused) {
    runtime rt({.threads = 1});
    for (const auto every : {0ms, -1ms}) {
        map_options o{};
        o.progress_every = every;
        EXPECT_THROW((void)map(rt, numbers(1), [](int i) { return i; }, o), base::usage_error);
    }
}

TEST(Progress, AsText) {
    EXPECT_EQ(to_string(map_progress{}), "0");
    EXPECT_EQ(
        to_string({.done = 413, .failed = 3, .timed_out = 1, .running = 2, .retries = 5, .total = 1000}),
        "417 of 1000, 3 failed, 1 timed out, 2 running, 5 retries");
}

TEST(ProgressLine, WithoutATerminalIsPrintedOnceInTheEnd) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
    ASSERT_TRUE(file);
    runtime rt({.threads = 1});
    map_options o{.progress = progress_line("numbers", file.get())};
    o.progress_every = 1us;
    for (const int i : map(rt, numbers(1000), [](int i) { return i; }, o))
        EXPECT_GE(i, 0);
    EXPECT_EQ(std::fseek(file.get(), 0, SEEK_SET), 0);
    std::array<char, 100> text{};
    text[std::fread(text.data(), 1, text.size() - 1, file.get())] = 0;
    EXPECT_STREQ(text.data(), "numbers: 1000 of 1000\n");
}

} // namespace
} // namespace tenure::inline v0::parallel
