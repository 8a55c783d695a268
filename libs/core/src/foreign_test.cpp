#include "core_test.hpp"

#include <tenure/core/all.hpp>
#include <tenure/core/context.hpp>
#include <tenure/core/foreign.hpp>
#include <tenure/core/observe.hpp>

#include <coroutine>
#include <memory>
#include <optional>
#include <thread>

// Another library, which knows nothing of this one.
namespace other {

/// Waits until somebody opens it.
struct gate {
    std::coroutine_handle<> waiting;
    int begun = 0;
    int value = 0;

    bool await_ready() const noexcept { return value != 0; }
    void await_suspend(std::coroutine_handle<> h) noexcept {
        ++begun;
        waiting = h;
    }
    int& await_resume() noexcept { return value; }
    void open(int v) {
        value = v;
        std::exchange(waiting, nullptr).resume();
    }
};

/// A coroutine that begins when it is awaited, and goes on with its awaiter by symmetric transfer.
template <class T>
class lazy {
public:
    struct promise_type {
        std::coroutine_handle<> next;
        std::optional<T> value;
        std::exception_ptr error;
        lazy get_return_object() { return lazy(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        struct last {
            bool await_ready() const noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> h) const noexcept {
                return h.promise().next;
            }
            void await_resume() const noexcept {}
        };
        last final_suspend() const noexcept { return {}; }
        void return_value(T v) { value.emplace(std::move(v)); }
        void unhandled_exception() noexcept { error = std::current_exception(); }
    };
    struct awaiter {
        std::coroutine_handle<promise_type> body;
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) const noexcept {
            body.promise().next = h;
            return body;
        }
        T await_resume() const {
            if (body.promise().error) std::rethrow_exception(body.promise().error);
            return std::move(*body.promise().value);
        }
    };
    explicit lazy(std::coroutine_handle<promise_type> h) noexcept : body_(h) {}
    lazy(lazy&& o) noexcept : body_(std::exchange(o.body_, nullptr)) {}
    lazy& operator=(const lazy&) = delete;
    ~lazy() {
        if (body_) body_.destroy();
    }
    awaiter operator co_await() && noexcept { return {body_}; }

private:
    std::coroutine_handle<promise_type> body_;
};

/// Awaited by a function beside it.
struct ticket {
    int number;
};
struct ticket_awaiter {
    int number;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<>) const noexcept { return false; } // goes on at once
    std::unique_ptr<int> await_resume() const { return std::make_unique<int>(number); }
};
ticket_awaiter operator co_await(ticket t) noexcept { return {t.number}; }

/// Resumes on a thread of its own.
struct on_another_thread {
    std::thread* at;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) const {
        *at = std::thread([h] { h.resume(); });
    }
    std::thread::id await_resume() const noexcept { return std::this_thread::get_id(); }
};

lazy<std::string> greet(gate& g, std::string name) {
    const int n = co_await g;
    if (n < 0) throw std::out_of_range("no such gate");
    co_return "hello " + name + " " + std::to_string(n);
}
lazy<int> add(lazy<int> a, lazy<int> b) { co_return co_await std::move(a) + co_await std::move(b); }
lazy<int> give(int n) { co_return n; }

} // namespace other

