// What an item can do to the worker process that runs it, and what that costs the others: nothing.
#include "map_runners.hpp"

#include <tenure/core/dump.hpp>
#include <tenure/core/scope.hpp>
#include <tenure/core/sleep.hpp>
#include <tenure/core/this_task.hpp>
#include <tenure/process/errors.hpp>
#include <tenure/process/known_error.hpp>

#include <cstdlib>
#include <pthread.h>
#include <ranges>
#include <thread>

namespace map_runners {
namespace {

/// For an item that does not hang, on a busy machine, too.
constexpr auto enough = 500ms;

/// Items 0 to n - 1, of which some do something else.
std::vector<int> some_act(int n, const std::map<std::size_t, int>& which) {
    std::vector<int> items = first(n);
    for (const auto& [index, what] : which)
        items[index] = what;
    return items;
}

class MapInProcesses : public WorkerProcesses {
protected:
    /// Each item has its outcome, and was begun once.
    void check(std::vector<int> items, const map_options& o,
               const std::map<item_status, std::size_t>& expected) {
        const log_of_calls calls = new_log();
        auto got = all_of(parallel::map_outcomes(rt(), workers(), items, acts{calls.file()}, o));
        ASSERT_EQ(got.size(), items.size());
        if (o.order == order::completion) sort_by_index(got);
        std::map<item_status, std::size_t> counts;
        for (std::size_t i = 0; i < got.size(); ++i) {
            EXPECT_EQ(got[i].index(), i);
            ++counts[got[i].status()];
            if (got[i]) {
                EXPECT_EQ(got[i].value(), 2 * items[i]);
            } else {
                EXPECT_LT(items[i], 0) << i;
            }
        }
        EXPECT_EQ(counts, expected);
        for (const auto& [index, times] : calls.read())
            EXPECT_EQ(times, 1) << index;
    }
};

TEST_F(MapInProcesses, AnItemThatDiesCostsItself) {
    for (const auto by : {order::input, order::completion})
        for (const std::size_t batch : {1u, 2u, 10u, 100u})
            check(some_act(100, {{0, dies}, {41, dies}, {42, leaves}, {99, dies}}),
                  {.batch_size = batch, .order = by},
                  {{item_status::done, 96}, {item_status::worker_died, 4}});
}
TEST_F(MapInProcesses, ItsDeathTellsHow) {
    auto got = all_of(
        parallel::map_outcomes(rt(), workers(), some_act(3, {{1, leaves}}), acts{}, {.batch_size = 3}));
    try {
        (void)got.at(1).value();
        FAIL();
    } catch (const process::worker_died& e) {
        EXPECT_EQ(e.exit_status(), 3);
    }
}
/// Of the program's own.
struct bad_item {
    int item = 0;
    std::string why;
};
const process::known_error<bad_item> bad_item_is_known;
int refuses_odd_ones(int i) {
    if (i % 2 != 0) throw bad_item{i, "odd"};
    return i;
}
TEST_F(MapInProcesses, AnExceptionOfTheProgramsOwnIsThatOfItsItem) {
    auto got =
        all_of(parallel::map_outcomes(rt(), workers(), first(10), fn<&refuses_odd_ones>, {.batch_size = 5}));
    ASSERT_EQ(got.size(), 10u);
    for (int i = 0; i < 10; ++i) {
        const auto& one = got[static_cast<std::size_t>(i)];
        try {
            EXPECT_EQ(one.value(), i);
            EXPECT_EQ(i % 2, 0);
        } catch (const bad_item& e) {
            EXPECT_EQ(e.item, i);
            EXPECT_EQ(e.why, "odd");
        }
    }
}
TEST_F(MapInProcesses, R097_AnItemThatHangsCostsItself) {
    for (const auto by : {order::input, order::completion})
        for (const std::size_t batch : {1u, 7u, 100u})
            check(some_act(100, {{50, stuck}}), {.timeout = enough, .batch_size = batch, .order = by},
                  {{item_status::done, 99}, {item_status::timed_out, 1}});
}
TEST_F(MapInProcesses, MoreThatHangThanThereAreWorkers) {
    check(some_act(60, {{0, stuck}, {1, stuck}, {2, stuck}, {30, stuck}, {59, stuck}}),
          {.timeout = enough, .batch_size = 6}, {{item_status::done, 55}, {item_status::timed_out, 5}});
}
TEST_F(MapInProcesses, ATimeoutNamesItsItem) {
    auto results = parallel::map(rt(), workers(), some_act(20, {{7, stuck}}), acts{},
                                 {.timeout = enough, .batch_size = 20, .name = "squares"});
    for (int i = 0; i < 7; ++i)
        EXPECT_EQ(results.blocking_next(), 2 * i);
    try {
        (void)results.blocking_next();
        FAIL();
    } catch (const timeout_error& e) {
        EXPECT_STREQ(e.what(), "squares: item 7 has taken more than 500 ms");
    }
}
TEST_F(MapInProcesses, TheTimeIsOfEachItemAndNotOfItsBatch) {
    const auto slow = [](int i) {
        ::usleep(10'000);
        return i;
    };
    const auto got =
        all_of(parallel::map_outcomes(rt(), workers(), first(40), slow, {.timeout = 5s, .batch_size = 40}));
    EXPECT_TRUE(std::all_of(got.begin(), got.end(), [](const auto& one) { return bool(one); }));
}
TEST_F(MapInProcesses, AnItemThatHearsOfItsTimeoutKeepsItsWorker) {
    const auto waits = [](int i) {
        if (i == 5)
            for (;;)
                core::this_task::checkpoint();
        return ::getpid();
    };
    process::pool& p = workers({.workers = 1, .grace = 1h});
    auto got =
        all_of(parallel::map_outcomes(rt(), p, first(10), waits, {.timeout = enough, .batch_size = 10}));
    ASSERT_EQ(got.size(), 10u);
    EXPECT_EQ(got[5].status(), item_status::timed_out);
    EXPECT_EQ(got[9].value(), got[0].value());
    EXPECT_EQ(p.status().replaced, 0u);
}
constexpr int exits = -10; // items: what misbehaves() does
constexpr int closes_all = -11;
constexpr int goes_elsewhere = -12;
constexpr int throws_an_int = -13;
int misbehaves(int what) {
    if (what == exits) std::exit(7);
    if (what == closes_all)
        for (int fd = 3; fd < 1024; ++fd)
            ::close(fd);
    if (what == goes_elsewhere && ::chdir("/") != 0) return 0;
    if (what == throws_an_int) throw what;
    return 2 * what;
}
TEST_F(MapInProcesses, AnItemThatMisbehavesCostsItself) {
    const auto items =
        some_act(60, {{5, exits}, {21, closes_all}, {33, goes_elsewhere}, {47, throws_an_int}});
    for (const std::size_t batch : {1u, 10u}) {
        auto got =
            all_of(parallel::map_outcomes(rt(), workers(), items, fn<&misbehaves>, {.batch_size = batch}));
        ASSERT_EQ(got.size(), items.size());
        for (std::size_t i = 0; i < got.size(); ++i) {
            if (i == 5) {
                EXPECT_EQ(got[i].status(), item_status::worker_died);
                try {
                    (void)got[i].value();
                } catch (const process::worker_died& e) {
                    EXPECT_EQ(e.exit_status(), 7);
                }
            } else if (i == 47) {
                EXPECT_EQ(got[i].status(), item_status::failed);
                try {
                    (void)got[i].value();
                } catch (const runner::remote_error& e) {
                    EXPECT_EQ(e.type(), "int");
                }
            } else if (i != 21 || got[i].status() != item_status::worker_died) {
                EXPECT_EQ(got[i].status(), item_status::done) << i << ": " << base::describe(got[i].error());
                if (got[i]) {
                    EXPECT_EQ(got[i].value(), 2 * items[i]);
                }
            }
        }
    }
}
TEST_F(MapInProcesses, AStuckWorkerIsEndedAlthoughNobodyReads) {
    for (const auto by : {order::input, order::completion}) {
        process::pool p(rt(), {.workers = 1, .grace = 20ms});
        auto results =
            parallel::map_outcomes(rt(), p, some_act(200, {{50, stuck}}), acts{},
                                   {.timeout = enough, .batch_size = 10, .pre_dispatch = 1000, .order = by});
        auto until_replaced = [&p]() -> task<> {
            while (p.status().replaced == 0)
                co_await core::sleep_for(1ms);
        };
        auto bounded = [&]() -> task<> { co_await core::with_timeout(20s, until_replaced); };
        rt().block_on(bounded);
        const auto got = all_of(std::move(results));
        EXPECT_EQ(got.size(), 200u);
        for (const auto& one : got)
            EXPECT_EQ(one.status(), one.index() == 50 ? item_status::timed_out : item_status::done)
                << one.index() << ": " << base::describe(one.error());
    }
}
TEST_F(MapInProcesses, AConsumerThatThrowsLeavesNothing) {
    process::pool& p = workers({.workers = 2, .grace = 1h});
    for (const auto by : {order::input, order::completion}) {
        const auto use = [&] {
            for (const int i : parallel::map(rt(), p, std::views::iota(0), fn<&doubled>, {.order = by}))
                if (i > 100) throw std::logic_error("enough");
        };
        EXPECT_THROW(use(), std::logic_error);
        auto until_idle = [&p]() -> task<> {
            for (auto now = p.status(); now.queued + now.published != 0; now = p.status())
                co_await core::sleep_for(1ms);
        };
        auto bounded = [&]() -> task<> { co_await core::with_timeout(20s, until_idle); };
        rt().block_on(bounded);
    }
    EXPECT_EQ(p.status().replaced, 0u);
}
TEST_F(MapInProcesses, RetriesAfterDeaths) {
    const log_of_calls calls = new_log();
    auto got = all_of(parallel::map_outcomes(rt(), workers(), some_act(10, {{4, dies}}), acts{calls.file()},
                                             {.retries = 2, .backoff = {.first = 1ms}, .batch_size = 10}));
    EXPECT_EQ(got.at(4).status(), item_status::worker_died);
    EXPECT_EQ(got.at(4).attempts(), 3u);
    for (const auto& [index, times] : calls.read())
        EXPECT_EQ(times, index == 4 ? 3 : 1) << index;
}
TEST_F(MapInProcesses, WorkersThatAreKilledLoseOneItemEach) {
    const log_of_calls calls = new_log();
    struct slow_acts {
        std::string file;
        int operator()(int i) const {
            ::usleep(1000);
            return acts{file}(i);
        }
    };
    process::pool& p = workers();
    auto results = parallel::map_outcomes(rt(), p, first(400), slow_acts{calls.file()}, {.batch_size = 20});
    std::size_t died = 0, kills = 0, n = 0;
    for (const auto& one : results) {
        died += one.status() == item_status::worker_died;
        ASSERT_TRUE(one || one.status() == item_status::worker_died);
        if (++n % 100 != 0) continue;
        for (const pid_t pid : p.status().workers) {
            ASSERT_GT(pid, 0);
            kills += ::kill(pid, SIGKILL) == 0;
        }
    }
    EXPECT_EQ(n, 400u);
    EXPECT_LE(died, kills);
    for (const auto& [index, times] : calls.read())
        EXPECT_EQ(times, 1) << index;
}
TEST_F(MapInProcesses, DroppingItEndsWhatRuns) {
    const log_of_calls calls = new_log();
    {
        auto results = parallel::map(rt(), workers(), some_act(100, {{10, stuck}, {11, stuck}}),
                                     acts{calls.file()}, {.batch_size = 1, .order = order::completion});
        EXPECT_TRUE(results.blocking_next().has_value());
        for (auto begun = calls.read(); !begun.contains(10) || !begun.contains(11); begun = calls.read())
            std::this_thread::yield();
    }
    EXPECT_EQ(all_of(parallel::map(rt(), workers(), first(4), fn<&doubled>)), (std::vector<int>{0, 2, 4, 6}));
}
TEST_F(MapInProcesses, ADeadlineEndsIt) {
    auto results = parallel::map(rt(), workers(), std::vector<int>(50, stuck), acts{}, {.deadline = 50ms});
    EXPECT_THROW((void)results.blocking_next(), timeout_error);
}
TEST_F(MapInProcesses, AnItemThatCannotBeSentIsItsOwnFailure) {
    process::pool& p = workers({.workers = 2, .max_message = 4096});
    std::vector<std::string> items(20, std::string(100, 'x'));
    items[0] = items[7] = std::string(5000, 'y');
    items[9] = std::string(100'000, 'z'); // the message moves to memory of the pool, and is short again
    const auto length = [](const std::string& s) { return s.size(); };
    auto got = all_of(parallel::map_outcomes(rt(), p, items, length, {.batch_size = 20}));
    ASSERT_EQ(got.size(), 20u);
    for (std::size_t i = 0; i < 20; ++i) {
        if (i == 0 || i == 7 || i == 9)
            EXPECT_THROW((void)got[i].value(), base::usage_error);
        else
            EXPECT_EQ(got[i].value(), 100u);
    }
}
TEST_F(MapInProcesses, AResultThatIsTooLongIsItsOwnFailure) {
    process::pool& p = workers({.workers = 1, .max_message = 4096});
    const auto text = [](int n) { return std::string(static_cast<std::size_t>(n), 'x'); };
    const std::vector<int> sizes{10, 100'000, 4000, 4000, 4000, 0, 9000, 1};
    auto got = all_of(parallel::map_outcomes(rt(), p, sizes, text, {.batch_size = 8}));
    ASSERT_EQ(got.size(), sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] > 4096)
            EXPECT_THROW((void)got[i].value(), std::length_error);
        else
            EXPECT_EQ(got[i].value().size(), static_cast<std::size_t>(sizes[i]));
    }
}
TEST_F(MapInProcesses, ResultsThatFillTheSharedMemoryAgainAndAgain) {
    process::pool& p = workers({.workers = 2, .max_message = 1 << 20});
    const auto text = [](int n) { return std::string(static_cast<std::size_t>(n), 'x'); };
    std::vector<int> sizes;
    for (int i = 0; i < 200; ++i)
        sizes.push_back(i * 1000);
    std::size_t i = 0;
    for (const std::string& s : parallel::map(rt(), p, sizes, text, {.batch_size = 16}))
        ASSERT_EQ(s.size(), static_cast<std::size_t>(sizes[i++]));
    EXPECT_EQ(i, sizes.size());
}
TEST_F(MapInProcesses, APoolThatIsClosedFailsTheItems) {
    process::pool& p = workers();
    p.close();
    auto got = all_of(parallel::map_outcomes(rt(), p, first(100), fn<&doubled>));
    ASSERT_EQ(got.size(), 100u);
    for (const auto& one : got)
        EXPECT_THROW((void)one.value(), base::closed_error);
}
TEST_F(MapInProcesses, APoolMayBeDestroyedBeforeTheMapIsOver) {
    for (int i = 0; i < 20; ++i) {
        process::pool p(rt(), {.workers = 2, .grace = 20ms});
        auto dropped = parallel::map(rt(), p, std::views::iota(0), fn<&doubled>, {.pre_dispatch = 64});
        EXPECT_EQ(dropped.blocking_next(), 0);
    }
    auto p = std::make_unique<process::pool>(rt(), process::pool_options{.workers = 1});
    auto results = parallel::map_outcomes(rt(), *p, first(10'000), acts{}, {.pre_dispatch = 64});
    EXPECT_EQ(results.blocking_next()->value(), 0);
    p.reset();
    std::size_t n = 1;
    for (const auto& one : results) {
        EXPECT_EQ(one.index(), n++);
        if (!one) {
            EXPECT_THROW((void)one.value(), base::closed_error);
        }
    }
    EXPECT_EQ(n, 10'000u);
}
TEST_F(MapInProcesses, AWorkerThatIsGivenUpIsEndedThoughNothingElseIsToBeDone) {
    process::pool& p = workers({.workers = 1, .grace = 20ms});
    const pid_t pid = all_of(parallel::map(rt(), p, first(1), [](int) { return ::getpid(); })).at(0);
    ASSERT_GT(pid, 0);
    auto got = all_of(parallel::map_outcomes(rt(), p, std::vector<int>{stuck}, acts{}, {.timeout = 100ms}));
    EXPECT_EQ(got.at(0).status(), item_status::timed_out);
    auto until_gone = [pid]() -> task<> {
        while (::kill(pid, 0) == 0)
            co_await core::sleep_for(1ms);
    };
    auto bounded = [&]() -> task<> { co_await core::with_timeout(20s, until_gone); };
    rt().block_on(bounded);
}
TEST_F(MapInProcesses, R008_TheTreeOfTasksShowsWhichItemAWorkerRuns) {
    process::pool& p = workers({.workers = 1, .grace = 20ms});
    auto results = parallel::map_outcomes(rt(), p, some_act(10, {{6, stuck}}), acts{}, {.batch_size = 10});
    core::tree_entry runs;
    while (runs.part != 6) {
        std::this_thread::yield();
        for (core::tree_entry& e : rt().dump().entries)
            if (e.kind == core::tree_entry::kind_of::call) runs = std::move(e);
    }
    EXPECT_EQ(runs.parts, 10u);
    EXPECT_EQ(runs.doing, core::task_activity::running);
    p.close();
    EXPECT_EQ(all_of(std::move(results)).size(), 10u);
}
TEST_F(MapInProcesses, AWorkerHasMoreCallsAtOnceIfTheyAreSmall) {
    for (const auto& [batch, expected] : {std::pair<std::size_t, long>{1, 32}, {15, 32}, {16, 16}}) {
        process::pool p(rt(), {.workers = 1, .grace = 20ms});
        const std::vector<int> items(1000, stuck);
        auto results = parallel::map_outcomes(rt(), p, items, acts{}, {.batch_size = batch});
        const auto calls = [this] {
            return std::ranges::count(rt().dump().entries, core::tree_entry::kind_of::call,
                                      &core::tree_entry::kind);
        };
        while (calls() < expected)
            std::this_thread::yield();
        EXPECT_EQ(calls(), expected) << batch; // all of its jobs have one now
        p.close();
        EXPECT_EQ(all_of(std::move(results)).size(), items.size());
    }
}
TEST_F(MapInProcesses, WorkersThatLeaveAfterTheirTimeCostNoOtherItems) {
    process::pool& p = workers({.workers = 1, .grace = 5s});
    const auto leaves_late = [](int i) {
        if (i >= 5) return i;
        ::usleep(300'000);
        ::_exit(1);
    };
    auto got = all_of(parallel::map_outcomes(rt(), p, first(8), leaves_late, {.timeout = 100ms}));
    ASSERT_EQ(got.size(), 8u);
    for (std::size_t i = 0; i < 8; ++i)
        EXPECT_EQ(got[i].status(), i < 5 ? item_status::timed_out : item_status::done)
            << i << ": " << base::describe(got[i].error());
}

constexpr const char* asks_to_stop = "TENURE_TEST_STOPS_AFTER_FORK";
/// In a supervisor: it stops when it has forked a worker, before it has said so.
[[maybe_unused]] const bool stops_after_fork =
    ::getenv(asks_to_stop) && ::pthread_atfork(nullptr, [] { (void)::raise(SIGSTOP); }, nullptr) == 0;

TEST_F(MapInProcesses, AWorkerThatTheSupervisorHasNotToldOfYetCostsNoResult) {
    ASSERT_EQ(::setenv(asks_to_stop, "1", 1), 0);
    process::pool& p = workers({.workers = 1, .grace = 20ms});
    ::unsetenv(asks_to_stop);
    auto got = all_of(parallel::map_outcomes(rt(), p, std::vector<int>{1, 2, stuck}, acts{},
                                             {.timeout = 200ms, .batch_size = 3}));
    ASSERT_EQ(got.size(), 3u);
    EXPECT_EQ(p.status().workers, std::vector<pid_t>()); // nobody has told of it still
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_EQ(got[i].status(), i < 2 ? item_status::done : item_status::timed_out)
            << i << ": " << base::describe(got[i].error());
    const pid_t supervisor = p.status().supervisor;
    ASSERT_GT(supervisor, 1);
    ASSERT_EQ(::kill(supervisor, SIGCONT), 0);
}
TEST_F(MapInProcesses, APoolThatIsClosedInTheMiddleOfABatchLosesNoResult) {
    const log_of_calls calls = new_log();
    struct slow {
        std::string file;
        int operator()(int i) const {
            ::usleep(2000);
            return acts{file}(i);
        }
    };
    process::pool& p = workers({.workers = 1});
    auto results = parallel::map_outcomes(rt(), p, first(200), slow{calls.file()}, {.batch_size = 100});
    while (calls.read().size() < 20)
        ::usleep(1000);
    p.close();
    auto got = all_of(std::move(results));
    ASSERT_EQ(got.size(), 200u);
    const auto began = calls.read();
    std::size_t done = 0;
    for (const auto& one : got) {
        if (one)
            ++done;
        else
            EXPECT_THROW((void)one.value(), base::closed_error);
    }
    EXPECT_GE(done + 1, began.size()); // but for the one that was running
}
TEST(MapHere, ADroppedMapReadsNoMoreOfASlowRange) {
    runtime rt({.threads = 2});
    std::atomic<int> read{0};
    auto slow = std::views::iota(0) | std::views::transform([&read](int i) {
                    ++read;
                    ::usleep(1000);
                    return i;
                });
    {
        auto results = parallel::map(rt, slow, doubled, {.pre_dispatch = 100'000});
        for (int i = 0; i < 10; ++i)
            EXPECT_EQ(results.blocking_next(), 2 * i);
    }
    EXPECT_TRUE(rt.close().abandoned.empty());
    EXPECT_LT(read, 5000); // 20 or so, and not all that there is room for
}
TEST_F(MapInProcesses, AWorkerMayMapInProcessesOfItsOwn) {
    const auto sums = [](int n) {
        runtime inner(on_epoll(1));
        process::pool p(inner, {.workers = 1});
        int sum = 0;
        for (const int i : parallel::map(inner, p, first(n), fn<&doubled>))
            sum += i;
        return sum;
    };
    EXPECT_EQ(all_of(parallel::map(rt(), workers(), std::vector<int>{3, 10}, sums)),
              (std::vector<int>{6, 90}));
}
TEST_F(MapInProcesses, FewerJobsThanWorkers) {
    const auto who = [](int) {
        ::usleep(1000);
        return ::getpid();
    };
    const auto pids =
        all_of(parallel::map(rt(), workers({.workers = 3}), first(30), who, {.jobs = 1, .batch_size = 1}));
    EXPECT_EQ(pids.size(), 30u);
}
TEST_F(MapInProcesses, ProgressCountsThem) {
    parallel::map_progress last;
    auto o = map_options{.batch_size = 5, .progress = [&](const parallel::map_progress& p) { last = p; }};
    (void)all_of(parallel::map_outcomes(rt(), workers(), some_act(50, {{7, dies}, {20, fails}}), acts{}, o));
    EXPECT_TRUE(last.last);
    EXPECT_EQ(last.done, 48u);
    EXPECT_EQ(last.failed, 2u);
}

} // namespace
} // namespace map_runners
