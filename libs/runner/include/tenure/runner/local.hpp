// The runners of this process: inline_runner and threads.
#pragma once
#include <tenure/runner/detail/places.hpp>
#include <tenure/runner/runner.hpp>

namespace tenure::inline v0::runner {

/// Runs a job on the worker of the task that awaits it, in the middle of it: for tests, for jobs that are short, and to take
/// all concurrency out of a program.
/// Cancel: a running job can see it, and is waited for. A job must not wait for futures: its worker would stand still
///   (usage_error).
class inline_runner final : public runner {
public:
    core::task<> run(job& j) override;
    unsigned width() const noexcept override { return 0; }
    bool is_here() const noexcept override { return true; }
    std::string_view kind() const noexcept override { return "inline"; }
};

/// Runs jobs on threads that may block, at most n at once; more wait in the order in which they came. The threads are those of
/// core::run_blocking: made when they are needed, at most runtime_options::blocking_threads of them.
/// Calls inside of calls: a job that waits for a future does not count; calls that were made inside of it, directly or not, have
///   its place meanwhile, and it goes on when that is free again. So it can wait for them, also with n = 1; not for calls that
///   others made later than it, and not while it holds a lock that they take.
/// Cancel: as core::run_blocking: a running job is waited for, since no thread can be ended, and a value that it returns is kept.
class threads final : public runner {
public:
    /// Throws: usage_error for 0.
    explicit threads(unsigned n);
    core::task<> run(job& j) override;
    unsigned width() const noexcept override { return width_; }
    bool is_here() const noexcept override { return true; }
    std::string_view kind() const noexcept override { return "threads"; }

private:
    const unsigned width_;
    detail::places places_;
};

} // namespace tenure::inline v0::runner
