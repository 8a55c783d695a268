#include "interrupts.hpp"

#include <tenure/core/event.hpp>
#include <tenure/core/group.hpp>
#include <tenure/core/scope.hpp>
#include <tenure/core/this_task.hpp>
#include <tenure/io/descriptor.hpp>
#include <tenure/process/enter_worker.hpp>
#include <tenure/run.hpp>

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <iostream>
#include <string>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::detail {
namespace {

using core::future;
using core::group;
using core::task;

constexpr int software_error = 70; // EX_SOFTWARE of sysexits.h

void say(const std::string& line) { std::fputs((line + '\n').c_str(), stderr); }

const char* name_of(int signo) { return signo == SIGINT ? "SIGINT" : "SIGTERM"; }

/// Returns when the root task has ended, or when its grace after a signal is over, which a second one ends at once.
/// Says which signal cut it short, or 0.
task<int> until_over(future<std::optional<int>> root, interrupts& signals, base::duration grace) {
    const io::descriptor signalled(io::unique_fd(::fcntl(signals.fd(), F_DUPFD_CLOEXEC, 0)),
                                   io::sharing::shared);
    core::event over;
    int interrupted_by = 0;
    auto body = [&](group g) -> task<> {
        auto watch_root = [&]() -> task<> {
            (void)co_await root.join();
            over.set();
        };
        auto watch_signals = [&]() -> task<> {
            auto next_signal = [&]() -> task<> { co_await signalled.readable(); };
            co_await next_signal();
            const int signo = signals.heard();
            if (root.cancel(std::string("interrupted by ") + name_of(signo))) interrupted_by = signo;
            (void)co_await core::move_on_after(grace, next_signal);
            over.set();
        };
        auto a = g.spawn({.name = "wait for app"}, watch_root);
        auto b = g.spawn({.name = "wait for signals"}, watch_signals);
        co_await over.wait();
        (void)co_await a.cancel_and_join();
        (void)co_await b.cancel_and_join();
    };
    co_await core::with_group(body);
    co_return interrupted_by;
}

int status_after(const future<std::optional<int>>& root, int interrupted_by) {
    const auto outcome = root.try_outcome();
    const int otherwise = interrupted_by ? 128 + interrupted_by : 0;
    if (!outcome) return otherwise;
    if (outcome->has_value()) return outcome->value().value_or(otherwise);
    if (outcome->has_failed())
        say("error: " + base::describe(outcome->error()));
    else if (!interrupted_by)
        say("error: cancelled: " +
            (outcome->why() ? outcome->why()->message : std::string("no cause given")));
    return interrupted_by ? otherwise : 1;
}

[[noreturn]] void leave(const std::vector<base::task_label>& abandoned, int status) {
    for (const auto& label : abandoned)
        say("abandoned: " + to_string(label));
    std::cout.flush();
    std::fflush(nullptr);
    // What they use must live as long as they do, so nothing is destroyed.
    ::_exit(status);
}

} // namespace

int run_app(app_function app, run_options o) {
    if (core::this_task::label().id != 0)
        throw base::usage_error(
            "run: called from inside a task; it is for main(). co_await the function instead");
    if (const auto status = process::enter_worker()) return *status;
    interrupts signals(o.handle_signals);
    runtime rt({.threads = o.threads, .at_end = o.at_end});
    const auto root = rt.submit({.name = "app"}, std::move(app), std::ref(rt));
    int interrupted_by = rt.block_on(until_over, core::as_handle(root), std::ref(signals), o.grace);

    // It had its time to clean up.
    if (root.status() == core::task_status::pending) o.at_end.drain = o.at_end.grace = base::duration::zero();
    const close_report closed = rt.close(o.at_end);
    const int hurried_by = signals.second();
    if (hurried_by) interrupted_by = hurried_by;
    int status = status_after(root, interrupted_by);
    for (const auto& e : closed.errors) {
        say("error: in a close hook: " + base::describe(e));
        if (status == 0) status = 1;
    }
    if (!closed.abandoned.empty()) leave(closed.abandoned, hurried_by ? 128 + hurried_by : software_error);

    const audit_report left = rt.audit();
    if (!left.clean())
        say("left behind: " + std::to_string(left.tasks) + " tasks, " + std::to_string(left.timers) +
            " timers, " + std::to_string(left.descriptors) + " descriptors, " +
            std::to_string(left.processes) + " processes");
    return status;
}

} // namespace tenure::inline v0::detail
