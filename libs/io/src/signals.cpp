#include <tenure/io/signals.hpp>

#include <cerrno>
#include <pthread.h>
#include <sys/signalfd.h>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::io {

signal_set::signal_set(std::initializer_list<int> signals) {
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int s : signals)
        if (sigaddset(&wanted, s) != 0)
            throw std::system_error(errno, std::system_category(), "signal_set: sigaddset");
    fd_ = unique_fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd_) throw std::system_error(errno, std::system_category(), "signal_set: signalfd");
    if (const int e = pthread_sigmask(SIG_BLOCK, &wanted, &old_))
        throw std::system_error(e, std::system_category(), "signal_set: pthread_sigmask");
}

signal_set::~signal_set() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }

detail::signal_operation signal_set::next() {
    if (!source_) source_.emplace(epoll_driver::current(), std::move(fd_));
    return detail::signal_operation(source_->target());
}

bool detail::signal_operation::attempt(bool) noexcept {
    signalfd_siginfo raw;
    const ssize_t n = try_read_once(target_, {reinterpret_cast<char*>(&raw), sizeof raw});
    if (n < 0) return !would_block();
    info_ = {.signo = static_cast<int>(raw.ssi_signo),
             .code = raw.ssi_code,
             .pid = static_cast<pid_t>(raw.ssi_pid),
             .uid = raw.ssi_uid,
             .status = raw.ssi_status};
    return true;
}

} // namespace tenure::inline v0::io
