#include "map_test.hpp"

#include <condition_variable>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <utility>

namespace tenure::inline v0::parallel {
namespace {

std::vector<int> first(int n) {
    std::vector<int> v(static_cast<std::size_t>(n));
    std::iota(v.begin(), v.end(), 0);
    return v;
}
template <class T>
std::vector<T> all_of(core::stream<T> s) {
    std::vector<T> got;
    for (T& v : s)
        got.push_back(std::move(v));
    return got;
}
int doubled(int i) { return 2 * i; }
std::vector<int> first_doubled(int n) {
    auto v = first(n);
    for (int& i : v)
        i = doubled(i);
    return v;
}

// ---- plain functions on threads

TEST(Map, GivesWhatTheFunctionReturnsInTheOrderOfTheItems) {
    runtime rt({.threads = 2});
    EXPECT_EQ(all_of(map(rt, first(1000), doubled)), first_doubled(1000));
}

TEST(Map, GivesNothingForNoItems) {
    runtime rt({.threads = 2});
    EXPECT_TRUE(all_of(map(rt, first(0), doubled)).empty());
}

TEST(Map, InOrderOfCompletionGivesEachOnce) {
    runtime rt({.threads = 2});
    auto got = all_of(map(rt, first(1000), doubled, {.order = order::completion}));
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, first_doubled(1000));
}

TEST(Map, ItemsOfALazyEndlessRangeAreReadAsFarAsTheWindowAllows) {
    runtime rt({.threads = 2});
    std::atomic<int> read{0};
    auto endless = std::views::iota(0) | std::views::transform([&read](int i) {
                       ++read;
                       return i;
                   });
    {
        auto results = map(rt, endless, doubled, {.jobs = 2, .pre_dispatch = 16});
        for (int i = 0; i < 100; ++i)
            EXPECT_EQ(results.blocking_next(), 2 * i);
    }
    rt.close();
    EXPECT_LE(read, 100 + 16 + 8 + 1); // the window, the consumer's buffer, and one on its way
    EXPECT_TRUE(rt.audit().clean());
}

TEST(Map, LargeBatchesLeaveNoJobIdle) {
    static constexpr int batch = 40'000, jobs = 3;
    core::testing::run(1, [](runtime& rt) -> task<> {
        core::event all_began;
        int began = 0;
        const auto f = [&](int i) -> task<int> {
            if (i % batch == 0 && ++began == jobs) all_began.set();
            if (i % batch == 0) co_await all_began.wait();
            co_return i;
        };
        auto results = map(rt, std::views::iota(0, jobs * batch), f, {.jobs = jobs, .batch_size = batch});
        int n = 0;
        while (const auto one = co_await results.next())
            require(*one == n++);
        require(n == jobs * batch);
    });
}

TEST(Map, MoveOnlyItemsAndResults) {
    runtime rt({.threads = 2});
    std::vector<std::unique_ptr<int>> items;
    for (int i = 0; i < 100; ++i)
        items.push_back(std::make_unique<int>(i));
    auto results = map(rt, std::move(items), [](std::unique_ptr<int> p) {
        ++*p;
        return p;
    });
    int expected = 1;
    for (auto& p : results)
        EXPECT_EQ(*p, expected++);
    EXPECT_EQ(expected, 101);
}

TEST(Map, ItsTasksHaveItsNameAndThePlaceOfTheCall) {
    core::testing::run(1, [](runtime& rt) -> task<> {
        auto wait = [](int i) -> task<int> {
            co_await sleep_for(1ms);
            co_return i;
        };
        auto results = map(rt, first(3), wait, {.jobs = 2, .name = "wait"});
        const auto line = base::spawn_site::current().line() - 1;
        co_await results.next();
        const core::task_tree tree = rt.dump();
        const auto named = std::count_if(tree.entries.begin(), tree.entries.end(), [&](const auto& e) {
            return e.task.name == "wait" && e.task.site.line() == line;
        });
        core::testing::require(named >= 2, "the map and a job");
        while (co_await results.next()) {}
    });
}

TEST(Map, AMillionJobsAreNoMoreThanTheItems) {
    core::testing::run(1, [](runtime& rt) -> task<> {
        auto results = map(rt, first(100), doubled, {.jobs = 1'000'000, .pre_dispatch = 10'000'000});
        int n = 0;
        while (co_await results.next())
            ++n;
        core::testing::require(n == 100);
    });
}

TEST(Map, WithoutWorkersInPlainCode) {
    runtime rt({.threads = 0});
    int sum = 0;
    rt.block_on([&]() -> task<> {
        auto results = map(rt, first(100), doubled);
        while (auto v = co_await results.next())
            sum += *v;
    });
    EXPECT_EQ(sum, 9900);
}

// ---- failures

int refuses_seven(int i) {
    if (i == 7) throw std::runtime_error("seven");
    return i;
}

TEST(Map, AFailureIsThrownAfterWhatCameBefore) {
    runtime rt({.threads = 2});
    auto results = map(rt, first(1000), refuses_seven, {.jobs = 1, .batch_size = 1});
    for (int i = 0; i < 7; ++i)
        EXPECT_EQ(results.blocking_next(), i);
    EXPECT_THROW(results.blocking_next(), std::runtime_error);
    EXPECT_EQ(results.blocking_next(), std::nullopt);
}

TEST(Map, WithKeepGoingAFailureIsThrownAtTheEnd) {
    runtime rt({.threads = 2});
    auto results = map(rt, first(100), refuses_seven, {.keep_going = true});
    for (int i = 0; i < 100; ++i)
        if (i != 7) {
            EXPECT_EQ(results.blocking_next(), i);
        }
    EXPECT_THROW(results.blocking_next(), std::runtime_error);
}

TEST(Map, SeveralFailuresAreOneGroupError) {
    runtime rt({.threads = 2});
    auto results = map(rt, first(10), [](int i) -> int { throw i; }, {.keep_going = true});
    try {
        results.blocking_next();
        FAIL();
    } catch (const base::group_error& e) {
        EXPECT_EQ(e.errors().size(), 10u);
    }
}

TEST(MapOutcomes, TellsOfEachItemHowItEnded) {
    runtime rt({.threads = 2});
    std::size_t seen = 0;
    for (auto& one : map_outcomes(rt, first(100), refuses_seven)) {
        EXPECT_EQ(one.index(), seen);
        EXPECT_EQ(one.status(), seen == 7 ? item_status::failed : item_status::done);
        if (one) {
            EXPECT_EQ(one.value(), static_cast<int>(seen));
        }
        ++seen;
    }
    EXPECT_EQ(seen, 100u);
}

TEST(MapOutcomes, OfAFunctionThatReturnsNothing) {
    runtime rt({.threads = 2});
    std::atomic<int> sum{0};
    for (auto& one : map_outcomes(rt, first(100), [&](int i) { sum += i; }))
        EXPECT_TRUE(one);
    EXPECT_EQ(sum, 99 * 50);
}

/// Gives 0, 1, 2 and throws.
struct short_of_paper {
    struct iterator {
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        int at = 0;
        int operator*() const { return at; }
        iterator& operator++() {
            if (++at == 3) throw std::runtime_error("no paper");
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator&, std::default_sentinel_t) { return false; }
    };
    iterator begin() const { return {}; }
    std::default_sentinel_t end() const { return {}; }
};

TEST(Map, ItemsThatCannotBeReadFailItAfterTheResultsOfThoseBefore) {
    runtime rt({.threads = 2});
    auto results = map(rt, short_of_paper(), doubled);
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(results.blocking_next(), 2 * i);
    EXPECT_THROW(results.blocking_next(), std::runtime_error);
    auto outcomes = map_outcomes(rt, short_of_paper(), doubled);
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(outcomes.blocking_next());
    EXPECT_THROW(outcomes.blocking_next(), std::runtime_error);
}

TEST(Map, OptionsThatCannotBeMeantAreRefused) {
    runtime rt({.threads = 2});
    const auto with = [&](map_options o) { (void)map(rt, first(1), doubled, std::move(o)); };
    EXPECT_THROW(with({.jobs = 0}), base::usage_error);
    EXPECT_THROW(with({.timeout = -1s}), base::usage_error);
    EXPECT_THROW(with({.deadline = -1s}), base::usage_error);
    EXPECT_THROW(with({.batch_size = 0}), base::usage_error);
    EXPECT_THROW(with({.pre_dispatch = 0}), base::usage_error);
    EXPECT_THROW(with({.pre_dispatch = std::size_t(-1)}), base::usage_error);
}

/// Cannot be moved the third time.
struct fragile {
    int moves = 0;
    fragile() = default;
    // NOLINTNEXTLINE(performance-noexcept-move-constructor): it throws
    fragile(fragile&& o) : moves(o.moves + 1) {
        if (moves == 3) throw std::runtime_error("broken");
    }
    fragile& operator=(fragile&&) = delete;
};

TEST(MapOutcomes, WhatIsThrownBeforeTheCallIsTheItemsFailure) {
    runtime rt({.threads = 2});
    const auto fail = [](int i) -> task<int> {
        if (i % 2 == 0) throw std::runtime_error("no coroutine yet"); // a plain function that returns a task
        return [](int n) -> task<int> { co_return n; }(i);
    };
    std::size_t n = 0;
    for (auto& one : map_outcomes(rt, first(100), fail, {.timeout = 10s})) {
        EXPECT_EQ(one.status(), n % 2 == 0 ? item_status::failed : item_status::done);
        ++n;
    }
    EXPECT_EQ(n, 100u);

    std::size_t failed = 0;
    const auto use = [](fragile f) { return f.moves; };
    try {
        for (auto& one : map_outcomes(rt, std::vector<fragile>(10), use))
            failed += one.status() == item_status::failed;
        EXPECT_GT(failed, 0u);
    } catch (const std::runtime_error&) { // they broke when they were read
    }
}

// ---- time

/// What hangs until the test is over.
class hang {
public:
    ~hang() { release(); }
    void release() {
        std::lock_guard l(m_);
        over_ = true;
        cv_.notify_all();
    }
    void operator()() {
        std::unique_lock l(m_);
        cv_.wait(l, [this] { return over_; });
    }

private:
    std::mutex m_;
    std::condition_variable cv_;
    bool over_ = false;
};

void expect_one_timed_out(core::stream<item_outcome<int>> results, int items, int stuck) {
    int timed_out = 0;
    std::set<std::size_t> seen;
    for (auto& one : results) {
        EXPECT_TRUE(seen.insert(one.index()).second);
        if (one.status() == item_status::timed_out) {
            ++timed_out;
            EXPECT_EQ(one.index(), static_cast<std::size_t>(stuck));
            EXPECT_THROW((void)one.value(), base::timeout_error);
        } else {
            EXPECT_EQ(one.value(), static_cast<int>(one.index()) * 2);
        }
    }
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(items));
    EXPECT_EQ(timed_out, 1);
}

