#include "proc/terminal_loan.hpp"

#include <cerrno>
#include <csignal>
#include <unistd.h>

namespace tenure::inline v0::app {

terminal_loan::terminal_loan(int terminal, pid_t owner_group) : terminal_(terminal), owner_(owner_group) {
    termios now{};
    if (owner_has_it() && tcgetattr(terminal_, &now) == 0) modes_ = now;
}

bool terminal_loan::owner_has_it() const { return terminal_ >= 0 && tcgetpgrp(terminal_) == owner_; }

void terminal_loan::lent_to(pid_t group) { borrower_ = group; }

void terminal_loan::take_back() {
    if (borrower_ < 0) return;
    const pid_t holder = tcgetpgrp(terminal_);
    const bool dead = holder > 1 && kill(-holder, 0) < 0 && errno == ESRCH;
    if (holder == borrower_ || holder <= 0 || dead) tcsetpgrp(terminal_, owner_);
    borrower_ = -1;
}

void terminal_loan::restore_modes() {
    if (modes_ && owner_has_it()) tcsetattr(terminal_, TCSADRAIN, &*modes_);
}

} // namespace tenure::inline v0::app
