#include <tenure/base/error.hpp>
#include <tenure/io/child.hpp>

#include <cerrno>
#include <csignal>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::io {
namespace {

base::duration to_duration(const timeval& t) noexcept {
    return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
}

descriptor watch_or_end(spawned& from) {
    if (!from || from.pid <= 0)
        throw base::usage_error("child: the start has failed; look at its error first");
    try {
        if (!from.pidfd) throw base::usage_error("child: start it with want_pidfd");
        return descriptor(std::move(from.pidfd));
    } catch (...) { // nobody else will look after it
        ::kill(-from.pid, SIGKILL);
        while (::waitpid(from.pid, nullptr, 0) < 0 && errno == EINTR) {}
        throw;
    }
}

} // namespace

child::child(spawned from) : pid_(from.pid), pidfd_(watch_or_end(from)) {
    pidfd_.target().at->child_started();
}

child::~child() {
    if (reaped_) return;
    signal_group(SIGKILL);
    try_reap(0);
}

void child::signal_group(int signo) const noexcept {
    if (!reaped_) ::kill(-pid_, signo);
}

bool child::try_reap(int flags) noexcept {
    if (reaped_) return true;
    siginfo_t info{};
    rusage used{};
    long result = 0;
    if (!flags) { // a non-blocking pidfd would not wait; P_PID is safe, the number is ours until we reap it
        do
            result = ::syscall(SYS_waitid, P_PID, pid_, &info, WEXITED, &used);
        while (result < 0 && errno == EINTR);
    } else {
        result = ::syscall(SYS_waitid, P_PIDFD, pidfd_.fd(), &info, WEXITED | flags, &used);
    }
    if (result == 0 && info.si_pid == 0) return false;
    if (result < 0) error_ = errno;
    reaped_ = true; // or it cannot be: nothing is left that we could wait for or signal
    pidfd_.target().at->child_reaped();
    (info.si_code == CLD_EXITED ? status_.code : status_.signal) = info.si_status;
    status_.user = to_duration(used.ru_utime);
    status_.system = to_duration(used.ru_stime);
    return true;
}

namespace detail {

exit_operation::exit_operation(child& of) noexcept
    : readiness_operation(of.pidfd_.target(), direction::read, "exited"), child_(of) {}

bool exit_operation::attempt(bool) noexcept { return child_.try_reap(WNOHANG); }

exit_status exit_operation::result() {
    check();
    if (child_.error_ != 0)
        throw std::system_error(
            child_.error_, std::system_category(),
            "waiting for a child: does this program ignore SIGCHLD, or wait for any child?");
    return child_.status_;
}

} // namespace detail
} // namespace tenure::inline v0::io
