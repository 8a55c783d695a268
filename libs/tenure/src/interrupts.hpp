// SIGINT and SIGTERM of a program that runs under run(): two are told, the next ends the process.
//
// STATE  none -signal-> first -heard()-> heard -signal-> second; a signal in `first` or `second` ends the process in the
// handler, with 128 + its number. So a program in which no task gets to run ends with the second signal, any with the third.
#pragma once
#include <tenure/io/unique_fd.hpp>

#include <csignal>

namespace tenure::inline v0::detail {

/// Handles the signals from construction to destruction, which restores what was set before.
/// A handler, not a signalfd with blocked signals: the last signal must work when no task gets to run, and programs that
/// are started meanwhile inherit no mask.
/// Threads: one object at a time in a process; the constructor throws usage_error otherwise.
class interrupts {
public:
    /// `active` false: handles nothing, only forbids a second one.
    explicit interrupts(bool active);
    interrupts(const interrupts&) = delete;
    interrupts& operator=(const interrupts&) = delete;
    ~interrupts();

    /// Becomes readable with the first signal, and again with the second one.
    int fd() const noexcept { return wake_.get(); }
    /// Tells the handler that the first one is being dealt with; fd() is not readable any more. Returns which one it was.
    int heard() noexcept;
    /// The second signal; 0: none.
    int second() const noexcept;

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