TEST(MapOutcomes, R097_AStuckFunctionCostsOneItem) {
    for (const order by : {order::input, order::completion})
        for (const unsigned threads : {1u, 2u}) {
            hang stuck;
            runtime rt({.threads = threads});
            auto f = [&](int i) {
                if (i == 300) stuck();
                return 2 * i;
            };
            expect_one_timed_out(map_outcomes(rt, first(1000), f, {.jobs = 2, .timeout = 50ms, .order = by}),
                                 1000, 300);
            stuck.release();
            rt.close();
            EXPECT_TRUE(rt.audit().clean());
        }
}

TEST(Map, R097_AStuckFunctionIsToldOnTimeAlthoughAllWorkersAreStuck) {
    hang stuck;
    runtime rt({.threads = 2});
    auto f = [&](int) -> int {
        stuck();
        return 0;
    };
    for (const order by : {order::input, order::completion}) {
        auto results = map(rt, first(1000), f, {.jobs = 2, .timeout = 20ms, .order = by});
        EXPECT_THROW(results.blocking_next(), base::timeout_error);
    }
    auto results = map(rt, first(1000), f, {.jobs = 2, .deadline = 20ms});
    EXPECT_THROW(results.blocking_next(), base::timeout_error);
    stuck.release();
}

TEST(MapOutcomes, AFunctionThatIgnoresItsTimeIsNamedUntilItReturns) {
    const auto careless = [](const core::task_tree& tree) {
        return std::ranges::count_if(tree.entries, [](const auto& e) { return e.task.name == "careless"; });
    };
    for (const bool in_time : {true, false}) {
        const auto stuck = std::make_shared<hang>(); // its thread may outlive the runtime
        runtime rt({.threads = 2});
        const auto f = [stuck](int) { (*stuck)(); };
        for (auto& one : map_outcomes(rt, first(1), f, {.timeout = 10ms, .name = "careless"}))
            EXPECT_EQ(one.status(), item_status::timed_out);
        EXPECT_GT(careless(rt.dump()), 0);
        EXPECT_GT(rt.audit().tasks, 0u);
        if (in_time) stuck->release();
        const auto report = in_time ? rt.close() : rt.close({.drain = 1ms, .grace = 1ms, .workers = 1ms});
        EXPECT_EQ(report.abandoned.empty(), in_time);
        const auto is_it = [](const auto& one) { return one.name == "careless"; };
        EXPECT_EQ(std::ranges::any_of(report.abandoned, is_it), !in_time); // its watch may be there, too
        stuck->release();
        while (!rt.audit().clean())
            std::this_thread::yield();
        EXPECT_EQ(careless(rt.dump()), 0);
    }
}

