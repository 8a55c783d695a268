// Five ways in which a cancelled program leaves something behind, each beside what Python's asyncio does (3.11 to 3.13).
#include <tenure/tenure.hpp>

#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

int wrong = 0;

void show(const std::string& title, const std::string& asyncio, const std::string& here, bool as_promised) {
    std::cout << title << "\n  asyncio: " << asyncio << "\n  tenure:  " << here
              << (as_promised ? "" : "   (WRONG)") << "\n";
    wrong += as_promised ? 0 : 1;
}

// 1. A timer that is armed in the cleanup of a cancelled task.
tenure::task<> late_callback() {
    auto fired = std::make_shared<bool>(false);
    auto cleanup = [](std::shared_ptr<bool> f) -> tenure::task<> {
        auto callback = [f] { *f = true; };
        tenure::call_later(20ms, callback, {.name = "late", .when_owner_ends = tenure::at_end::drop});
        co_return;
    };
    auto worker = [cleanup](std::shared_ptr<bool> f) -> tenure::task<> {
        co_await tenure::defer(1s, cleanup, f);
        co_await tenure::sleep_for(1h);
    };
    auto body = [&](tenure::group g) -> tenure::task<> {
        auto task = g.spawn(worker, fired);
        co_await tenure::sleep_for(1ms);
        (void)co_await task.cancel_and_join();
        co_await tenure::sleep_for(40ms);
    };
    co_await tenure::with_group(body);
    const bool kept = fired.use_count() > 1;
    show("late callback, armed in cleanup",
         "the task is done, then the timer fires; it keeps what it captured",
         std::string(*fired ? "fired" : "never fired") + ", captures " + (kept ? "kept" : "freed"),
         !*fired && !kept);
}

// 2. A parent is cancelled while a grandchild works.
tenure::task<> nested_cancel() {
    bool ended = false;
    struct on_exit {
        bool& flag;
        ~on_exit() { flag = true; }
    };
    auto grandchild = [&]() -> tenure::task<> {
        const on_exit mark{ended};
        co_await tenure::sleep_for(1h);
    };
    auto child = [&]() -> tenure::task<> {
        auto inner = [&](tenure::group g) -> tenure::task<> {
            (void)g.spawn(grandchild);
            co_return;
        };
        co_await tenure::with_group(inner);
    };
    auto body = [&](tenure::group g) -> tenure::task<> {
        auto task = g.spawn(child);
        co_await tenure::sleep_for(1ms);
        (void)co_await task.cancel_and_join();
        show("nested cancel", "a grandchild made with create_task survives its parents",
             std::string("the grandchild ") + (ended ? "has ended" : "survived") + " when the child has",
             ended);
    };
    co_await tenure::with_group(body);
}

// 3. Work that swallows the cancellation of a timeout.
tenure::task<> swallowed_cancel() {
    auto stubborn = []() -> tenure::task<int> {
        (void)co_await tenure::as_outcome(tenure::sleep_for(1h));
        co_return 1; // as if nothing had been
    };
    std::string said = "no error";
    try {
        (void)co_await tenure::with_timeout(tenure::strict, 5ms, stubborn);
    } catch (const tenure::timeout_error&) {
        said = "timeout_error";
    }
    auto again = []() -> tenure::task<> {
        (void)co_await tenure::as_outcome(tenure::sleep_for(1h));
        co_await tenure::sleep_for(1h); // a cancellation does not wear off
    };
    const bool in_time = co_await tenure::move_on_after(5ms, again);
    show("swallowed cancel",
         "wait_for returns a normal value, late, and no TimeoutError; one swallowed cancel is gone",
         "strict: " + said + "; the next await is cancelled " + (in_time ? "not" : "again"),
         said == "timeout_error" && !in_time);
}

// 4. Two of a group's tasks fail, one of them while it cleans up.
tenure::task<> group_failure() {
    auto fails = []() -> tenure::task<> {
        co_await tenure::sleep_for(1ms);
        throw std::runtime_error("first");
    };
    auto cleanup = []() -> tenure::task<> {
        co_await tenure::sleep_for(2ms);
        throw std::runtime_error("in cleanup");
    };
    auto fails_too = [cleanup]() -> tenure::task<> {
        co_await tenure::defer(1s, cleanup);
        co_await tenure::sleep_for(1h);
    };
    std::size_t errors = 0;
    try {
        auto body = [&](tenure::group g) -> tenure::task<> {
            (void)g.spawn(fails);
            (void)g.spawn(fails_too);
            co_return;
        };
        co_await tenure::with_group(body);
    } catch (const tenure::group_error& e) {
        errors = e.errors().size();
    }
    show(
        "group failure",
        "TaskGroup waits for the slow cleanup and collects its error, too; a grandchild of its tasks escapes",
        std::to_string(errors) + " errors in one group_error, nothing left running", errors == 2);
}

// 5. A program that ends while a task would go on for ever.
void ordered_shutdown() {
    std::string log;
    std::size_t abandoned = 0;
    bool clean = false;
    {
        tenure::runtime rt({.threads = 1});
        rt.on_close([&] { log += " database"; });
        rt.on_close([&] { log += " cache"; });
        auto cleanup = [](std::string& l) -> tenure::task<> {
            co_await tenure::sleep_for(1ms);
            l += "task";
        };
        auto server = [&]() -> tenure::task<> {
            co_await tenure::defer(1s, cleanup, std::ref(log));
            co_await tenure::sleep_for(1h);
        };
        auto started = rt.submit(server);
        rt.block_on([]() -> tenure::task<> { co_await tenure::sleep_for(2ms); });
        abandoned = rt.close({.drain = 5ms, .grace = 10s}).abandoned.size();
        clean = rt.audit().clean();
    }
    show("ordered shutdown",
         "asyncio.run waits without bound for a task that swallows its cancel; a loop that is closed "
         "with a pending task says nothing",
         "ended: " + log + "; abandoned: " + std::to_string(abandoned) + "; audit " +
             (clean ? "clean" : "not clean"),
         log == "task cache database" && abandoned == 0 && clean);
}

tenure::task<int> app() {
    co_await late_callback();
    co_await nested_cancel();
    co_await swallowed_cancel();
    co_await group_failure();
    co_return wrong;
}

int main() {
    const int status = tenure::run(app);
    ordered_shutdown();
    return status != 0 ? status : wrong;
}
