#include "pool_test.hpp"

#include <tenure/core/observe.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <numeric>
#include <random>
#include <sched.h>
#include <stdexcept>
#include <sys/resource.h>
#include <thread>

namespace process_test {
namespace {

void nothing() {}
std::vector<int> doubled(std::vector<int> v) {
    for (int& i : v)
        i *= 2;
    return v;
}
int throws_out_of_range(const std::string& what) { throw std::out_of_range(what); }

struct scaled {
    double by;
    double operator()(double x) const { return by * x; }
};

TEST_P(Pools, RunsFunctionsLambdasAndFunctionObjectsInAnotherProcess) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        EXPECT_EQ(co_await p.call(fn<&add>, 2, 3), 5);
        EXPECT_EQ(co_await p.call([](const std::string& s) { return s + "!"; }, "hello"), "hello!");
        const scaled twice{.by = 2};
        EXPECT_EQ(co_await p.call(twice, 2.5), 5.0);
        co_await p.call(fn<&nothing>);
        const pid_t worker = co_await p.call(fn<&who>);
        EXPECT_NE(worker, ::getpid());
        while (p.status().workers.empty()) // the supervisor says so when it gets to it
            co_await sleep_for(1ms);
        EXPECT_EQ(p.status().workers, std::vector<pid_t>{worker});
    };
    run(body);
}

TEST_P(Pools, ANumberOfWorkersIsEnoughAndOptionsMayFollowIt) {
    pool three(rt(), 3);
    EXPECT_EQ(three.width(), 3u);
    EXPECT_EQ(pool(rt(), 0).width(), pool(rt()).width()); // one for each CPU
    auto body = [&]() -> task<> {
        EXPECT_EQ(pool(2).width(), 2u);
        pool p(2, {.workers = 5, .directory = "/"}); // the number counts
        EXPECT_EQ(p.width(), 2u);
        EXPECT_EQ(co_await p.call([] { return std::filesystem::current_path().string(); }), "/");
    };
    run(body);
}

TEST_P(Pools, ManyCallsAtOnceAllGetTheirOwnResult) {
    pool p(rt(), {.workers = 2});
    auto body = [&]() -> task<> {
        co_await with_group([&p](group g) -> task<> {
            for (int i = 0; i < 2000; ++i)
                (void)g.spawn([&p, i]() -> task<> { EXPECT_EQ(co_await p.call(fn<&add>, i, i), 2 * i); });
            co_return;
        });
    };
    run(body);
}

TEST_P(Pools, LargeArgumentsAndResultsTravel) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        for (const std::size_t n : {100u, 1000u, 100'000u, 3'000'000u}) {
            std::vector<int> v(n);
            std::iota(v.begin(), v.end(), 0);
            const auto got = co_await p.call(fn<&doubled>, v);
            EXPECT_EQ(got.size(), n);
            EXPECT_EQ(got.back(), 2 * static_cast<int>(n - 1));
        }
    };
    run(body);
}

TEST(BlockPlaces, BlocksNeverOverlapAndWhatIsGivenBackBecomesOneAgain) {
    constexpr std::uint64_t page = 4096;
    constexpr std::uint64_t all = 64 * page;
    std::mt19937 draw(7);
    process::detail::block_places places(all + 100); // the rest of a page is nobody's
    std::map<std::uint64_t, std::uint64_t> taken;    // place, end
    const auto give_back = [&](auto which) {
        places.give_back(which->first);
        taken.erase(which);
    };
    for (int i = 0; i < 5000; ++i) {
        if (draw() % 2 == 0 && !taken.empty()) {
            give_back(std::next(taken.begin(), static_cast<std::ptrdiff_t>(draw() % taken.size())));
            continue;
        }
        std::uint64_t bytes = draw() % (9 * page);
        const auto at = places.take(bytes);
        if (!at) continue;
        if (draw() % 4 == 0) places.trim(*at, bytes /= 2);
        const std::uint64_t end = *at + std::max<std::uint64_t>(1, bytes);
        EXPECT_TRUE(*at % page == 0 && end <= all);
        const auto after = taken.lower_bound(*at);
        EXPECT_TRUE(after == taken.end() || end <= after->first);
        EXPECT_TRUE(after == taken.begin() || std::prev(after)->second <= *at);
        taken.emplace(*at, end);
    }
    while (!taken.empty())
        give_back(taken.begin());
    EXPECT_EQ(places.take(all + 1), std::nullopt);
    EXPECT_EQ(places.take(all), 0u);
    EXPECT_EQ(places.take(0), std::nullopt);
}

