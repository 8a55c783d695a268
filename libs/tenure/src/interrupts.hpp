// SIGINT and SIGTERM of a program that runs under run(): the first is told, the second ends the process.
#pragma once
#include <tenure/io/unique_fd.hpp>

#include <csignal>

namespace tenure::inline v0::detail {

/// Handles the signals from construction to destruction, which restores what was set before.
/// A handler, not a signalfd with blocked signals: the second signal must work when no task gets to run, and programs that
/// are started meanwhile inherit no mask.
/// Threads: one object at a time in a process; the constructor throws usage_error otherwise.
class interrupts {
public:
    /// `active` false: handles nothing, only forbids a second one.
    explicit interrupts(bool active);
    interrupts(const interrupts&) = delete;
    interrupts& operator=(const interrupts&) = delete;
    ~interrupts();

    /// Becomes readable with the first signal.
    int fd() const noexcept { return wake_.get(); }
    /// The first signal that came; 0: none.
    int signal() const noexcept;

private:
    struct replaced {
        int signo;
        struct sigaction before{};
        bool ours = false;
    };
    io::unique_fd wake_;
    replaced replaced_[2] = {{SIGINT}, {SIGTERM}};
};

} // namespace tenure::inline v0::detail
