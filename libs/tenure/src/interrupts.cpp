#include "interrupts.hpp"

#include <tenure/base/error.hpp>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>
#include <system_error>
#include <type_traits>
#include <unistd.h>

namespace tenure::inline v0::detail {
namespace {

// A handler reaches only what is global. Writers: the constructor, before the handler is set; the handler. Readers: the
// handler, on any thread. Sequentially consistent: signals are rare.
std::atomic<bool> taken{false};
std::atomic<int> first_signal{0};
std::atomic<bool> first_heard{false};
std::atomic<int> second_signal{0};
std::atomic<int> wake_fd{-1};
std::atomic<pid_t> owner{0};
static_assert(std::atomic<int>::is_always_lock_free && std::is_same_v<pid_t, int>);

// Calls only what is async-signal-safe.
extern "C" void on_signal(int signo) {
    const int saved = errno;
    if (::getpid() != owner.load()) { // a fork() of the program's own: not our process
        std::signal(signo, SIG_DFL);
        ::raise(signo);
    } else {
        int none = 0;
        if (!first_signal.compare_exchange_strong(none, signo)) {
            none = 0;
            if (!first_heard || !second_signal.compare_exchange_strong(none, signo)) ::_exit(128 + signo);
        }
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t n = ::write(wake_fd.load(), &one, sizeof one);
    }
    errno = saved;
}

} // namespace

interrupts::interrupts(bool active) {
    if (taken.exchange(true))
        throw base::usage_error(
            "run: another run() is under way in this process; spawn tasks in that one instead");
    try {
        wake_ = io::unique_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!wake_) throw std::system_error(errno, std::system_category(), "run: eventfd");
        first_heard = false;
        second_signal = 0;
        first_signal = 0;
        wake_fd = wake_.get();
        owner = ::getpid();
        struct sigaction ours{};
        ours.sa_handler = on_signal;
        ours.sa_flags = SA_RESTART;
        sigemptyset(&ours.sa_mask);
        for (auto& r : replaced_) {
            if (!active) continue;
            if (::sigaction(r.signo, nullptr, &r.before) != 0 || r.before.sa_handler == SIG_IGN) continue;
            r.ours = ::sigaction(r.signo, &ours, nullptr) == 0;
        }
    } catch (...) {
        taken = false;
        throw;
    }
}

interrupts::~interrupts() {
    for (auto& r : replaced_)
        if (r.ours) ::sigaction(r.signo, &r.before, nullptr);
    wake_fd = -1; // a handler that runs on another thread right now writes nowhere
    taken = false;
}

int interrupts::heard() noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t n =
        ::read(wake_.get(), &count, sizeof count); // first: or it would eat the second one's
    first_heard = true;
    return first_signal;
}
int interrupts::second() const noexcept { return second_signal; }

} // namespace tenure::inline v0::detail
