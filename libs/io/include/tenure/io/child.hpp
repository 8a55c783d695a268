// child: a process that a task waits for, ends and reaps.
#pragma once
#include <tenure/io/descriptor.hpp>
#include <tenure/io/spawn.hpp>

namespace tenure::inline v0::io {

/// How a process ended, and the CPU time that it and the children it waited for have used.
struct exit_status {
    int code = 0;   // if signal is 0
    int signal = 0; // the one that ended it; 0: it exited by itself
    base::duration user{};
    base::duration system{};

    bool success() const noexcept { return code == 0 && signal == 0; }
};

class child;
namespace detail {

class exit_operation final : public readiness_operation {
public:
    explicit exit_operation(child& of) noexcept;
    exit_status result();

private:
    bool attempt(bool known_ready) noexcept override;
    child& child_;
};

} // namespace detail

/// A child process, held by its pidfd: whatever becomes of its number, no other process is ever hit.
/// Owner: reaps it. The destructor ends a child that is still there, with its group, by SIGKILL, and waits for that.
/// Threads: one task at a time.
class child {
public:
    /// Inside a task: takes over what spawn() started with `want_pidfd`. Throws: usage_error without an epoll driver;
    /// std::system_error. The process has been ended and reaped then.
    explicit child(spawned from);
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    ~child();

    pid_t pid() const noexcept { return pid_; }
    /// It is gone for good, and its number may belong to somebody else.
    bool reaped() const noexcept { return reaped_; }

    /// `exit_status s = co_await c.exited()`: waits for its end and reaps it; asked again it says the same.
    /// Cancel: the wait ends; the child is neither ended nor reaped.
    /// Throws: std::system_error (ECHILD: somebody else reaps this program's children, by SIG_IGN or waitpid(-1)).
    auto exited() noexcept { return detail::exit_operation(*this); }
    /// `co_await c.ended()`: waits for its end and leaves it as a zombie, so that its group may still be signalled.
    auto ended() const noexcept { return pidfd_.readable(); }

    /// To it and all of its process group. Does nothing once it was reaped.
    void signal_group(int signo) const noexcept;

private:
    friend class detail::exit_operation;
    /// True: it was reaped, now or before, or error_ says why that cannot be.
    bool try_reap(int flags) noexcept;

    pid_t pid_;
    descriptor pidfd_;
    exit_status status_;
    int error_ = 0;
    bool reaped_ = false;
};

} // namespace tenure::inline v0::io