TEST(MapOutcomes, R097_AStuckCoroutineCostsOneItem) {
    core::testing::explore(100, [](runtime& rt) -> task<> {
        auto f = [](int i) -> task<int> {
            co_await sleep_for(i == 30 ? std::chrono::hours(1) : std::chrono::milliseconds(i % 7));
            co_return 2 * i;
        };
        const auto began = rt.now();
        auto results = map_outcomes(rt, first(100), f, {.jobs = 3, .timeout = 1s});
        std::size_t expected = 0;
        while (auto one = co_await results.next()) {
            core::testing::require(one->index() == expected++);
            core::testing::require(one->status() ==
                                   (one->index() == 30 ? item_status::timed_out : item_status::done));
        }
        core::testing::require(expected == 100);
        core::testing::require(rt.now() - began < 1100ms, "one stuck item holds nothing up but its own time");
    });
}

TEST(Map, DeadlineOfTheWholeCall) {
    core::testing::explore(20, [](runtime& rt) -> task<> {
        auto f = [](int i) -> task<int> {
            co_await sleep_for(i < 10 ? 1ms : std::chrono::hours(1));
            co_return i;
        };
        auto results = map(rt, first(100), f, {.jobs = 10, .deadline = 1s});
        int n = 0;
        try {
            while (co_await results.next())
                ++n;
            core::testing::require(false);
        } catch (const base::timeout_error&) {
            core::testing::require(n == 10);
        }
    });
}

