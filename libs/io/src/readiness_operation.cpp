#include <tenure/base/error.hpp>
#include <tenure/core/operation.hpp>
#include <tenure/io/detail/readiness_operation.hpp>

#include <cerrno>
#include <csignal>
#include <poll.h>
#include <pthread.h>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::io::detail {
namespace {

// poll() says writable when this much fits.
constexpr std::size_t fits_surely = 4096;

// Blocks SIGPIPE on this thread and takes away the one that a write has caused, whatever the program has set for it.
class sigpipe_guard {
public:
    sigpipe_guard() noexcept {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_, &old_);
        if (sigismember(&old_, SIGPIPE) == 1) {
            sigset_t pending;
            sigpending(&pending);
            was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        }
    }
    sigpipe_guard(const sigpipe_guard&) = delete;
    sigpipe_guard& operator=(const sigpipe_guard&) = delete;
    ~sigpipe_guard() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }
    void caused_one() noexcept {
        if (was_pending_) return;
        const timespec at_once{};
        while (sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {}
    }

private:
    sigset_t pipe_, old_;
    bool was_pending_ = false;
};

ssize_t write_to_pipe(int fd, std::string_view from) noexcept {
    sigpipe_guard guard;
    const ssize_t n = ::write(fd, from.data(), from.size());
    if (n < 0 && errno == EPIPE) {
        guard.caused_one();
        errno = EPIPE;
    }
    return n;
}

} // namespace

bool poll_says_ready(int fd, direction d) noexcept {
    pollfd p{fd, static_cast<short>(d == direction::read ? POLLIN : POLLOUT), 0};
    return ::poll(&p, 1, 0) != 0;
}

ssize_t try_read_once(const io_target& t, std::span<char> to) noexcept {
    if (is_shared(t.kind) && !poll_says_ready(t.fd, direction::read)) return errno = EAGAIN, -1;
    for (;;) {
        const ssize_t n = ::read(t.fd, to.data(), to.size());
        if (n >= 0 || errno != EINTR) return n;
    }
}

ssize_t try_write_once(const io_target& t, std::string_view from) noexcept {
    if (is_shared(t.kind)) {
        if (!poll_says_ready(t.fd, direction::write)) return errno = EAGAIN, -1;
        from = from.substr(0, fits_surely);
    }
    for (;;) {
        ssize_t n = 0;
        switch (t.kind) {
        case io_kind::socket:
        case io_kind::shared_socket:
            n = ::send(t.fd, from.data(), from.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            break;
        case io_kind::pipe:
        case io_kind::shared_pipe: n = write_to_pipe(t.fd, from); break;
        case io_kind::other:
        case io_kind::shared_other: n = ::write(t.fd, from.data(), from.size()); break;
        }
        if (n >= 0 || errno != EINTR) return n;
    }
}

bool readiness_operation::would_block() noexcept {
    if (errno == EAGAIN) return true;
    error_ = errno;
    return false;
}

void readiness_operation::check() {
    const char* verb = side_ == direction::read ? "read" : "write";
    const int error = std::exchange(error_, 0);
    switch (std::exchange(refused_, refusal::none)) {
    case refusal::none: break;
    case refusal::busy:
        throw base::usage_error(std::string(name_) + ": another task waits already to " + verb +
                                " on this descriptor; one task for each direction");
    case refusal::closed: throw base::closed_error(std::string(name_) + ": the descriptor has been closed");
    case refusal::foreign:
        throw base::usage_error(std::string(name_) +
                                ": the descriptor belongs to another runtime; make it inside a task of "
                                "this one, or hand over this one's driver");
    }
    if (error != 0) throw std::system_error(error, std::system_category(), name_);
}

bool readiness_operation::try_once() noexcept {
    const auto seen = target_.at->peek(target_.slot, side_);
    if (seen.closed) {
        refused_ = refusal::closed;
        return true;
    }
    seen_ = seen.events;
    return attempt(seen.ready);
}

bool readiness_operation::ready() {
    if (!target_.at) refused_ = refusal::closed;
    const bool ended = refused_ != refusal::none || try_once();
    tried_ = !ended;
    return ended;
}

void readiness_operation::start(core::detail::strand& s, core::detail::frame&) {
    s.next = core::detail::step::resume;
    if (!std::exchange(tried_, false) && ready()) return;
    tried_ = false;
    if (target_.at->driver() != &s.sched->io()) {
        refused_ = refusal::foreign;
        return;
    }
    wait(s);
}

// Leaves in s.next: park, or resume when it has ended.
void readiness_operation::wait(core::detail::strand& s) noexcept {
    waiting_ = &s;
    for (;;) {
        s.wait(this, this);
        switch (target_.at->wait(target_.slot, side_, seen_, s)) {
        case registry::wait_result::waits: return;
        case registry::wait_result::ready:
            if (!try_once()) continue;
            break;
        case registry::wait_result::busy: refused_ = refusal::busy; break;
        case registry::wait_result::closed: refused_ = refusal::closed; break;
        case registry::wait_result::failed:
            error_ = errno;
            name_ = "epoll_ctl";
            break;
        }
        s.next = core::detail::step::resume;
        return;
    }
}

void readiness_operation::woken(core::detail::strand& s) noexcept {
    if (try_once()) return;
    // A hint that came together with the completion is lost (state_word.hpp): look before parking again.
    if (s.cancelled())
        s.next = core::detail::step::unwind;
    else
        wait(s);
}

bool readiness_wait::attempt(bool known_ready) noexcept {
    // A report may be older than the attempt that found it empty: another worker fetched it before, and delivered it after.
    return (known_ready || is_shared(target_.kind)) && poll_says_ready(target_.fd, side_);
}

bool read_operation::attempt(bool) noexcept {
    const ssize_t n = try_read_once(target_, to_);
    if (n < 0) return !would_block();
    done_ = static_cast<std::size_t>(n);
    return true;
}

bool write_operation::attempt(bool) noexcept {
    while (done_ < from_.size()) {
        const ssize_t n = try_write_once(target_, from_.substr(done_));
        if (n < 0) return !would_block();
        done_ += static_cast<std::size_t>(n);
        if (!all_) break;
    }
    return true;
}

} // namespace tenure::inline v0::io::detail
