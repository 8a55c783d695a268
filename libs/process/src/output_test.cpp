// What becomes of what workers write to standard output and error.
#include "pool_test.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <latch>
#include <map>
#include <mutex>
#include <sstream>
#include <sys/mman.h>
#include <thread>

namespace process_test {
class Output : public Pools {};
namespace {

using process::worker_died;
using process::worker_line;
using process::worker_output;

int add(int a, int b) { return a + b; }
pid_t who() { return ::getpid(); }
void writes(int fd, const std::string& text) {
    for (std::string_view rest = text; !rest.empty();) {
        const ssize_t n = ::write(fd, rest.data(), rest.size());
        if (n < 0) return;
        rest.remove_prefix(static_cast<std::size_t>(n));
    }
}
pid_t prints(const std::string& text) {
    std::printf("%s\n", text.c_str());
    return ::getpid();
}
void counts(int from, int to) {
    for (int i = from; i < to; ++i)
        std::cout << "line " << i << '\n';
}
int writes_and_dies(int fd, const std::string& text, int signo) {
    writes(fd, text);
    ::signal(signo, SIG_DFL);
    ::raise(signo);
    return 0;
}
void writes_for_ever() {
    for (;;)
        writes(1, "and on, and on\n");
}
void closes_its_output() {
    ::close(1);
    ::close(2);
}

/// What a pool has given, so far.
class heard {
public:
    struct line {
        pid_t pid;
        int fd;
        std::string text;
        bool complete;
    };
    std::function<void(const worker_line&)> listener() {
        return [this](const worker_line& l) {
            const std::lock_guard g(m_);
            EXPECT_FALSE(std::exchange(within_, true)) << "two at once";
            lines_.push_back({l.pid, l.fd, std::string(l.text), l.complete});
            within_ = false;
        };
    }
    std::vector<line> lines() {
        const std::lock_guard g(m_);
        return lines_;
    }
    std::vector<std::string> texts(int fd) {
        std::vector<std::string> all;
        for (const line& l : lines())
            if (l.fd == fd) all.push_back(l.text);
        return all;
    }

private:
    std::mutex m_;
    bool within_ = false;
    std::vector<line> lines_;
};

TEST_P(Output, LinesAreGivenWithWhoWroteThemAndWhere) {
    heard h;
    pool p(rt(), {.workers = 2, .on_output = h.listener()});
    pid_t pid = 0;
    auto body = [&]() -> task<> {
        pid = co_await p.call(fn<&prints>, "one");
        co_await p.call(fn<&writes>, 2, "two\n\nthree\n");
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
    };
    run(body);
    p.close();
    ASSERT_EQ(h.texts(1), std::vector<std::string>{"one"});
    EXPECT_EQ(h.texts(2), (std::vector<std::string>{"two", "", "three"}));
    for (const auto& l : h.lines()) {
        EXPECT_TRUE(l.complete);
        EXPECT_NE(l.pid, 0);
        EXPECT_TRUE(l.fd != 1 || l.pid == pid);
    }
}

TEST_P(Output, WhatACallWroteIsDeliveredWithoutAnotherCall) {
    heard h;
    pool p(rt(), {.workers = 1, .on_output = h.listener()});
    auto body = [&]() -> task<> {
        for (std::size_t i = 1; i <= 20; ++i) {
            (void)co_await p.call(fn<&prints>, "now");
            while (h.lines().size() < i)
                co_await sleep_for(1ms);
        }
    };
    run(body);
}

TEST_P(Output, ALineIsDeliveredWhileItsCallRuns) {
    heard h;
    pool p(rt(), {.workers = 1, .on_output = h.listener()});
    auto body = [&]() -> task<> {
        auto calls = [&](group g) -> task<> {
            auto f = g.spawn([&]() -> task<> {
                co_await p.call([] {
                    std::cout << "begun\n";
                    while (!this_task::cancel_requested())
                        std::this_thread::yield();
                });
            });
            while (h.lines().empty())
                co_await sleep_for(1ms);
            f.cancel();
            (void)co_await f.join();
        };
        co_await with_group(calls);
    };
    run(body);
}

TEST_P(Output, ALineWithoutItsEndComesWhenItsWorkerEnds) {
    heard h;
    pool p(rt(), {.workers = 1, .on_output = h.listener()});
    auto body = [&]() -> task<> { co_await p.call(fn<&writes>, 1, "first\nlast"); };
    run(body);
    p.close();
    const auto all = h.lines();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_TRUE(all[0].complete && all[0].text == "first");
    EXPECT_TRUE(!all[1].complete && all[1].text == "last");
}

TEST_P(Output, LongLinesComeInPieces) {
    heard h;
    pool p(rt(), {.workers = 1, .on_output = h.listener()});
    std::string text;
    for (const std::size_t n : {65'535, 65'536, 65'537, 200'000, 3}) {
        for (std::size_t i = 0; i < n; ++i)
            text += static_cast<char>('a' + (i * 7 + n) % 26);
        text += '\n';
    }
    auto body = [&]() -> task<> { co_await p.call(fn<&writes>, 1, text); };
    run(body);
    p.close();
    std::string got;
    for (const auto& l : h.lines()) {
        EXPECT_LE(l.text.size(), 65'536u);
        got += l.text;
        if (l.complete) got += '\n';
    }
    EXPECT_TRUE(got == text) << got.size() << " of " << text.size();
}

TEST_P(Output, AFloodIsSlowedAndNothingIsLost) {
    heard h;
    constexpr int lines = 100'000;
    std::atomic<int> taken = 0;
    auto slowly = [&, note = h.listener()](const worker_line& l) {
        if (++taken % 10'000 == 0) std::this_thread::yield();
        note(l);
    };
    pool p(rt(), {.workers = 2, .on_output = slowly});
    auto body = [&]() -> task<> {
        auto calls = [&](group g) -> task<> {
            for (int i = 0; i < 4; ++i)
                (void)g.spawn(
                    [&, i]() -> task<> { co_await p.call(fn<&counts>, i * lines / 4, (i + 1) * lines / 4); });
            co_return;
        };
        co_await with_group(calls);
    };
    run(body);
    p.close();
    std::map<pid_t, int> last;
    std::vector<bool> seen(lines);
    for (const auto& l : h.lines()) {
        int i = -1;
        ASSERT_EQ(std::sscanf(l.text.c_str(), "line %d", &i), 1) << l.text;
        ASSERT_FALSE(seen.at(static_cast<std::size_t>(i)));
        seen[static_cast<std::size_t>(i)] = true;
        const auto before = last.find(l.pid);
        ASSERT_TRUE(before == last.end() || i % (lines / 4) == 0 || i == before->second + 1);
        last[l.pid] = i;
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true), lines);
}

TEST_P(Output, AWorkerKilledInTheMiddleOfALineLeavesItAndTheErrorHasItsTail) {
    heard h;
    pool p(rt(), {.workers = 1, .on_output = h.listener()});
    auto body = [&]() -> task<> {
        for (int i = 0; i < 5; ++i) {
            try {
                const std::string text = std::string(100'000, 'x') + "\nthe reason is\nthat it";
                (void)co_await p.call(fn<&writes_and_dies>, 2, text, SIGKILL);
                ADD_FAILURE();
            } catch (const worker_died& e) {
                EXPECT_EQ(e.signal(), SIGKILL);
                EXPECT_EQ(e.stderr_tail().size(), 4096u);
                EXPECT_TRUE(e.stderr_tail().ends_with("x\nthe reason is\nthat it"));
                EXPECT_NE(std::string(e.what()).find("the reason is"), std::string::npos);
            }
        }
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
    };
    run(body);
    p.close();
    const auto all = h.lines();
    EXPECT_EQ(all.size(), 5u * 4);
    EXPECT_EQ(std::count_if(all.begin(), all.end(),
                            [](const auto& l) { return l.text == "that it" && !l.complete; }),
              5);
}

TEST_P(Output, ManyDeathsLoseNoLine) {
    heard h;
    pool p(rt(), {.workers = 2, .on_output = h.listener()});
    constexpr int calls = 200;
    std::atomic<int> died = 0;
    auto body = [&]() -> task<> {
        auto all = [&](group g) -> task<> {
            for (int i = 0; i < calls; ++i)
                (void)g.spawn([&, i]() -> task<> {
                    const std::string text = std::to_string(i) + "\n";
                    if (i % 3 != 0) {
                        co_await p.call(fn<&writes>, 1, text);
                        co_return;
                    }
                    try {
                        (void)co_await p.call(fn<&writes_and_dies>, 1, text, SIGKILL);
                    } catch (const worker_died&) {
                        ++died;
                    }
                });
            co_return;
        };
        co_await with_group(all);
    };
    run(body);
    p.close();
    EXPECT_EQ(died, (calls + 2) / 3);
    auto texts = h.texts(1);
    EXPECT_EQ(texts.size(), static_cast<std::size_t>(calls));
    std::sort(texts.begin(), texts.end());
    EXPECT_EQ(std::unique(texts.begin(), texts.end()), texts.end());
}

TEST_P(Output, TheTailIsTheEndOfManySmallWrites) {
    pool p(rt(), {.workers = 1, .on_output = [](const worker_line&) {}});
    auto body = [&]() -> task<> {
        for (int i = 0; i < 300; ++i)
            co_await p.call(fn<&writes>, 2, "number " + std::to_string(i) + " of many\n");
        try {
            (void)co_await p.call(fn<&writes_and_dies>, 1, "not this", SIGTERM);
            ADD_FAILURE();
        } catch (const worker_died& e) {
            EXPECT_EQ(e.stderr_tail().size(), 4096u);
            EXPECT_TRUE(e.stderr_tail().ends_with("number 298 of many\nnumber 299 of many\n"));
        }
    };
    run(body);
}

TEST_P(Output, AWorkerThatClosesItsOutputGoesOn) {
    heard h;
    pool p(rt(), {.workers = 1, .on_output = h.listener()});
    auto body = [&]() -> task<> {
        co_await p.call(fn<&writes>, 1, "before\nrest");
        co_await p.call(fn<&closes_its_output>);
        (void)co_await p.call(fn<&prints>, "after");
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
    };
    run(body);
    p.close();
    EXPECT_EQ(h.texts(1), (std::vector<std::string>{"before", "rest"}));
}

TEST_P(Output, WhoeverElseHoldsThePipeDoesNotHoldUpTheClose) {
    heard h;
    pool p(rt(), {.workers = 1, .on_output = h.listener()});
    int held = -1;
    auto body = [&]() -> task<> {
        const pid_t pid = co_await p.call(fn<&prints>, "mine");
        const std::string its_output = "/proc/" + std::to_string(pid) + "/fd/1";
        held = ::open(its_output.c_str(), O_WRONLY | O_CLOEXEC);
        EXPECT_GE(held, 0);
        co_await p.call(fn<&writes>, 1, "and a rest");
    };
    run(body);
    p.close();
    EXPECT_EQ(h.texts(1), (std::vector<std::string>{"mine", "and a rest"}));
    ::close(held);
}

TEST_P(Output, AListenerThatThrowsIsReportedAndCostsNothing) {
    std::atomic<int> reported = 0;
    auto options = on_epoll(GetParam());
    options.on_unread_failure = [&](const unread_failure& f) {
        EXPECT_NE(f.task.name.find("on_output"), std::string::npos);
        ++reported;
    };
    runtime own(std::move(options));
    {
        pool p(own, {.workers = 1, .on_output = [](const worker_line&) { throw std::runtime_error("no"); }});
        auto body = [&]() -> task<> {
            co_await p.call(fn<&counts>, 0, 3);
            EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
        };
        own.block_on(body);
    }
    EXPECT_EQ(reported, 3);
}

TEST_P(Output, AListenerThatDoesNotReturnHoldsUpNeitherCallsNorTheClose) {
    if (GetParam() == 1) return;                    // it would block the only worker of the runtime
    auto release = std::make_shared<std::latch>(1); // it is still used when close() has left it behind
    auto stuck = std::make_shared<std::atomic<bool>>(false);
    pool p(rt(), {.workers = 1, .on_output = [=](const worker_line&) {
                      *stuck = true;
                      release->wait();
                  }});
    auto body = [&]() -> task<> {
        (void)co_await p.call(fn<&prints>, "stop here");
        while (!*stuck)
            co_await sleep_for(1ms);
        for (int i = 0; i < 100; ++i)
            EXPECT_EQ(co_await p.call(fn<&add>, i, 2), i + 2);
        (void)co_await p.call(fn<&prints>, "never heard");
    };
    run(body);
    p.close();
    release->count_down();
}

TEST_P(Output, AListenerThatIsStuckWhileThePoolClosesIsLeftBehind) {
    const std::size_t before = count_entries("/proc/self/fd");
    auto release = std::make_shared<std::latch>(1);
    auto left = std::make_shared<std::latch>(1);
    {
        pool p(rt(), {.workers = 1, .on_output = [=](const worker_line&) {
                          release->wait();
                          left->count_down();
                      }});
        auto body = [&]() -> task<> { co_await p.call(fn<&writes>, 1, "only at the end"); };
        run(body);
    }
    release->count_down();
    left->wait();
    // What was left behind lets go of its pipes a moment later.
    const auto end = std::chrono::steady_clock::now() + long_enough;
    while (count_entries("/proc/self/fd") != before && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
}

TEST_P(Output, ThePoolMayBeClosedWhereALineIsTaken) {
    std::optional<pool> p;
    std::atomic<int> lines = 0;
    p.emplace(rt(), pool_options{.workers = 1, .on_output = [&](const worker_line&) {
                                     ++lines;
                                     p->close();
                                 }});
    auto body = [&]() -> task<> {
        try {
            for (;;)
                co_await p->call(fn<&counts>, 0, 3);
        } catch (const closed_error&) {
        } catch (const worker_died&) {}
    };
    run(body);
    p.reset();
    EXPECT_EQ(lines, 1);
}

TEST_P(Output, AFloodDoesNotKeepThePoolFromClosing) {
    for (int i = 0; i < 5; ++i) {
        std::atomic<bool> any = false;
        pool p(rt(), {.workers = 2, .grace = 1ms, .on_output = [&](const worker_line& l) {
                          any = true;
                          EXPECT_TRUE(!l.complete || l.text == "and on, and on");
                      }});
        auto flood = [&]() -> task<> {
            try {
                co_await p.call(fn<&writes_for_ever>);
            } catch (const worker_died&) {
            } catch (const closed_error&) {} // it had not begun
        };
        auto first = rt().submit(flood);
        auto second = rt().submit(flood);
        while (!any)
            std::this_thread::yield();
        p.close();
        first.get();
        second.get();
    }
}

TEST_P(Output, ACallThatEndsInItsGraceIsReadMeanwhile) {
    heard h;
    pool p(rt(), {.workers = 1, .grace = long_enough, .on_output = h.listener()});
    auto call = [&]() -> task<> {
        co_await p.call([] {
            std::cout << "begun\n";
            while (!this_task::cancel_requested())
                std::this_thread::yield();
            counts(0, 50'000);
        });
    };
    auto f = rt().submit(call);
    while (h.lines().empty())
        std::this_thread::yield();
    p.close();
    f.get();
    const auto all = h.texts(1);
    ASSERT_EQ(all.size(), 50'001u);
    EXPECT_EQ(all.back(), "line 49999");
}

TEST_P(Output, APoolThatOutlivesItsRuntimeStillDelivers) {
    heard h;
    std::optional<pool> p;
    {
        runtime own(on_epoll(GetParam()));
        p.emplace(own, pool_options{.workers = 1, .on_output = h.listener()});
        auto body = [&]() -> task<> { co_await p->call(fn<&writes>, 1, "early\nlate"); };
        own.block_on(body);
    }
    p.reset();
    EXPECT_EQ(h.texts(1), (std::vector<std::string>{"early", "late"}));
}

/// Our own standard output, or error, becomes a file for a while.
class redirected {
public:
    explicit redirected(int fd)
        : fd_(fd), kept_(::fcntl(fd, F_DUPFD_CLOEXEC, 3)), file_(::memfd_create("output", MFD_CLOEXEC)) {
        std::fflush(stdout);
        ::dup2(file_, fd_);
    }
    redirected(const redirected&) = delete;
    redirected& operator=(const redirected&) = delete;
    ~redirected() { ::close(file_); }
    std::string text() {
        ::dup2(kept_, fd_);
        ::close(kept_);
        std::string all(static_cast<std::size_t>(::lseek(file_, 0, SEEK_END)), '\0');
        EXPECT_EQ(::pread(file_, all.data(), all.size(), 0), static_cast<ssize_t>(all.size()));
        return all;
    }

private:
    int fd_, kept_, file_;
};
std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> all;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        all.push_back(line);
    return all;
}

TEST_P(Output, TaggedLinesAreWrittenWhole) {
    redirected out(1);
    redirected err(2);
    std::vector<pid_t> pids;
    {
        pool p(rt(), {.workers = 2, .output = worker_output::tagged});
        auto body = [&]() -> task<> {
            auto calls = [&](group g) -> task<> {
                for (int i = 0; i < 200; ++i)
                    (void)g.spawn(
                        [&p, i]() -> task<> { co_await p.call(fn<&counts>, i * 100, i * 100 + 100); });
                co_return;
            };
            co_await with_group(calls);
            pids.push_back(co_await p.call(fn<&who>));
            co_await p.call(fn<&writes>, 2, "no end");
        };
        run(body);
    }
    const auto lines = lines_of(out.text());
    const auto errors = err.text();
    EXPECT_EQ(lines.size(), 20'000u);
    for (const std::string& line : lines) {
        int pid = 0;
        int n = 0;
        ASSERT_EQ(std::sscanf(line.c_str(), "[worker %d] line %d", &pid, &n), 2) << line;
        ASSERT_EQ(line, "[worker " + std::to_string(pid) + "] line " + std::to_string(n));
    }
    EXPECT_TRUE(errors.starts_with("[worker ") && errors.ends_with("] no end\n")) << errors;
}

std::string own_output() {
    std::array<char, 200> name{};
    return ::readlink("/proc/self/fd/1", name.data(), name.size()) > 0 ? name.data() : "";
}
TEST_P(Output, InheritedIsOursAndHasNoTail) {
    redirected out(1);
    std::string theirs;
    {
        pool p(rt(), {.workers = 1});
        auto body = [&]() -> task<> {
            theirs = co_await p.call(fn<&own_output>);
            try {
                (void)co_await p.call(fn<&writes_and_dies>, 1, "straight\n", SIGKILL);
                ADD_FAILURE();
            } catch (const worker_died& e) {
                EXPECT_EQ(e.stderr_tail(), "");
            }
        };
        run(body);
    }
    EXPECT_EQ(theirs, own_output());
    EXPECT_EQ(out.text(), "straight\n");
}

TEST_P(Output, WorkersThatAreStartedAnewAreHeardToo) {
    heard h;
    pool p(rt(), {.workers = 1, .start = process::start_method::spawn, .on_output = h.listener()});
    auto body = [&]() -> task<> {
        co_await p.call(fn<&counts>, 0, 2);
        try {
            (void)co_await p.call(fn<&writes_and_dies>, 2, "why", SIGKILL);
            ADD_FAILURE();
        } catch (const worker_died& e) {
            EXPECT_EQ(e.stderr_tail(), "why");
        }
    };
    run(body);
    p.close();
    EXPECT_EQ(h.texts(1), (std::vector<std::string>{"line 0", "line 1"}));
    EXPECT_EQ(h.texts(2), std::vector<std::string>{"why"});
}

TEST_P(Output, WhyAProgramIsNoWorkerIsInTheError) {
    pool p(rt(), {.workers = 1,
                  .program = {"sh", "-c", "echo no model here >&2; exit 3"},
                  .on_output = [](const worker_line&) {}});
    auto body = [&]() -> task<> {
        try {
            (void)co_await p.request({});
            ADD_FAILURE();
        } catch (const process::start_error& e) {
            EXPECT_NE(std::string(e.what()).find("no model here"), std::string::npos) << e.what();
        }
    };
    run(body);
}

TEST_P(Output, BothWaysAtOnceAreRefused) {
    EXPECT_THROW(pool(rt(), {.output = worker_output::tagged, .on_output = [](const worker_line&) {}}),
                 usage_error);
}

INSTANTIATE_TEST_SUITE_P(Workers, Output, testing::Values(1u, 4u));

} // namespace
} // namespace process_test
