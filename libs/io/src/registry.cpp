#include <tenure/io/detail/registry.hpp>

#include <cerrno>
#include <ctime>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::io::detail {
namespace {

constexpr std::uint32_t no_slot = UINT32_MAX;
constexpr std::uint64_t wake_data = UINT64_MAX; // index no_slot: never a registration's
constexpr int events_per_look = 64;

constexpr std::uint32_t read_events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t write_events = EPOLLOUT | EPOLLHUP | EPOLLERR;

std::uint64_t to_data(registration r) noexcept { return std::uint64_t(r.generation) << 32 | r.index; }
registration from_data(std::uint64_t d) noexcept {
    return {static_cast<std::uint32_t>(d), static_cast<std::uint32_t>(d >> 32)};
}

unique_fd checked(int fd, const char* call) {
    if (fd < 0) throw std::system_error(errno, std::system_category(), std::string("epoll driver: ") + call);
    return unique_fd(fd);
}

// The registry whose poll() completes operations on this thread at the moment, and returns right after.
thread_local const registry* about_to_return = nullptr;

// For kernels without epoll_pwait2 (before 5.11, some sandboxes). Rounded up: a wait must not end before its time.
int wait_in_milliseconds(int epoll, epoll_event* out, int room, const base::duration* d) noexcept {
    int timeout = -1;
    if (d) {
        const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*d).count();
        timeout = ms > INT32_MAX ? INT32_MAX : static_cast<int>(ms);
    }
    return ::epoll_wait(epoll, out, room, timeout);
}

int wait_precisely(int epoll, epoll_event* out, int room, const base::duration* d) noexcept {
    // Relaxed: a hint that spares a useless call; each thread would find out by itself.
    static std::atomic<bool> missing{false};
    if (!missing.load(std::memory_order_relaxed)) {
        timespec ts{};
        if (d) {
            const auto s = std::chrono::floor<std::chrono::seconds>(*d);
            ts = {static_cast<time_t>(s.count()), static_cast<long>((*d - s).count())};
        }
        // By number: the C library's wrapper came later than the call. The last argument is the size of the kernel's mask.
        const long n =
            ::syscall(SYS_epoll_pwait2, epoll, out, room, d ? &ts : nullptr, nullptr, std::size_t(8));
        if (n >= 0 || errno != ENOSYS) return static_cast<int>(n);
        missing.store(true, std::memory_order_relaxed);
    }
    return wait_in_milliseconds(epoll, out, room, d);
}

} // namespace

registry::registry(const core::driver& of)
    : epoll_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      wake_(checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")),
      driver_(&of),
      free_(no_slot) {
    epoll_event e{};
    e.events = EPOLLIN | EPOLLET;
    e.data.u64 = wake_data;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &e) != 0)
        throw std::system_error(errno, std::system_category(), "epoll driver: epoll_ctl");
}

registration registry::open(int fd) {
    base::mutex_lock l(m_);
    std::uint32_t i = free_;
    if (i == no_slot) {
        i = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
    } else {
        free_ = slots_[i].next_free;
    }
    slot& s = slots_[i];
    s.fd = fd;
    s.state = slot_state::idle;
    s.sides[0] = s.sides[1] = {};
    ++open_;
    return {i, s.generation};
}

void registry::close(registration r) noexcept {
    core::detail::strand* waiters[2] = {};
    {
        base::mutex_lock l(m_);
        slot* s = find(r);
        if (!s) return;
        if (s->state == slot_state::watched) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, s->fd, nullptr);
        for (int d = 0; d < 2; ++d)
            waiters[d] = std::exchange(s->sides[d].waiter, nullptr);
        s->state = slot_state::free;
        s->fd = -1;
        ++s->generation;
        s->next_free = std::exchange(free_, r.index);
        --open_;
    }
    for (auto* w : waiters)
        if (w) w->complete();
}

registry::slot* registry::find(registration r) noexcept {
    if (r.index >= slots_.size()) return nullptr;
    slot& s = slots_[r.index];
    return s.generation == r.generation && s.state != slot_state::free ? &s : nullptr;
}

registry::look registry::peek(registration r, direction d) noexcept {
    base::mutex_lock l(m_);
    const slot* s = find(r);
    if (!s) return {.closed = true};
    const side& here = s->sides[static_cast<int>(d)];
    return {.events = here.events,
            .ready = here.events != here.drained || s->state == slot_state::always_ready};
}

