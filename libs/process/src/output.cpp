#include "output.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::process::detail {
namespace {

constexpr std::size_t longest_line = std::size_t{64} << 10; // bytes; longer ones come in pieces
constexpr std::size_t read_bytes = std::size_t{64} << 10;   // at once: a pipe
constexpr std::size_t tail_bytes = 4096;
constexpr std::size_t most_in_a_pipe = std::size_t{1} << 20; // what a user may set
constexpr std::size_t kept_of_ended = std::size_t{16}
                                      << 20; // bytes that wait to be taken; what is beyond is lost

io::unique_fd checked(int fd, const char* what) {
    if (fd < 0)
        throw std::system_error(errno, std::system_category(), std::string("process pool: output: ") + what);
    return io::unique_fd(fd);
}

/// How much of the text can be delivered: up to its last line's end, and whole pieces of a line that is too long.
std::size_t deliverable(const std::string& text) {
    const std::size_t at = text.rfind('\n');
    std::size_t n = at == std::string::npos ? 0 : at + 1;
    while (text.size() - n >= longest_line)
        n += longest_line;
    return n;
}

void write_all(int fd, std::string_view text) noexcept {
    while (!text.empty()) {
        const ssize_t n = write(fd, text.data(), text.size());
        if (n >= 0) {
            text.remove_prefix(static_cast<std::size_t>(n));
        } else if (errno == EAGAIN) {
            pollfd p{fd, POLLOUT, 0};
            poll(&p, 1, -1);
        } else if (errno != EINTR) {
            return; // nobody to write to
        }
    }
}

/// Calls f(text, complete) for each line, or piece of one.
template <class F>
void for_each_line(std::string_view rest, F f) {
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        const std::size_t n = std::min({end, rest.size(), longest_line});
        f(rest.substr(0, n), n == end);
        rest.remove_prefix(n == end ? n + 1 : n);
    }
}

} // namespace

worker_outputs::worker_outputs(const pool_options& o, hook report_to)
    : to_(o.on_output),
      report_to_(std::move(report_to)),
      epoll_(checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      stop_event_(checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {}
worker_outputs::~worker_outputs() = default;

std::array<io::unique_fd, 2> worker_outputs::add(std::uint64_t worker) {
    std::array<io::unique_fd, 2> theirs;
    streams ours;
    for (const int number : {1, 2}) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            throw std::system_error(errno, std::system_category(), "process pool: output: pipe2");
        auto s = std::make_unique<stream>();
        s->fd = io::unique_fd(ends[0]);
        theirs[static_cast<std::size_t>(number - 1)] = io::unique_fd(ends[1]);
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        s->worker = worker;
        s->number = number;
        ours.push_back(std::move(s));
    }
    base::mutex_lock l(m_);
    streams_.reserve(streams_.size() + ours.size());
    for (auto& s : ours) {
        epoll_event e{};
        e.events = EPOLLIN;
        e.data.ptr = s.get();
        // Without memory for it, it is read when the worker has ended.
        epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, s->fd.get(), &e);
        streams_.push_back(std::move(s));
    }
    return theirs;
}

void worker_outputs::started(std::uint64_t worker, pid_t pid) noexcept {
    base::mutex_lock l(m_);
    for (const auto& s : streams_)
        if (s->worker == worker) s->pid = pid;
}

std::string worker_outputs::ended(std::uint64_t worker) noexcept {
    base::mutex_lock l(m_);
    std::string tail;
    std::size_t waiting = 0;
    for (const auto& s : streams_)
        waiting += s->over ? s->text.size() : 0;
    for (const auto& s : streams_) {
        if (s->worker != worker || s->over) continue;
        try {
            // As much as its pipe can hold: somebody else may be writing, too.
            for (std::size_t before = s->text.size();
                 s->text.size() - before < most_in_a_pipe && read_once(*s, waiting < kept_of_ended);) {}
            if (s->number == 2) tail = s->tail;
        } catch (const std::exception&) {
            // There is no memory for it.
        }
        waiting += s->text.size();
        s->over = true;
        if (!s->fd) continue;
        epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, s->fd.get(),
                  nullptr); // a process just started may hold it for a moment
        s->fd.reset();
    }
    std::erase_if(streams_, [](const auto& s) { return s->over && s->text.empty(); });
    return tail;
}

bool worker_outputs::read_once(stream& s, bool keep) {
    if (!s.fd) return false;
    const std::size_t before = s.text.size();
    s.text.resize(before + read_bytes); // before it is read: nothing may be lost
    ssize_t n = 0;
    do
        n = read(s.fd.get(), s.text.data() + before, read_bytes);
    while (n < 0 && errno == EINTR);
    const std::size_t got = n > 0 ? static_cast<std::size_t>(n) : 0;
    if (s.number == 2) {
        if (got < tail_bytes && s.tail.size() + got > tail_bytes)
            s.tail.erase(0, s.tail.size() + got - tail_bytes);
        else if (got >= tail_bytes)
            s.tail.clear();
        s.tail.append(s.text, before + got - std::min(got, tail_bytes), std::min(got, tail_bytes));
    }
    s.text.resize(before + (keep ? got : 0));
    if (n == 0) { // nobody writes there any more
        epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, s.fd.get(), nullptr);
        s.fd.reset();
    }
    return n > 0;
}