// ---- owners

TEST(Map, DroppedInTheMiddleLeavesNothing) {
    core::testing::explore(50, []() -> task<> {
        int live = 0, most = 0;
        auto f = [&](int i) -> task<int> {
            struct counted {
                int& n;
                ~counted() { --n; }
            } const here{live};
            most = std::max(most, ++live);
            co_await sleep_for(std::chrono::milliseconds(i % 5 + 1));
            co_return i;
        };
        auto use = [&](core::group g) -> task<> {
            auto results = map(g, std::views::iota(0), f, {.jobs = 4});
            for (int i = 0; i < 3; ++i)
                core::testing::require(co_await results.next() == i);
        };
        co_await core::with_group(std::ref(use));
        core::testing::require(live == 0, "the group has waited for all that ran");
        core::testing::require(most == 4, "four at once");
    });
}

TEST(Map, AConsumerThatThrowsLeavesNothing) {
    for (const order by : {order::input, order::completion}) {
        std::atomic<int> told{0};
        runtime rt({.threads = 2, .on_unread_failure = [&](const auto&) { ++told; }});
        std::atomic<int> running{0};
        const auto f = [&](int i) {
            ++running;
            std::this_thread::yield();
            --running;
            return i;
        };
        const auto here = [&] {
            for (const int i : map(rt, std::views::iota(0), f, {.order = by}))
                if (i > 100) throw std::logic_error("enough");
        };
        EXPECT_THROW(here(), std::logic_error);
        const auto in_a_task = [&]() -> task<> {
            auto results = map(rt, std::views::iota(0), f, {.order = by});
            while (const auto i = co_await results.next())
                if (*i > 100) throw std::logic_error("enough");
        };
        EXPECT_THROW(rt.block_on(in_a_task), std::logic_error);
        EXPECT_TRUE(rt.close().abandoned.empty());
        EXPECT_TRUE(rt.audit().clean());
        EXPECT_EQ(running, 0);
        EXPECT_EQ(told, 0) << "nobody was to read what became of it";
    }
}

