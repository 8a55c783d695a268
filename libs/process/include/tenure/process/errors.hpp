// What can go wrong in a worker process. These errors own only text and numbers: never a task, a future or a pool.
#pragma once
#include <tenure/base/error.hpp>

#include <memory>
#include <string>
#include <sys/types.h>
#include <utility>

namespace tenure::inline v0::process {

/// The worker that ran the call has ended before the call had: by a signal, by exit(), or because it was killed. The call may
/// have been run in part; it is not run again.
class worker_died : public base::error {
public:
    struct traces {
        std::string stderr_tail;
        std::string backtrace;
    };
    worker_died(const std::string& what, pid_t pid, int signal, int exit_status, traces left = {})
        : error(what),
          pid_(pid),
          signal_(signal),
          exit_status_(exit_status),
          left_(std::make_shared<traces>(std::move(left))) {}
    pid_t pid() const noexcept { return pid_; }
    /// The one that ended it; 0: it exited by itself.
    int signal() const noexcept { return signal_; }
    /// If signal() is 0.
    int exit_status() const noexcept { return exit_status_; }
    /// The last 4 KiB that it had written there; in what(), too. Empty if the pool does not read its output
    /// (worker_output::inherited).
    const std::string& stderr_tail() const noexcept { return left_->stderr_tail; }
    /// Where it crashed by SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGABRT (std::terminate, too): a line for each function, innermost
    /// first, "module+offset function"; in what(), too. addr2line tells the source lines. Empty if the program, or a
    /// sanitizer, handles the signal itself.
    const std::string& backtrace() const noexcept { return left_->backtrace; }

private:
    pid_t pid_;
    int signal_;
    int exit_status_;
    std::shared_ptr<const traces> left_; // shared: copying an exception must not throw
};

/// Workers cannot be started, or end before they are ready, again and again.
class start_error : public base::error {
public:
    using error::error;
};

/// Where an exception came from that a call threw in a worker. A type that is known here is thrown as `remote<type>`, so that
/// it is caught as itself; any other as `remote<runner::remote_error>`, which names it.
class remote_info {
public:
    remote_info(std::string type, pid_t pid)
        : type_(std::make_shared<std::string>(std::move(type))), pid_(pid) {}
    /// As the worker names it: "std::out_of_range".
    const std::string& type() const noexcept { return *type_; }
    pid_t pid() const noexcept { return pid_; }

private:
    std::shared_ptr<const std::string> type_; // shared: copying an exception must not throw
    pid_t pid_;
};

template <class E>
class remote final : public E, public remote_info {
public:
    remote(const E& e, remote_info from) : E(e), remote_info(std::move(from)) {}
};

} // namespace tenure::inline v0::process