void registry::drained(registration r, direction d, std::uint32_t events) noexcept {
    base::mutex_lock l(m_);
    if (slot* s = find(r)) s->sides[static_cast<int>(d)].drained = events;
}

// False: epoll refuses it, errno says why.
bool registry::watch(registration r, slot& s) noexcept {
    epoll_event e{};
    e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    e.data.u64 = to_data(r);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, s.fd, &e) == 0) {
        s.state = slot_state::watched; // what is there already is reported as if it had just come
        return true;
    }
    if (errno != EPERM) return false;
    s.state = slot_state::always_ready; // regular files, directories, /dev/null
    return true;
}

registry::wait_result registry::wait(registration r, direction d, std::uint32_t events,
                                     core::detail::strand& w) noexcept {
    base::mutex_lock l(m_);
    slot* s = find(r);
    if (!s) return wait_result::closed;
    side& here = s->sides[static_cast<int>(d)];
    if (here.waiter) return wait_result::busy;
    if (s->state == slot_state::idle && !watch(r, *s)) return wait_result::failed;
    here.drained = events;
    if (here.events != here.drained || s->state == slot_state::always_ready) return wait_result::ready;
    here.waiter = &w;
    return wait_result::waits;
}

bool registry::withdraw(registration r, direction d, core::detail::strand& w) noexcept {
    base::mutex_lock l(m_);
    slot* s = find(r);
    if (!s || s->sides[static_cast<int>(d)].waiter != &w) return false;
    s->sides[static_cast<int>(d)].waiter = nullptr;
    return true;
}

int registry::wait_for_events(epoll_event* out, int room, base::time_point until, bool& looked_only) {
    base::duration d{};
    if (until == base::never) {
        looked_only = false;
    } else {
        const auto now = std::chrono::steady_clock::now();
        looked_only = until <= now;
        if (!looked_only) d = until - now;
    }
    const int n = looked_only ? ::epoll_wait(epoll_.get(), out, room, 0)
                              : wait_precisely(epoll_.get(), out, room, until == base::never ? nullptr : &d);
    if (n >= 0) return n;
    if (errno == EINTR) return 0; // park() may return early
    throw std::system_error(errno, std::system_category(), "epoll driver: epoll_wait");
}

void registry::poll(base::time_point until) {
    epoll_event events[events_per_look];
    bool looked_only = false;
    int count = wait_for_events(events, events_per_look, until, looked_only);
    deliver(events, count, !looked_only);
    // More than fits into one look: the rest must not wait until this worker has run all that it found.
    while (count == events_per_look) {
        count = wait_for_events(events, events_per_look, base::time_point::min(), looked_only);
        deliver(events, count, false);
    }
}

void registry::deliver(const epoll_event* events, int count, bool returning) noexcept {
    core::detail::strand* woken[2 * events_per_look];
    int waiters = 0;
    {
        base::mutex_lock l(m_);
        for (int i = 0; i < count; ++i) {
            if (events[i].data.u64 == wake_data) continue;
            slot* s = find(from_data(events[i].data.u64));
            if (!s) continue; // invariant 4
            for (int d = 0; d < 2; ++d) {
                if (!(events[i].events & (d == 0 ? read_events : write_events))) continue;
                ++s->sides[d].events;
                if (auto* w = std::exchange(s->sides[d].waiter, nullptr)) woken[waiters++] = w;
            }
        }
    }
    // Completing pushes to the run queue, which wants an idle worker to wake up: that is this one. Not so after a mere
    // look, which a busy worker may have made.
    if (returning) about_to_return = this;
    for (int i = 0; i < waiters; ++i)
        woken[i]->complete();
    about_to_return = nullptr;
}

void registry::unpark() noexcept {
    if (about_to_return == this) return;
    const std::uint64_t one = 1;
    // It can only fail when the counter is full, after 2^64 calls.
    [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

void registry::child_started() noexcept {
    base::mutex_lock l(m_);
    ++children_;
}
void registry::child_reaped() noexcept {
    base::mutex_lock l(m_);
    --children_;
}
core::driver_usage registry::usage() noexcept {
    base::mutex_lock l(m_);
    return {.descriptors = open_, .processes = children_};
}

} // namespace tenure::inline v0::io::detail