/// Where the elements lie in what all workers of the pool share; -1: elsewhere.
std::int64_t place_of(const wire::view<double>& v) {
    std::ifstream maps("/proc/self/maps");
    const auto at = reinterpret_cast<std::uintptr_t>(v.data());
    for (std::string line; std::getline(maps, line);) {
        if (line.find("memfd:tenure-blocks") == std::string::npos) continue;
        const std::uintptr_t begin = std::stoull(line, nullptr, 16);
        const std::uintptr_t end = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
        if (begin <= at && at < end && v[0] == 2.5 && v[v.size() - 1] == 2.5)
            return static_cast<std::int64_t>(at - begin);
    }
    return -1;
}
TEST_P(Pools, ALargeCallIsWrittenWhereItsWorkerReadsItAndTheMemoryServesAgain) {
    for (const auto start : {process::start_method::zygote, process::start_method::spawn}) {
        pool p(rt(), {.workers = 1, .start = start, .on_output = [](const process::worker_line&) {}});
        auto body = [&]() -> task<> {
            const std::vector<double> v(500'000, 2.5);
            const std::int64_t first = co_await p.call(fn<&place_of>, v);
            EXPECT_GE(first, 0);
            for (int i = 0; i < 3; ++i)
                EXPECT_EQ(co_await p.call(fn<&place_of>, v), first);
            EXPECT_EQ(co_await p.call(fn<&place_of>, std::vector<double>(10, 2.5)), -1); // in its slot
        };
        run(body);
    }
}
TEST_P(Pools, WhatTheSharedMemoryHasNoRoomForTravelsAllTheSame) {
    pool p(rt(), {.workers = 2, .max_message = 1 << 20});
    auto body = [&]() -> task<> {
        std::vector<int> v(200'000);
        std::iota(v.begin(), v.end(), 0);
        const auto want = doubled(v);
        auto calls = [&](group g) -> task<> {
            for (int i = 0; i < 16; ++i) // 12.8 MB at once
                (void)g.spawn([&]() -> task<> { EXPECT_EQ(co_await p.call(fn<&doubled>, v), want); });
            co_return;
        };
        co_await with_group(calls);
    };
    run(body);
}

TEST_P(Pools, WhatACallThrowsIsCaughtAsItself) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        try {
            (void)co_await p.call(fn<&throws_out_of_range>, "index 7");
            ADD_FAILURE();
        } catch (const std::out_of_range& e) {
            EXPECT_STREQ(e.what(), "index 7");
            const auto* from = dynamic_cast<const process::remote_info*>(&e);
            EXPECT_TRUE(from && from->type() == "std::out_of_range");
        }
    };
    run(body);
}

int sum_of_nested(int depth) {
    if (depth == 0) return 1;
    runtime rt(on_epoll(1));
    pool p(rt, {.workers = 1});
    auto body = [&]() -> task<int> { co_return 1 + co_await p.call(fn<&sum_of_nested>, depth - 1); };
    return rt.block_on(body);
}
TEST_P(Pools, AWorkerMayHaveAPoolOfItsOwnThreeDeep) {
    pool p(rt(), {.workers = 2});
    auto body = [&]() -> task<> { EXPECT_EQ(co_await p.call(fn<&sum_of_nested>, 3), 4); };
    run(body);
}

bool is_still_a_task_after_another_runtime_ran_here() {
    const bool before = this_task::label().id != 0;
    runtime rt({.threads = 0});
    auto nothing_to_do = []() -> task<> { co_return; };
    rt.block_on(nothing_to_do);
    return before && this_task::label().id != 0;
}
std::int64_t deadline_in_worker() { return this_task::deadline().time_since_epoch().count(); }
TEST_P(Pools, TheDeadlineOfTheAwaitingTaskIsTheCalls) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        EXPECT_TRUE(co_await p.call(fn<&is_still_a_task_after_another_runtime_ran_here>));
        const auto at = this_task::deadline(); // of run()
        EXPECT_EQ(co_await p.call(fn<&deadline_in_worker>), at.time_since_epoch().count());
    };
    run(body);
    auto without_one = [&]() -> task<> {
        EXPECT_EQ(co_await p.call(fn<&deadline_in_worker>), base::never.time_since_epoch().count());
    };
    rt().block_on(without_one);
}

