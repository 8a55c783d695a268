#pragma once

#include <optional>
#include <sys/types.h>
#include <termios.h>

namespace tenure::inline v0::app {

/// The foreground of a terminal, lent by the engine's process group to an item's, and handed back.
/// The caller has SIGTTOU blocked, which lets a background process change the foreground.
class terminal_loan {
public:
    terminal_loan() = default;
    /// Keeps the terminal's modes if the owner has it: make it before the item starts, which may change them at once.
    /// `terminal` is borrowed and stays open as long as this is used.
    terminal_loan(int terminal, pid_t owner_group);

    /// A background job must not take the foreground from the shell: lend only if this is true.
    bool owner_has_it() const;

    /// The item has it, or will have it when it runs: it takes it itself at its start.
    void lent_to(pid_t group);

    /// Hands it back, if it is lent and still with the item or with a group that is dead. Another group has
    /// it rightfully: a shell's.
    void take_back();

    /// The modes from before the loan, which an item that was killed could not restore itself.
    void restore_modes();

private:
    int terminal_ = -1;
    pid_t owner_ = -1;
    pid_t borrower_ = -1; // -1: not lent
    std::optional<termios> modes_;
};

} // namespace tenure::inline v0::app
