// What the tests of core share: counted objects and a runtime on virtual time that must end with nothing left.
#pragma once
#include <tenure/core/all.hpp>
#include <tenure/core/cleanup.hpp>
#include <tenure/core/event.hpp>
#include <tenure/core/group.hpp>
#include <tenure/core/observe.hpp>
#include <tenure/core/runtime.hpp>
#include <tenure/core/scope.hpp>
#include <tenure/core/sleep.hpp>
#include <tenure/core/testing.hpp>
#include <tenure/core/this_task.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <vector>

namespace core_test {
using namespace tenure::core;
using namespace std::chrono_literals;
using tenure::base::closed_error;
using tenure::base::deadlock_error;
using tenure::base::describe;
using tenure::base::group_error;
using tenure::base::reason;
using tenure::base::task_cancelled;
using tenure::base::timeout_error;
using tenure::base::usage_error;

/// How many `counted` of a test live, and how many were made.
struct tally {
    std::atomic<int> alive{0};
    std::atomic<int> made{0};
};

/// An object that every copy, move and destruction of is counted.
class counted {
public:
    explicit counted(tally& t) noexcept : tally_(&t) { born(); }
    counted(const counted& o) noexcept : tally_(o.tally_) { born(); }
    counted& operator=(const counted&) = delete;
    ~counted() { --tally_->alive; }

private:
    void born() noexcept {
        ++tally_->alive;
        ++tally_->made;
    }
    tally* tally_;
};

/// Appends its letter to a log when it dies.
class mourner {
public:
    mourner(std::string& log, char letter) noexcept : log_(&log), letter_(letter) {}
    mourner(mourner&& o) noexcept : log_(std::exchange(o.log_, nullptr)), letter_(o.letter_) {}
    mourner& operator=(const mourner&) = delete;
    ~mourner() {
        if (log_) *log_ += letter_;
    }

private:
    std::string* log_;
    char letter_;
};

struct my_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline task<> nap(tenure::base::duration d) { co_await sleep_for(d); }
/// Sleeps for an hour. Cancelled, it cleans up, which takes d.
inline task<> nap_and_clean_up(tenure::base::duration d, bool& cleaned) {
    co_await defer(
        1min,
        [](tenure::base::duration takes, bool& done) -> task<> {
            co_await sleep_for(takes);
            done = true;
        },
        d, std::ref(cleaned));
    co_await sleep_for(1h);
}
inline task<> set_after(tenure::base::duration d, event& e) {
    co_await sleep_for(d);
    e.set();
}
inline task<> wait_for(event& e) { co_await e.wait(); }
inline task<int> give(int v) { co_return v; }
inline task<int> give_later(tenure::base::duration d, int v) {
    co_await sleep_for(d);
    co_return v;
}
inline task<> fail_later(tenure::base::duration d, std::string what) {
    co_await sleep_for(d);
    throw my_error(what);
}

/// what() of what f throws; "nothing" if it does not throw.
template <class F>
std::string thrown_by(F&& f) {
    try {
        f();
    } catch (...) {
        return describe(std::current_exception());
    }
    return "nothing";
}

/// Deterministic: one thread, virtual time. At the end no task, timer or counted object is left.
class virtual_test : public ::testing::Test {
protected:
    std::vector<std::string> unread_;          // what the hook was told
    std::vector<std::string> expected_unread_; // what it must have been told at the end
    tally objects_;
    runtime rt_{tenure::core::testing::virtual_time(
        [this](const unread_failure& f) { unread_.push_back(describe(f.error)); })};

    template <class F, class... A>
    auto run(F&& f, A&&... a) {
        return rt_.block_on(std::forward<F>(f), std::forward<A>(a)...);
    }
    // By what f gives alone: to start each closure by its own type is a fifth of what the compiler does.
    template <class F>
    auto run(F&& f) {
        return rt_.block_on(std::function<std::invoke_result_t<F&>()>(std::ref(f)));
    }
    counted object() { return counted(objects_); }
    /// Since the runtime was made.
    tenure::base::duration elapsed() { return rt_.now() - start_; }
    /// Runs everything that is submitted until nothing is left to do or d of virtual time is over.
    void advance(tenure::base::duration d) { run(nap, d); }

    void TearDown() override {
        EXPECT_TRUE(rt_.close().abandoned.empty());
        const audit_report a = rt_.audit();
        EXPECT_EQ(a.tasks, 0u);
        EXPECT_EQ(a.timers, 0u);
        EXPECT_EQ(a.callbacks, 0u);
        EXPECT_EQ(objects_.alive, 0);
        EXPECT_EQ(unread_, expected_unread_);
    }

private:
    const tenure::base::time_point start_ = rt_.now();
};

} // namespace core_test