TEST_P(Pools, AsARunnerItTakesWhatEveryRunnerTakes) {
    pool p(rt(), {.workers = 2});
    EXPECT_EQ(p.width(), 2u);
    auto body = [&]() -> task<> { EXPECT_EQ(co_await tenure::runner::call(p, fn<&add>, 4, 5), 9); };
    run(body);
}

TEST_P(Pools, BadOptionsAndUsesAreRefusedWithWhatToDo) {
    EXPECT_THROW(pool(rt(), {.workers = 5000}), usage_error);
    EXPECT_THROW(pool(rt(), {.grace = -1s}), usage_error);
    EXPECT_THROW(pool(rt(), {.max_message = 1}), usage_error);
    EXPECT_THROW(pool(pool_options{}), usage_error); // outside of a task
    pool p(rt(), {.workers = 1, .max_message = 1000});
    auto body = [&]() -> task<> {
        try {
            (void)co_await p.call(fn<&doubled>, std::vector<int>(1000));
            ADD_FAILURE();
        } catch (const usage_error& e) {
            EXPECT_NE(std::string(e.what()).find("max_message"), std::string::npos);
        }
        try {
            (void)co_await p.call([](int n) { return std::string(static_cast<std::size_t>(n), 'x'); },
                                  10'000);
            ADD_FAILURE();
        } catch (const std::length_error& e) {
            EXPECT_NE(std::string(e.what()).find("max_message"), std::string::npos);
        }
        p.close();
        p.close();
        try {
            (void)co_await p.call(fn<&add>, 1, 1);
            ADD_FAILURE();
        } catch (const closed_error&) {}
    };
    run(body);
}

int loaded = 0;
void load(int n) { loaded = n; }
int what_was_loaded() { return loaded; }
void cannot_load() { throw std::runtime_error("no such model"); }

TEST_P(Pools, AnInitializerRunsFirstInEachWorker) {
    pool p(rt(), {.workers = 2, .initializer = process::initializer(fn<&load>, 7)});
    auto body = [&]() -> task<> {
        for (int i = 0; i < 20; ++i)
            EXPECT_EQ(co_await p.call(fn<&what_was_loaded>), 7);
    };
    run(body);
}
TEST_P(Pools, AnInitializerThatIsTooLongIsRefused) {
    const process::initializer much([](const std::string&) {}, std::string(2000, 'x'));
    EXPECT_THROW(pool(rt(), {.workers = 1, .initializer = much, .max_message = 1000}), usage_error);
}
TEST_P(Pools, WhenTheInitializerFailsTheCallsSayWhy) {
    pool p(rt(), {.workers = 2, .initializer = process::initializer(fn<&cannot_load>)});
    auto body = [&]() -> task<> {
        try {
            (void)co_await p.call(fn<&what_was_loaded>);
            ADD_FAILURE();
        } catch (const process::start_error& e) {
            EXPECT_NE(std::string(e.what()).find("no such model"), std::string::npos) << e.what();
        }
    };
    run(body);
}

TEST_P(Pools, WorkersHaveTheDirectoryEnvironmentAndPriorityThatWereAskedFor) {
    pool p(rt(), {.workers = 1,
                  .directory = "/",
                  .environment = {{"TENURE_TEST_COLOUR", "green"}, {"PATH", std::nullopt}},
                  .nice = 3,
                  .cpus = {0}});
    auto body = [&]() -> task<> {
        const auto seen = co_await p.call([] {
            const char* colour = std::getenv("TENURE_TEST_COLOUR");
            std::array<char, 100> where{};
            cpu_set_t cpus;
            sched_getaffinity(0, sizeof cpus, &cpus);
            return std::string(colour ? colour : "none") + " " + (std::getenv("PATH") ? "path" : "no path") +
                   " " + std::string(::getcwd(where.data(), where.size())) + " " +
                   std::to_string(::getpriority(PRIO_PROCESS, 0)) + " " + std::to_string(CPU_COUNT(&cpus)) +
                   (std::getenv("TENURE_WORKER") ? " leaked" : "");
        });
        EXPECT_EQ(seen, "green no path / " + std::to_string(::getpriority(PRIO_PROCESS, 0) + 3) + " 1");
    };
    run(body);
}

std::uint64_t memory_limit_here() {
    rlimit limit{};
    ::getrlimit(RLIMIT_DATA, &limit);
    return limit.rlim_cur;
}
TEST_P(Pools, AMemoryLimitHoldsInTheWorkerAndIsABadAllocThere) {
    constexpr std::uint64_t huge = std::uint64_t{1} << 46; // a sanitizer, too, lives below it
    pool p(rt(), {.workers = 1, .memory_limit = huge});
    auto limited = [&]() -> task<> { EXPECT_EQ(co_await p.call(fn<&memory_limit_here>), huge); };
    run(limited);
    if constexpr (!takes_memory_of_its_own) {
        pool small(rt(), {.workers = 1, .memory_limit = 64u << 20});
        auto body = [&]() -> task<> {
            try {
                (void)co_await small.call(
                    [](int mb) { return std::string(static_cast<std::size_t>(mb) << 20, 'x').substr(7, 2); },
                    200);
                ADD_FAILURE();
            } catch (const std::bad_alloc&) {}
            EXPECT_EQ(co_await small.call(fn<&add>, 1, 1), 2);
        };
        run(body);
    }
}

TEST_P(Pools, AWorkerIsReplacedAfterSoManyCalls) {
    pool p(rt(), {.workers = 1, .calls_per_worker = 3});
    auto body = [&]() -> task<> {
        std::vector<pid_t> seen;
        for (int i = 0; i < 9; ++i)
            seen.push_back(co_await p.call(fn<&who>));
        EXPECT_EQ(seen[0], seen[2]);
        EXPECT_NE(seen[2], seen[3]);
        EXPECT_EQ(seen[3], seen[5]);
        EXPECT_NE(seen[5], seen[6]);
    };
    run(body);
}

TEST_P(Pools, SpawnStartsTheProgramAnew) {
    pool p(rt(), {.workers = 2, .start = process::start_method::spawn});
    auto body = [&]() -> task<> {
        for (int i = 0; i < 50; ++i)
            EXPECT_EQ(co_await p.call(fn<&add>, i, 1), i + 1);
    };
    run(body);
}

std::span<const std::byte> bytes_of(const std::string& s) { return std::as_bytes(std::span(s)); }
std::string text_of(const std::vector<std::byte>& b) {
    return {reinterpret_cast<const char*>(b.data()), b.size()};
}
TEST_P(Pools, AWorkerMayBeAnotherProgramThatKeepsToTheProtocol) {
    pool p(rt(),
           {.workers = 2, .program = {std::string(TENURE_TEST_BIN_DIR) + "/foreign_worker"}, .grace = 5s});
    auto body = [&]() -> task<> {
        EXPECT_EQ(text_of(co_await p.request(bytes_of("upper hello"))), "HELLO");
        const std::string large(3'000'000, 'x');
        for (int i = 0; i < 3; ++i) {
            const auto answer = co_await p.request(bytes_of("upper " + large));
            EXPECT_EQ(text_of(answer), std::string(3'000'000, 'X'));
        }
        try {
            (void)co_await p.request(bytes_of("fail on purpose"));
            ADD_FAILURE();
        } catch (const tenure::runner::remote_error& e) {
            EXPECT_EQ(e.type(), "my::error");
            EXPECT_EQ(e.message(), "on purpose");
        }
        try {
            (void)co_await p.request(bytes_of("die"));
            ADD_FAILURE();
        } catch (const process::worker_died& e) {
            EXPECT_EQ(e.signal(), SIGKILL);
        }
        try {
            const call_options soon{.timeout = 5ms};
            (void)co_await p.request(bytes_of("wait"), soon);
            ADD_FAILURE();
        } catch (const timeout_error&) {}
        std::vector<future<void>> all;
        auto many = [&](group g) -> task<> {
            for (int i = 0; i < 300; ++i)
                all.push_back(g.spawn([&p]() -> task<> {
                    const auto answer = co_await p.request(bytes_of("upper a"));
                    EXPECT_EQ(text_of(answer), "A");
                }));
            co_return;
        };
        co_await with_group(many);
    };
    run(body);
}
TEST_P(Pools, ACallThatNoWorkerBeginsFailsAndTheOthersDoNot) {
    pool p(rt(), {.workers = 1, .program = {std::string(TENURE_TEST_BIN_DIR) + "/foreign_worker"}});
    auto body = [&]() -> task<> {
        try {
            (void)co_await p.request(bytes_of("leave it"), call_options{.timeout = 10ms});
            ADD_FAILURE();
        } catch (const process::start_error& e) {
            EXPECT_NE(std::string(e.what()).find("3 workers, one after the other"), std::string::npos)
                << e.what();
        }
        EXPECT_EQ(text_of(co_await p.request(bytes_of("upper a"))), "A");
        EXPECT_EQ(p.status().replaced, 3u);
    };
    run(body);
}
TEST_P(Pools, ACallThatAWorkerPutsBackWhenItIsToStopIsGivenToNobodyElse) {
    pool p(rt(),
           {.workers = 1, .program = {std::string(TENURE_TEST_BIN_DIR) + "/foreign_worker"}, .grace = 5ms});
    const auto puts_back = [&]() -> task<> { (void)co_await p.request(bytes_of("put back")); };
    auto body = [&]() -> task<> {
        EXPECT_THROW((void)co_await p.request(bytes_of("put back"), call_options{.timeout = 50ms}),
                     timeout_error);
        EXPECT_THROW(co_await with_timeout(50ms, std::ref(puts_back)), timeout_error);
        EXPECT_EQ(text_of(co_await p.request(bytes_of("upper a"))), "A");
        EXPECT_GE(p.status().replaced, 1u);
    };
    run(body);
}
TEST_P(Pools, AProgramThatIsNoWorkerIsToldOf) {
    for (const char* program : {"/nonexistent/worker", "false"}) {
        pool p(rt(), {.workers = 1, .program = {program}});
        auto body = [&]() -> task<> {
            try {
                (void)co_await p.request(bytes_of("hello"));
                ADD_FAILURE();
            } catch (const process::start_error& e) {
                const std::string what = e.what();
                EXPECT_TRUE(what.find("No such file") != std::string::npos ||
                            what.find("exited with status 1") != std::string::npos)
                    << what;
            }
        };
        run(body);
    }
}

// ---- workers that have nothing to do

TEST_P(Pools, WorkersThatHaveNothingToDoEndAndComeBackWhenTheyAreNeeded) {
    constexpr unsigned workers = 3;
    pool p(rt(), {.workers = workers, .idle_timeout = 1ms});
    auto body = [&]() -> task<> {
        pid_t before = 0;
        for (unsigned round = 0; round < 3; ++round) {
            const pid_t now = co_await p.call(fn<&who>);
            EXPECT_NE(now, before);
            while (p.status().idled < workers + round || !p.status().workers.empty())
                co_await sleep_for(1ms);
            co_await gone(now);
            before = now;
        }
        const auto s = p.status();
        EXPECT_EQ(s.replaced, 0u);
        EXPECT_EQ(s.supervisors, 1u);
        EXPECT_EQ(s.published, 0u);
    };
    run(body);
    EXPECT_THROW(pool(rt(), {.workers = 1, .idle_timeout = 0s}), usage_error);
}

TEST_P(Pools, ACallThatComesWhileItsWorkerLeavesRunsAllTheSameAndOnce) {
    const std::string file = testing::TempDir() + "tenure-idle-" + std::to_string(::getpid());
    constexpr unsigned calls = 150;
    pool p(rt(), {.workers = 2, .idle_timeout = 100us});
    auto body = [&]() -> task<> {
        std::mt19937 random(GetParam());
        for (unsigned i = 0; i < calls; ++i) {
            co_await p.call(fn<&note_pid>, file);
            co_await sleep_for(std::chrono::microseconds(random() % 300));
        }
        while (p.status().idled == 0)
            co_await sleep_for(1ms);
        EXPECT_EQ(p.status().replaced, 0u);
    };
    run(body);
    EXPECT_EQ(pids_in(file).size(), calls);
    ::unlink(file.c_str());
}

// ---- the tree of tasks

void notes_and_waits(const std::string& file) {
    note_pid(file);
    while (!this_task::cancel_requested())
        std::this_thread::yield();
}
int notes_and_hangs(const std::string& file) {
    note_pid(file);
    return hangs();
}
int calls_in(const task_tree& t) {
    return static_cast<int>(std::ranges::count(t.entries, tree_entry::kind_of::call, &tree_entry::kind));
}

TEST_P(Pools, R008_TheTreeOfTasksShowsTheCallsUnderThoseThatWaitForThem) {
    const std::string file = testing::TempDir() + "tenure-tree-" + std::to_string(::getpid());
    using kind_of = tree_entry::kind_of;
    constexpr int behind = 20; // more than a worker is given at once
    pool p(rt(), {.workers = 1, .grace = long_enough});
    auto body = [&]() -> task<> {
        auto first =
            rt().submit({.name = "first"}, [&]() -> task<> { co_await p.call(fn<&notes_and_waits>, file); });
        const pid_t worker = co_await noted(file);
        co_await with_group([&](group g) -> task<> {
            for (int i = 0; i < behind; ++i)
                (void)g.spawn({.name = "later " + std::to_string(i)},
                              [&]() -> task<> { (void)co_await p.call(fn<&add>, 1, 2); });
            while (p.status().workers.empty())
                co_await sleep_for(1ms);
            task_tree t = rt().dump();
            for (; calls_in(t) != behind + 1; t = rt().dump())
                co_await sleep_for(1ms); // the first one spins for its result for a moment
            const std::string text = to_string(t);
            const tree_entry runs = call_of(t, "first");
            EXPECT_EQ(runs.process, worker) << text;
            EXPECT_EQ(runs.doing, task_activity::running);
            EXPECT_EQ(runs.task.id, 1u);
            EXPECT_LE(runs.since, t.taken);
            EXPECT_NE(text.find("call 1 in process " + std::to_string(worker) + ", running, begun "),
                      std::string::npos)
                << text;
            std::map<int, int> waits; // by process
            for (const tree_entry& e : t.entries) {
                if (e.kind != kind_of::call || e.doing != task_activity::ready) continue;
                EXPECT_TRUE(t.entries[e.parent].task.name.starts_with("later")) << text;
                EXPECT_EQ(e.since, base::never);
                ++waits[e.process];
            }
            EXPECT_EQ(waits.size(), 2u) << text;
            EXPECT_GT(waits[0], 0);
            EXPECT_EQ(waits[0] + waits[worker], behind);
            EXPECT_NE(text.find("call, queued"), std::string::npos) << text;
            first.cancel("seen");
        });
        (void)co_await as_outcome(first);
        for (const tree_entry& e : rt().dump().entries)
            EXPECT_NE(e.kind, kind_of::call);
    };
    run(body);
    ::unlink(file.c_str());
}

TEST_P(Pools, R008_ACallInTheTreeHasItsTimeAndSaysThatItWasCancelled) {
    const std::string file = testing::TempDir() + "tenure-tree-" + std::to_string(::getpid());
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        auto stays = rt().submit({.name = "stays"}, [&]() -> task<> {
            (void)co_await p.call({.timeout = 1h, .grace = 1h}, fn<&notes_and_hangs>, file);
        });
        const pid_t worker = co_await noted(file);
        while (p.status().workers.empty() || call_of(rt().dump(), "stays").kind != tree_entry::kind_of::call)
            co_await sleep_for(1ms);
        tree_entry e = call_of(rt().dump(), "stays");
        EXPECT_EQ(e.deadline, e.since + 1h);
        EXPECT_FALSE(e.why);
        stays.cancel("not wanted");
        while (!call_of(rt().dump(), "stays").why)
            co_await sleep_for(1ms);
        e = call_of(rt().dump(), "stays");
        EXPECT_EQ(e.why->message, "not wanted");
        EXPECT_EQ(e.doing, task_activity::running);
        EXPECT_EQ(e.process, worker);
        ::kill(worker, SIGKILL);
        (void)co_await as_outcome(stays);
    };
    run(body);
    ::unlink(file.c_str());
}

TEST_P(Pools, R008_TheTreeIsReadWhileCallsComeAndGo) {
    pool p(rt(), {.workers = 2});
    std::atomic<bool> stop{false};
    std::thread reader([&] {
        while (!stop)
            for (const tree_entry& e : rt().dump().entries) {
                EXPECT_TRUE(e.kind != tree_entry::kind_of::call || e.doing != task_activity::waiting);
            }
    });
    auto body = [&]() -> task<> {
        co_await with_group([&p](group g) -> task<> {
            for (int i = 0; i < 500; ++i)
                (void)g.spawn([&p, i]() -> task<> { EXPECT_EQ(co_await p.call(fn<&add>, i, i), 2 * i); });
            co_return;
        });
    };
    run(body);
    stop = true;
    reader.join();
}

INSTANTIATE_TEST_SUITE_P(Workers, Pools, testing::Values(1u, 4u));

} // namespace
} // namespace process_test