namespace {
using namespace core_test;

class Foreign : public virtual_test {
protected:
    /// Opens it after that time.
    task<> open_after(tenure::base::duration d, other::gate& g, int v) {
        co_await sleep_for(d);
        g.open(v);
    }
};

TEST_F(Foreign, WhatIsReadyOrGoesOnAtOnceIsAwaited) {
    run([]() -> task<> {
        co_await foreign(std::suspend_never());
        other::gate open{.value = 7};
        int& value = co_await foreign(open); // a reference stays one
        EXPECT_EQ(&value, &open.value);
        EXPECT_EQ(*co_await foreign(other::ticket{3}), 3); // what can only be moved
    });
}
TEST_F(Foreign, CoroutinesOfAnotherLibraryRunInATask) {
    run([]() -> task<> {
        EXPECT_EQ(co_await foreign(other::add(other::add(other::give(1), other::give(2)), other::give(3))),
                  6);
    });
}
TEST_F(Foreign, TheTaskWaitsUntilItIsResumedAndOthersRunMeanwhile) {
    other::gate g;
    run([&]() -> task<> {
        auto body = [&](group in) -> task<> {
            (void)in.spawn([&]() -> task<> { co_await open_after(2s, g, 5); });
            EXPECT_EQ(co_await foreign(other::greet(g, "you")), "hello you 5");
        };
        co_await with_group(body);
    });
    EXPECT_EQ(elapsed(), 2s);
}
TEST_F(Foreign, WhatItThrowsIsThrown) {
    other::gate g;
    run([&]() -> task<> {
        auto body = [&](group in) -> task<> {
            (void)in.spawn([&]() -> task<> { co_await open_after(1s, g, -1); });
            EXPECT_THROW((void)co_await foreign(other::greet(g, "you")), std::out_of_range);
        };
        co_await with_group(body);
    });
}
TEST_F(Foreign, ItRunsToItsNaturalEndAndTheCancellationShowsAtTheNextCheckpoint) {
    other::gate g;
    int got = 0;
    bool went_on = false;
    run([&]() -> task<> {
        auto body = [&](group in) -> task<> {
            (void)in.spawn([&]() -> task<> { co_await open_after(5s, g, 8); });
            auto waits = [&]() -> task<> {
                got = co_await foreign(g);
                co_await sleep_for(1s);
                went_on = true;
            };
            EXPECT_FALSE(co_await move_on_after(1s, waits));
        };
        co_await with_group(body);
    });
    EXPECT_EQ(elapsed(), 5s);
    EXPECT_EQ(got, 8);
    EXPECT_FALSE(went_on);
}
TEST_F(Foreign, ItDoesNotBeginInACancelledTask) {
    other::gate g;
    run([&]() -> task<> {
        auto waits = [&]() -> task<> {
            (void)co_await as_outcome(sleep_for(1h));
            (void)co_await foreign(g);
        };
        EXPECT_FALSE(co_await move_on_after(1s, waits));
    });
    EXPECT_EQ(g.begun, 0);
}
TEST_F(Foreign, AStopTokenTellsItToEndSooner) {
    other::gate g;
    run([&]() -> task<> {
        auto waits = [&]() -> task<> {
            const context mine = context::current();
            const std::stop_callback ends(mine.stop_token(), [&] { g.open(1); });
            (void)co_await foreign(g);
        };
        (void)co_await move_on_after(3s, waits);
    });
    EXPECT_EQ(elapsed(), 3s);
}
TEST_F(Foreign, OneThatDestroysWhatItWasToResumeHasAbandonedIt) {
    struct destroys {
        bool at_once;
        std::coroutine_handle<>* later;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> h) const {
            if (at_once)
                h.destroy();
            else
                *later = h;
        }
        void await_resume() const noexcept {}
    };
    run([&]() -> task<> {
        std::coroutine_handle<> later;
        EXPECT_THROW(co_await foreign(destroys{true, &later}), tenure::base::abandoned);
        auto body = [&](group in) -> task<> {
            (void)in.spawn([&]() -> task<> {
                co_await sleep_for(1s);
                later.destroy();
            });
            EXPECT_THROW(co_await foreign(destroys{false, &later}), tenure::base::abandoned);
        };
        co_await with_group(body);
    });
}
TEST_F(Foreign, OneThatDoesNotEndIsNamedByTheCloseAndMayEndLater) {
    other::gate g;
    {
        runtime rt(tenure::core::testing::virtual_time());
        auto waits = [&]() -> task<> { (void)co_await foreign(g); };
        const auto f = rt.submit({.name = "waits for a stranger"}, waits);
        const auto report = rt.close();
        ASSERT_EQ(report.abandoned.size(), 1u);
        EXPECT_EQ(report.abandoned[0].name, "waits for a stranger");
        EXPECT_EQ(f.status(), task_status::pending);
    }
    g.open(1);
}
TEST_F(Foreign, WhatWaitsForItIsShownAndTakesPartInWhatTasksDo) {
    other::gate a, b;
    run([&]() -> task<> {
        auto body = [&](group in) -> task<> {
            auto both = in.spawn({.name = "both"}, [&]() -> task<int> {
                const auto [x, y] =
                    co_await all(foreign(other::greet(a, "a")), foreign(other::greet(b, "b")));
                co_return static_cast<int>(x.size() + y.size());
            });
            co_await sleep_for(1s);
            const std::string tree = to_string(rt_.dump());
            EXPECT_NE(tree.find("'both'"), std::string::npos) << tree;
            EXPECT_NE(tree.find("foreign_test.cpp:"), std::string::npos) << tree;
            b.open(2);
            a.open(1);
            EXPECT_EQ(co_await both, 18);
            other::gate fails;
            (void)in.spawn([&]() -> task<> { co_await open_after(1s, fails, -1); });
            EXPECT_TRUE((co_await as_outcome(foreign(other::greet(fails, "c")))).has_failed());
        };
        co_await with_group(body);
    });
}

class ForeignOnThreads : public ::testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Threads, ForeignOnThreads, ::testing::Values(1u, 3u));

TEST_P(ForeignOnThreads, ItResumesOnAnyThreadAndTheTaskGoesOnOnAWorker) {
    runtime rt({.threads = GetParam()});
    auto body = [&]() -> task<> {
        for (int i = 0; i < 200; ++i) {
            std::thread t;
            const auto foreigner = co_await foreign(other::on_another_thread{&t});
            EXPECT_EQ(foreigner, t.get_id());
            EXPECT_NE(std::this_thread::get_id(), foreigner);
            t.join();
        }
    };
    rt.submit(body).get();
}
TEST_P(ForeignOnThreads, CancellationsRaceWithItsEnd) {
    runtime rt({.threads = GetParam()});
    std::atomic<int> gone_on{0};
    int cancelled = 0;
    for (int i = 0; i < 200; ++i) {
        std::thread t;
        auto f = rt.submit([&]() -> task<> {
            (void)co_await foreign(other::on_another_thread{&t});
            ++gone_on; // no checkpoint in between
        });
        if (i % 2 != 0) std::this_thread::yield();
        f.cancel();
        while (!f.wait_for(1s)) {}
        cancelled += f.status() == task_status::cancelled;
        if (t.joinable()) t.join();
    }
    EXPECT_EQ(gone_on + cancelled, 200);
    EXPECT_TRUE(rt.close().abandoned.empty());
}

} // namespace
