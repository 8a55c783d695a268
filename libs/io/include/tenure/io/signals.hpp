// signal_set: signals as something a task waits for.
#pragma once
#include <tenure/io/descriptor.hpp>

#include <csignal>
#include <initializer_list>
#include <optional>

namespace tenure::inline v0::io {

/// A signal that came.
struct signal_info {
    int signo = 0;
    int code = 0;  // SI_USER, SI_KERNEL, CLD_EXITED, …
    pid_t pid = 0; // who sent it; 0: the kernel
    uid_t uid = 0;
    int status = 0; // SIGCHLD only
};

namespace detail {

class signal_operation final : public readiness_operation {
public:
    explicit signal_operation(io_target t) noexcept : readiness_operation(t, direction::read, "signals") {}
    signal_info result() {
        check();
        return info_;
    }

private:
    bool attempt(bool known_ready) noexcept override;
    signal_info info_;
};

} // namespace detail

/// Blocks the signals given for the calling thread and hands them to tasks: `auto s = co_await signals.next();`
/// Make it before other threads start (they inherit the mask): a thread that does not block a signal would get it instead.
/// So: before a runtime with workers, and on the thread that destroys it. Children that are started meanwhile inherit the
/// mask unless it is reset for them, as commands of this library do.
/// Owner: holds the descriptor. The destructor restores the thread's mask; a signal that came and was not read then takes
///   its usual course.
/// Threads: one task at a time waits.
class signal_set {
public:
    /// Throws: std::system_error (EINVAL: no such signal).
    explicit signal_set(std::initializer_list<int> signals);
    signal_set(const signal_set&) = delete;
    signal_set& operator=(const signal_set&) = delete;
    ~signal_set();

    /// `signal_info s = co_await signals.next();` Several signals of one kind that come together are one.
    /// Cancel: the wait ends, no signal is lost.
    /// Throws: usage_error without an epoll driver, or if the set was used in another runtime before.
    detail::signal_operation next();

private:
    sigset_t old_{};
    unique_fd fd_;                     // until the first next()
    std::optional<descriptor> source_; // from then on
};

} // namespace tenure::inline v0::io