class batch_of_nothing final : public detail::batch {
public:
    batch_of_nothing() noexcept : batch(0) {}
    std::size_t count() const noexcept override { return 0; }
    void time_out(std::size_t, std::exception_ptr) override {}
    std::shared_ptr<batch> again(std::size_t) override { return nullptr; }
    void count_results(map_progress&) const noexcept override {}
};
TEST(BatchList, AMillionEndWithoutRecursion) { // as when a map with a large window is dropped
    detail::batch_list list;
    for (int i = 0; i < 1'000'000; ++i)
        list.push_back(std::make_shared<batch_of_nothing>());
}
TEST(BatchList, GivesTheFirstOne) {
    detail::batch_list list;
    EXPECT_EQ(list.pop_front(), nullptr);
    const auto a = std::make_shared<batch_of_nothing>();
    const auto b = std::make_shared<batch_of_nothing>();
    const auto c = std::make_shared<batch_of_nothing>();
    list.push_front(b);
    list.push_back(c);
    list.push_front(a);
    EXPECT_EQ(list.pop_front(), a);
    EXPECT_EQ(list.pop_front(), b);
    EXPECT_EQ(list.pop_front(), c);
    EXPECT_EQ(list.pop_front(), nullptr);
    list.push_back(a);
    EXPECT_EQ(list.pop_front(), a);
}
TEST(Map, CancelledAtEveryPointLeavesNothing) {
    const auto points = core::testing::cancel_at_every_point([]() -> task<> {
        auto use = [](core::group g) -> task<> {
            auto f = [](int i) -> task<int> {
                co_await sleep_for(1ms);
                co_return i;
            };
            auto results = map(g, first(6), f, {.jobs = 2, .timeout = 1s});
            while (co_await results.next()) {}
        };
        co_await core::with_group(std::ref(use));
    });
    EXPECT_GT(points, 20u);
}

TEST(Map, ItsReaderIsNotWokenForEachItem) {
    core::testing::explore(20, [](runtime& rt) -> task<> {
        constexpr int items = 1000;
        int taken = 0, last_read_at = -1, times = 0; // how often it went on after results had been taken
        auto seen = std::views::iota(0, items) | std::views::transform([&](int i) {
                        times += std::exchange(last_read_at, taken) != taken;
                        return i;
                    });
        auto results =
            map(rt, std::move(seen), doubled, {.jobs = 1, .batch_size = 1, .pre_dispatch = std::size_t{100}});
        while (co_await results.next()) {
            ++taken;
            co_await sleep_for(1ms); // everybody else does what can be done
        }
        core::testing::require(taken == items);
        core::testing::require(times <= 60, "a quarter of the window at once, and not one by one");
    });
}
TEST(Map, AStreamOfItems) {
    core::testing::explore(50, [](runtime& rt) -> task<> {
        auto numbers = [](core::sink<int> out) -> task<> {
            for (int i = 0; i < 20; ++i) {
                co_await sleep_for(1ms);
                co_await out.send(i);
            }
        };
        auto results = map(rt, core::spawn_stream(rt, numbers), doubled, {.jobs = 2, .batch_size = 1});
        int expected = 0;
        while (auto v = co_await results.next())
            core::testing::require(*v == 2 * expected++);
        core::testing::require(expected == 20);
    });
}
TEST(Map, ItemsThatHaveComeDoNotWaitForThoseThatHaveNot) {
    core::testing::explore(50, [](runtime& rt) -> task<> {
        constexpr int burst = 500; // by then a batch has many
        bool more_came = false;
        auto numbers = [&](core::sink<int> out) -> task<> {
            for (int i = 0; i < burst; ++i)
                co_await out.send(i);
            co_await sleep_for(std::chrono::hours(1));
            more_came = true;
            co_await out.send(burst);
        };
        auto results = map(rt, core::spawn_stream(rt, numbers), doubled, {.jobs = 2});
        for (int i = 0; i < burst; ++i)
            core::testing::require(co_await results.next() == 2 * i);
        core::testing::require(!more_came, "every result of the burst came before the next item");
        core::testing::require(co_await results.next() == 2 * burst);
        core::testing::require(!co_await results.next());
    });
}

TEST(Map, InsideAMapEndsWithAnyNumberOfWorkers) {
    for (const unsigned threads : {1u, 2u}) {
        runtime rt({.threads = threads});
        auto row = [&rt](int n) {
            int sum = 0;
            for (const int v : all_of(map(rt, first(n), doubled, {.jobs = 2})))
                sum += v;
            return sum;
        };
        const auto sums = all_of(map(rt, first(50), row, {.jobs = 2}));
        for (int n = 0; n < 50; ++n)
            EXPECT_EQ(sums[static_cast<std::size_t>(n)], n * (n - 1));
    }
}

TEST(Map, InAGroupThatRunsOneTaskAtATime) {
    runtime rt({.threads = 2});
    auto use = [](core::group g) -> task<> {
        auto results = map(g, first(100), doubled, {.jobs = 4});
        int expected = 0;
        while (auto v = co_await results.next())
            EXPECT_EQ(*v, 2 * expected++);
        EXPECT_EQ(expected, 100);
    };
    rt.block_on([&]() -> task<> {
        co_await core::with_group(core::group_options().max_concurrency(1), std::ref(use));
    });
}

} // namespace
} // namespace tenure::inline v0::parallel