bool worker_outputs::something_waits() noexcept {
    if (std::any_of(streams_.begin(), streams_.end(), [](const auto& s) { return s->over; })) return true;
    epoll_event e;
    return epoll_wait(epoll_.get(), &e, 1, 0) > 0;
}
bool worker_outputs::waits() noexcept {
    base::mutex_lock l(m_);
    return something_waits();
}
bool worker_outputs::lacks_a_pid() noexcept {
    base::mutex_lock l(m_);
    return lacks_a_pid_;
}

void worker_outputs::read_what_is_there() {
    std::array<epoll_event, 16> came;
    const int n = epoll_wait(epoll_.get(), came.data(), static_cast<int>(came.size()), 0);
    lacks_a_pid_ = false;
    for (int i = 0; i < n; ++i) {
        auto& s = *static_cast<stream*>(came[static_cast<std::size_t>(i)].data.ptr);
        if (s.pid == 0)
            lacks_a_pid_ = true;
        else
            (void)read_once(s, true);
    }
}

std::vector<worker_outputs::batch> worker_outputs::take_lines() {
    std::vector<batch> all;
    for (const auto& s : streams_) {
        const std::size_t n = s->over ? s->text.size() : deliverable(s->text);
        if (n == 0) continue;
        all.push_back({s->pid, s->number, s->text.substr(0, n)});
        s->text.erase(0, n);
    }
    std::erase_if(streams_, [](const auto& s) { return s->over && s->text.empty(); });
    return all;
}

bool worker_outputs::deliver() noexcept {
    std::vector<batch> all;
    {
        base::mutex_lock l(m_);
        if (delivering_ || finished_.load(std::memory_order_relaxed) || !something_waits()) return false;
        try {
            read_what_is_there();
            all = take_lines();
        } catch (const std::exception&) {
            // There is no memory for it now; what was read is kept.
        }
        delivering_ = true;
        by_ = std::this_thread::get_id();
    }
    for (const batch& b : all)
        give(b);
    base::mutex_lock l(m_);
    delivering_ = false;
    changed_.notify_all();
    return true;
}

void worker_outputs::give(const batch& b) noexcept {
    if (to_) {
        for_each_line(b.text, [&](std::string_view text, bool complete) {
            if (!finished_.load(std::memory_order_relaxed)) give_line({b.pid, b.number, text, complete});
        });
        return;
    }
    try {
        const std::string prefix = "[worker " + std::to_string(b.pid) + "] ";
        std::string lines;
        for_each_line(b.text, [&](std::string_view text, bool) { (lines += prefix).append(text) += '\n'; });
        write_all(b.number, lines);
    } catch (const std::bad_alloc&) {
        write_all(b.number, b.text);
    }
}

void worker_outputs::give_line(const worker_line& l) noexcept {
    try {
        to_(l);
    } catch (...) {
        try {
            (*report_to_)({{0, "on_output of a process pool", {}}, std::current_exception()});
        } catch (...) {
            // A hook that throws has nobody above it to tell.
        }
    }
}

// ---- while the pool closes

bool worker_outputs::deliver_beside() noexcept {
    if (thread_.joinable()) return true;
    {
        base::mutex_lock l(m_);
        if (finished_.load(std::memory_order_relaxed) || !something_waits()) return false;
        thread_ended_ = false;
    }
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // the program's handlers are for its own threads
    try {
        thread_ =
            std::thread([self = base::ref<worker_outputs>::share(this)] { self->deliver_until_stopped(); });
    } catch (const std::exception&) {
        base::mutex_lock l(m_);
        thread_ended_ = true;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (!thread_.joinable()) (void)deliver();
    return thread_.joinable();
}

void worker_outputs::deliver_until_stopped() noexcept {
    for (bool last = false;;) {
        {
            base::mutex_lock l(m_);
            while (delivering_ && !finished_.load(std::memory_order_relaxed))
                changed_.wait(m_);
            last = stop_;
        }
        if (deliver()) {
            if (lacks_a_pid()) poll(nullptr, 0, 1); // whoever closes will hear of it
            continue;
        }
        if (last) break;
        std::array<pollfd, 2> p{{{epoll_.get(), POLLIN, 0}, {stop_event_.get(), POLLIN, 0}}};
        poll(p.data(), p.size(), -1);
    }
    base::mutex_lock l(m_);
    thread_ended_ = true;
    changed_.notify_all();
}

void worker_outputs::finish(base::duration patience) noexcept {
    const auto until = base::saturating_add(std::chrono::steady_clock::now(), patience);
    const bool within = [&] { // close() in the function that takes the lines
        base::mutex_lock l(m_);
        return delivering_ && by_ == std::this_thread::get_id();
    }();
    if (!within) (void)deliver_beside();
    {
        base::mutex_lock l(m_);
        stop_ = true;
        const std::uint64_t one = 1;
        (void)!write(stop_event_.get(), &one, sizeof one);
        while (!within && (delivering_ || !thread_ended_) && std::chrono::steady_clock::now() < until)
            changed_.wait_until(m_, until);
        finished_.store(true, std::memory_order_relaxed);
        changed_.notify_all();
        if (!thread_.joinable()) return;
        while (!thread_ended_ && !(delivering_ && by_ == thread_.get_id()))
            changed_.wait(m_); // it waited for its turn, and ends now
        if (!thread_ended_) {
            thread_.detach(); // stuck in what takes the lines; it holds this object
            return;
        }
    }
    thread_.join();
}

} // namespace tenure::inline v0::process::detail
