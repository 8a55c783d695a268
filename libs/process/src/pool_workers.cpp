// The processes of a pool: how they are started, how their ends are heard, how they are pressed to end, and the close.
#include "crash.hpp"
#include "pool_state.hpp"

#include <tenure/io/spawn.hpp>
#include <tenure/wire/codec.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::process::detail {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t depth = 16; // calls that a worker is given at most, with the one that it runs
constexpr base::duration between_starts = std::chrono::milliseconds(20); // that fail
constexpr base::duration between_kills = std::chrono::seconds(1);
constexpr base::duration patience_with_kills = std::chrono::seconds(5); // of one that SIGKILL does not end
constexpr base::duration patience_with_idle = std::chrono::seconds(1);  // that takes no call
constexpr base::duration patience_with_arguments = std::chrono::seconds(30); // that are read
constexpr base::duration supervisor_patience = std::chrono::seconds(3);
constexpr base::duration patience_with_reader = std::chrono::seconds(1); // who takes the workers' output
constexpr base::duration between_looks_at_parts =
    std::chrono::milliseconds(1); // how late their begin may be seen
constexpr unsigned failed_starts_that_tell = 3;
constexpr unsigned workers_that_tell = 3; // by not taking a call

void send_signal(const io::unique_fd& pidfd, int signo) noexcept {
    if (pidfd) syscall(SYS_pidfd_send_signal, pidfd.get(), signo, nullptr, 0);
}

bool ends_within(const io::unique_fd& pidfd, base::duration d) noexcept {
    const auto until = steady_clock::now() + d;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now());
        pollfd p{pidfd.get(), POLLIN, 0};
        const int n = poll(&p, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
        if (n > 0) return true;
        if (n == 0 || errno != EINTR) return false;
    }
}

std::string name_of_signal(int signo) {
    const char* const short_name = sigabbrev_np(signo);
    const char* const words = sigdescr_np(signo);
    return (short_name ? std::string("SIG") + short_name : "signal " + std::to_string(signo)) +
           (words ? std::string(" (") + words + ")" : std::string());
}

std::string how_it_ended(pid_t pid, int code, int status) {
    const std::string who = "worker process " + std::to_string(pid);
    if (code == CLD_EXITED) return who + " exited with status " + std::to_string(status);
    if (code == CLD_KILLED || code == CLD_DUMPED) return who + " was ended by " + name_of_signal(status);
    return who + " is lost: its supervisor has ended";
}

std::string in_words(const worker_died::traces& t) {
    return (t.backtrace.empty() ? "" : " at\n" + t.backtrace) +
           (t.stderr_tail.empty() ? "" : "\nits standard error ends with\n" + t.stderr_tail);
}

std::exception_ptr death(const pool_worker& w, int code, int status,
                         const worker_died::traces& left) noexcept {
    try {
        return std::make_exception_ptr(
            worker_died(how_it_ended(w.pid, code, status) + (w.broken ? " after it broke the protocol" : "") +
                            " while it ran the call" + in_words(left),
                        w.pid, code == CLD_EXITED ? 0 : status, code == CLD_EXITED ? status : 0, left));
    } catch (...) {
        return std::current_exception();
    }
}

std::exception_ptr not_begun() noexcept {
    try {
        return std::make_exception_ptr(
            start_error("process pool: " + std::to_string(workers_that_tell) +
                        " workers, one after the other, did not begin the call within a second"));
    } catch (...) {
        return std::current_exception();
    }
}

/// Our environment with the changes; the strings and the array of pointers to them.
struct environment {
    std::vector<std::string> text;
    std::vector<char*> pointers;
    explicit environment(const pool_options& o, const std::string& role) {
        const auto changed = [&](std::string_view entry) {
            const std::string name(entry.substr(0, entry.find('=')));
            return name == role_variable || o.environment.contains(name);
        };
        for (char** e = environ; *e; ++e)
            if (!changed(*e)) text.emplace_back(*e);
        for (const auto& [name, value] : o.environment)
            if (value) text.push_back(name + "=" + *value);
        text.push_back(std::string(role_variable) + "=" + role);
        for (std::string& t : text)
            pointers.push_back(t.data());
        pointers.push_back(nullptr);
    }
};

} // namespace

// ---- starting

void pool_state::start_supervisor() {
    settings s{.parent = getpid(),
               .start = static_cast<std::uint32_t>(options_.start),
               .program = options_.program,
               .memory_limit = options_.memory_limit,
               .nice = options_.nice,
               .cpus = {options_.cpus.begin(), options_.cpus.end()},
               .output_is_read = static_cast<bool>(outputs_)};
    const std::string word = random_word();
    auto ends = control_socket::pair();
    wire::writer more;
    wire::write(more, s);
    more.bytes(word.data(), word.size());
    if (!ends[0].send({control::hello, s.parent}, {}, more.message()))
        throw std::system_error(errno, std::system_category(),
                                "process pool: the options are too long to be sent");

    environment env(options_, "supervisor " + word);
    static char name[] = "tenure-supervisor";
    std::array<char*, 2> argv{name, nullptr};
    auto child = io::spawn({.argv = argv.data(),
                            .file = "/proc/self/exe",
                            .environment = env.pointers.data(),
                            .directory = options_.directory ? options_.directory->c_str() : nullptr,
                            .in = ends[1].fd(),
                            .out = fcntl(1, F_GETFD) < 0 ? -1 : 1,
                            .err = fcntl(2, F_GETFD) < 0 ? -1 : 2,
                            .want_pidfd = true});
    if (!child)
        throw start_error("process pool: the supervisor cannot be started (" +
                          std::string(to_string(child.error.stage)) +
                          "): " + std::strerror(child.error.code) +
                          (child.error.code == ENOENT && child.error.stage == io::spawn_stage::exec
                               ? "; it is this program by way of /proc/self/exe, so /proc must be mounted"
                               : ""));
    supervisor_ = std::move(ends[0]);
    supervisor_pidfd_ = std::move(child.pidfd);
    supervisor_pid_ = child.pid;
    ++supervisors_;
    watch(supervisor_.fd(), watched_socket, EPOLLIN);
    watch(supervisor_pidfd_.get(), watched_supervisor, EPOLLIN | EPOLLONESHOT);
}

bool pool_state::start_worker() {
    auto w = worker_ref::adopt(new pool_worker(next_id_++, options_.max_message));
    if (options_.idle_timeout != base::duration::max())
        w->memory->header.idle_ns = static_cast<std::uint64_t>(options_.idle_timeout.count());
    std::array<int, carried_fds> fds{w->memory.fd(), event_.get()};
    workers_.reserve(workers_.size() + 1); // nothing may fail once it was told
    std::erase_if(limbo_, [](const worker_ref& l) {
        return l->pidfd && ends_within(l->pidfd, base::duration::zero());
    });
    limbo_.reserve(limbo_.size() + workers_.size() + 1); // all may go there
    std::size_t carried = 2;
    std::array<io::unique_fd, 2> output;
    if (outputs_) {
        output = outputs_->add(w->id);
        fds[carried++] = output[0].get();
        fds[carried++] = output[1].get();
    }
    if (store_) fds[carried++] = store_->fd();
    w->asked_for_at = steady_clock::now(); // before: it may have begun, and idled, when we go on
    if (!supervisor_.try_send({control::start, 0, w->id, store_ ? has_store : 0},
                              std::span(fds).first(carried))) {
        const int error = errno;
        if (outputs_) (void)outputs_->ended(w->id);
        errno = error;
        return false;
    }
    w->memory.close_fd();
    w->word_due =
        base::saturating_add(w->asked_for_at, std::max(options_.start_patience, supervisor_patience));
    if (const auto& first = options_.initializer.message(); !first.empty()) {
        w->initializing = true;
        publish(*w, first, nullptr);
    }
    workers_.push_back(std::move(w));
    return true;
}

void pool_state::start_missing_workers(base::time_point now, ended_calls& woken) {
    if (stage_ != stage::open || (start_again_at_ != base::never && now < start_again_at_)) return;
    start_again_at_ = base::never;
    try {
        if (!supervisor_) start_supervisor();
        for (const std::size_t wanted = workers_wanted(); workers_.size() < wanted;) {
            if (!start_worker()) {
                if (errno == EAGAIN || errno == EPIPE || errno == ECONNRESET)
                    start_again_at_ =
                        now + between_starts; // it has not read the last ones, or is gone: heard of soon
                else
                    start_failed(now, std::string("its supervisor cannot be told: ") + std::strerror(errno),
                                 false, woken);
                return;
            }
            if (lost_ == 0) continue; // one that could not be started before
            --lost_;
            ++replaced_;
        }
    } catch (const std::exception& e) {
        start_failed(now, e.what(), false, woken);
    }
}

// Tries again a little later, unless that has been going on for too long: then the calls that wait for a worker hear why.
void pool_state::start_failed(base::time_point now, const std::string& why, bool for_good,
                              ended_calls& woken) {
    ++failed_starts_;
    if (failing_since_ == base::never) failing_since_ = now;
    start_again_at_ = now + between_starts;
    const bool too_long = now - failing_since_ > options_.start_patience;
    if (failed_starts_ < failed_starts_that_tell || (!for_good && !too_long)) return;
    failed_starts_ = 0;
    failing_since_ = base::never;
    fail_queued(std::make_exception_ptr(start_error("process pool: no worker can be started: " + why)),
                woken);
}

// ---- what the supervisor says

void pool_state::watch(int fd, std::uint64_t tag, std::uint32_t how, int operation) noexcept {
    epoll_event e{};
    e.events = how;
    e.data.u64 = tag;
    // Without memory for it, what it would have said is heard of when its time is over.
    epoll_ctl(epoll_.get(), operation, fd, &e);
}

void pool_state::read_descriptors(base::time_point now, ended_calls& woken) {
    std::array<epoll_event, 16> came;
    const int n = epoll_wait(epoll_.get(), came.data(), static_cast<int>(came.size()), 0);
    std::uint64_t count = 0;
    for (int i = 0; i < n; ++i) {
        const std::uint64_t tag = came[static_cast<std::size_t>(i)].data.u64;
        switch (tag) {
        case watched_event: break; // a ring has news, or somebody wants this look
        case watched_timer:
            while (read(timer_.get(), &count, sizeof count) > 0)
                timer_at_ = base::never;
            break;
        case watched_output: output_waits_ = true; break;
        case watched_socket: read_messages(now, woken); break;
        case watched_supervisor: // its socket may have been inherited, and stay open
            read_messages(now, woken);
            if (supervisor_ && ends_within(supervisor_pidfd_, base::duration::zero()))
                supervisor_is_lost(now, woken);
            break;
        default:
            for (const worker_ref& w : workers_)
                if (w->id == tag) w->word_due = now + supervisor_patience;
            break;
        }
    }
}

void pool_state::read_messages(base::time_point now, ended_calls& woken) {
    if (!supervisor_) return;
    control_socket::received r;
    for (;;) {
        const auto result = supervisor_.receive(r);
        if (result == control_socket::result::nothing) break;
        if (result == control_socket::result::end) {
            supervisor_is_lost(now, woken);
            return;
        }
        const auto at = std::find_if(workers_.begin(), workers_.end(),
                                     [&](const worker_ref& w) { return w->id == r.message.worker; });
        if (at == workers_.end()) continue;
        pool_worker* const w = at->get(); // until ended() has been told of it
        switch (r.message.what) {
        case control::started:
            w->pid = r.message.pid;
            w->pidfd = std::move(r.fds[0]);
            w->word_due = base::never;
            if (outputs_) outputs_->started(w->id, w->pid);
            if (!w->pidfd) { // no descriptor was left for it: nothing could end this worker
                send_signal(supervisor_pidfd_, SIGKILL);
                break;
            }
            watch(w->pidfd.get(), w->id, EPOLLIN | EPOLLONESHOT);
            break;
        case control::failed: {
            const auto where = static_cast<io::spawn_stage>(r.message.status);
            const io::spawn_error e{r.message.code, where};
            for (pool_worker::task& t : w->tasks)
                t.blocks = nullptr; // there never was a process
            ended(*w, 0, 0, now, woken);
            start_failed(now, std::string(to_string(where)) + ": " + std::strerror(r.message.code),
                         !e.transient(), woken);
            break;
        }
        case control::ended: ended(*w, r.message.code, r.message.status, now, woken); break;
        case control::hello:
        case control::start: break;
        }
    }
}

void pool_state::supervisor_is_lost(base::time_point now, ended_calls& woken) {
    // Its workers end with it; whatever they have not taken runs elsewhere.
    const bool any = !workers_.empty();
    bool one_had_started = false;
    while (!workers_.empty()) {
        const worker_ref w = workers_.back();
        one_had_started |= w->pid != 0;
        send_signal(w->pidfd, SIGKILL);
        if (w->pid != 0) kill(-w->pid, SIGKILL); // a group that has members keeps its number
        ended(*w, 0, 0, now, woken);
    }
    const bool left_by_itself = end_supervisor();
    if (any && !one_had_started)
        start_failed(now, "the supervisor ended before it had started one", left_by_itself, woken);
}

/// The worker has ended, or is given up: its tasks are settled, and it leaves the table.
void pool_state::ended(pool_worker& gone, int code, int status, base::time_point now, ended_calls& woken) {
    const worker_ref w = worker_ref::share(&gone);
    const bool idled = code == CLD_EXITED && status == 0 && (w->idled || has_idled(*w));
    if (idled)
        ++idled_;
    else if (w->pid != 0)
        ++lost_;
    std::erase_if(workers_, [&](const worker_ref& o) { return o.get() == &gone; });
    // Before it is closed: a process that was just started may hold a copy for a moment.
    if (w->pidfd) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, w->pidfd.get(), nullptr);
    harvest(*w, woken);
    const bool by_signal = code == CLD_KILLED || code == CLD_DUMPED;
    worker_died::traces left;
    if (outputs_) left.stderr_tail = outputs_->ended(w->id);
    output_waits_ = true;
    if (by_signal && w->ring.oldest() != w->ring.next())
        left.backtrace = where_it_crashed(w->memory->slot_of(w->ring.oldest()), options_.program.empty());
    bool had_begun = w->ended_calls > (options_.initializer.message().empty() ? 0u : 1u);
    take_back_unbegun(*w, woken);
    for (std::uint64_t number = w->ring.oldest(); number != w->ring.next(); ++number) {
        const bool taken = w->ring.look(number) == task_state::taken;
        had_begun |= taken && !w->initializing; // perhaps one that nobody waits for any more
        call_record* const r = std::exchange(w->task_at(number).call, nullptr);
        if (!r) continue;
        had_begun = true;
        r->died = true;
        if (r->parts != 0 && taken) take_parts(*w, *r, w->memory->part.look());
        fail(*r, death(*w, code, status, left), woken);
    }
    w->outstanding = 0;
    const bool has_blocks = std::any_of(w->tasks.begin(), w->tasks.end(),
                                        [](const auto& t) { return static_cast<bool>(t.blocks); });
    if (code == 0 && has_blocks)
        limbo_.push_back(w); // nobody has said that it has ended
    else
        for (pool_worker::task& t : w->tasks)
            woken.add(std::move(t.blocks));
    if (stage_ != stage::open) return;
    if (w->initializer_error) {
        failed_starts_ = failed_starts_that_tell;
        std::string why = "the initializer failed: " + base::describe(w->initializer_error);
        start_failed(now, why, true, woken);
    } else if (had_begun || idled || !w->accepts) {
        failed_starts_ = 0;
        failing_since_ = base::never;
    } else if (code != 0) {
        start_failed(now, how_it_ended(w->pid, code, status) + " before its first call" + in_words(left),
                     !by_signal, woken);
    }
}

// ---- pressing

void pool_state::retire_worker(pool_worker& w) noexcept {
    w.accepts = false;
    w.ring.stop();
    if (w.pressed != pool_worker::pressure::none) return;
    w.pressed = pool_worker::pressure::asked;
    w.pressed_for = 0;
    w.grace = options_.grace;
    w.press_at = base::saturating_add(steady_clock::now(), options_.grace);
}

bool pool_state::has_idled(const pool_worker& w) const noexcept {
    return options_.idle_timeout != base::duration::max() && w.ring.is_leaving() &&
           steady_clock::now() >= base::saturating_add(w.asked_for_at, options_.idle_timeout);
}
void pool_state::let_go_if_idled(pool_worker& w, ended_calls& woken) noexcept {
    if (!w.accepts || !has_idled(w)) return;
    take_back_unbegun(w, woken);
    if (w.outstanding != 0) return; // it has seen the call, and stays
    w.idled = true;
    retire_worker(w);
}
bool pool_state::takes_calls(const pool_worker& w) noexcept {
    return w.accepts && w.outstanding < depth && !w.initializer_error &&
           w.pressed == pool_worker::pressure::none; // else who knows when it goes on
}
std::size_t pool_state::workers_wanted() const noexcept {
    if (options_.idle_timeout == base::duration::max()) return options_.workers;
    const auto free = static_cast<std::size_t>(std::ranges::count_if(
        workers_, [](const worker_ref& w) { return takes_calls(*w) && w->outstanding == 0; }));
    return std::min<std::size_t>(options_.workers, workers_.size() + queued_ - std::min(queued_, free));
}

void pool_state::ask_to_stop(pool_worker& w, std::uint64_t task, base::duration grace,
                             const base::cause& why) noexcept {
    if (task != 0 && w.pressed_for == task && w.pressed != pool_worker::pressure::none) return;
    if (w.pressed != pool_worker::pressure::none && w.pressed_for == 0) return; // it is to end anyway
    if (task != 0) {
        channel& c = *w.memory;
        const std::size_t n = std::min(why.message.size(), c.cancel_text.size() - 1);
        std::memcpy(c.cancel_text.data(), why.message.data(), n);
        c.cancel_text[n] = '\0';
        c.cancel_reason = static_cast<std::uint32_t>(why.kind);
        c.cancel.store(task, std::memory_order_release); // with the worker's look
    }
    w.pressed = pool_worker::pressure::asked;
    w.pressed_for = task;
    w.grace = grace;
    w.press_at = base::saturating_add(steady_clock::now(), grace);
}

void pool_state::press_on(pool_worker& w, base::time_point now, ended_calls& woken) {
    if (w.pressed == pool_worker::pressure::none || now < w.press_at) return;
    if (!w.pidfd) { // it has not started; look again soon
        w.press_at = now + between_starts;
        return;
    }
    if (w.pressed_for != 0) {
        // The signal must not hit the call after it: the worker gets no other one, and is replaced.
        w.accepts = false;
        take_back_unbegun(w, woken);
        if (!is_unfinished(w.ring.look(w.pressed_for))) return; // harvested soon
    }
    if (w.pressed == pool_worker::pressure::asked && w.grace > base::duration::zero()) {
        send_signal(w.pidfd, SIGTERM);
        w.pressed = pool_worker::pressure::terminated;
        w.press_at = base::saturating_add(now, w.grace);
        return;
    }
    send_signal(w.pidfd, SIGKILL);
    if (w.pressed != pool_worker::pressure::killed) w.killed_at = now;
    w.pressed = pool_worker::pressure::killed;
    w.press_at = now + between_kills;
    if (now - w.killed_at > patience_with_kills)
        ended(w, 0, 0, now, woken); // the supervisor goes on waiting for it
}

void pool_state::look_at_the_clock(base::time_point now, ended_calls& woken) {
    for (std::size_t i = 0; i < workers_.size();) {
        const worker_ref w = workers_[i];
        if (now >= w->word_due) { // a supervisor that is stopped or stuck is as good as dead
            send_signal(supervisor_pidfd_, SIGKILL);
            w->word_due = base::never;
        }
        if ((w->initializer_error || w->broken) && w->pressed_for == 0 &&
            w->pressed == pool_worker::pressure::none)
            ask_to_stop(*w, 0, base::duration::zero(), {base::reason::failure, "it is of no use", {}});
        look_whether_late(*w, now, woken);
        press_on(*w, now, woken);
        if (i < workers_.size() && workers_[i].get() == w.get())
            ++i; // one that was given up has left the table
    }
}

void pool_state::look_whether_late(pool_worker& w, base::time_point now, ended_calls& woken) noexcept {
    if (w.oldest_since == base::never || w.ring.oldest() == w.ring.next()) return;
    const std::uint64_t number = w.ring.oldest();
    call_record* const r = w.task_at(number).call;
    if (!r || r->timed_out) return;
    if (r->parts != 0) {
        w.part_looked_at = now;
        if (const auto seen = w.memory->part.look(); seen != w.part_seen) {
            w.part_seen = seen;
            w.oldest_since = now;
        }
    }
    if (now < base::saturating_add(w.oldest_since, r->timeout)) return;
    const task_state state = w.ring.look(number);
    if (state == task_state::taken && r->parts != 0) {
        give_up_part(w, *r, now, woken);
    } else if (state == task_state::taken) {
        r->timed_out = true;
        ask_to_stop(w, number, r->grace.value_or(options_.grace),
                    {base::reason::deadline, "the call's time is over", {}});
    } else if (state == task_state::ready) { // it has not begun: neither has its time
        if (w.not_taken_since == base::never) w.not_taken_since = w.oldest_since;
        w.oldest_since = now;
        if (w.pid == 0 || now - w.not_taken_since < patience_with_idle) return;
        take_back_unbegun(w, woken); // it is stopped, or stuck before its loop
        w.accepts = false;
        ask_to_stop(w, 0, base::duration::zero(), {base::reason::failure, "it takes no calls", {}});
        if (++r->not_taken_by < workers_that_tell || r->at != call_record::place::queued) return;
        unlist(*r);
        fail(*r, not_begun(), woken);
    }
}

// It is told at once; the worker is pressed to end it, and what waits behind it goes elsewhere.
void pool_state::give_up_part(pool_worker& w, call_record& r, base::time_point now,
                              ended_calls& woken) noexcept {
    static const base::cause too_late{base::reason::deadline, "the call's time is over", {}};
    static const base::cause stopped{base::reason::failure, "it does not go on", {}};
    const base::duration grace = r.grace.value_or(options_.grace);
    const auto seen = w.part_seen;
    const bool began = seen.turn() == turn_of(r.number);
    if (!began || !seen.running()) { // before the first part, or between two, where nothing takes long
        const base::duration patience = began ? patience_with_idle : patience_with_arguments;
        if (now >= base::saturating_add(w.oldest_since, r.timeout) + patience)
            ask_to_stop(w, 0, base::duration::zero(), stopped);
        return;
    }
    if (!w.memory->part.give_up(seen)) return; // it has ended: the next part has its own time
    take_parts(w, r, seen);
    r.timed_out = true;
    w.task_at(r.number).call = nullptr;
    ask_to_stop(w, r.number, grace, too_late);
    fail(r, nullptr, woken);
    take_back_unbegun(w, woken);
}

base::time_point pool_state::next_time() const noexcept {
    base::time_point at = queued_ != 0 ? start_again_at_ : base::never;
    for (const worker_ref& w : workers_) {
        at = std::min(at, w->word_due);
        if (w->pressed != pool_worker::pressure::none) at = std::min(at, w->press_at);
        if (w->oldest_since == base::never || w->ring.oldest() == w->ring.next()) continue;
        const call_record* const r = w->task_at(w->ring.oldest()).call;
        if (!r || r->timed_out) continue;
        const bool has_parts = r->parts != 0 && r->timeout != base::duration::max();
        at = std::min(at, has_parts ? w->part_looked_at + between_looks_at_parts
                                    : base::saturating_add(w->oldest_since, r->timeout));
    }
    return at;
}

// One that fires early costs a look, and one more set_timer(): less than to move it for each call.
void pool_state::set_timer(base::time_point at) noexcept {
    if (at >= timer_at_) return;
    timer_at_ = at;
    itimerspec t{};
    const auto ns = std::max<std::int64_t>(1, at.time_since_epoch().count());
    t.it_value = {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &t, nullptr);
}

// ---- the close

void pool_state::close() noexcept {
    ended_calls woken;
    {
        base::mutex_lock l(m_);
        while (stage_ == stage::closing)
            closed_.wait(m_);
        if (stage_ == stage::closed) return;
        stage_ = stage::closing;
        for (const worker_ref& w : workers_) {
            harvest(*w, woken);
            take_back_unbegun(*w, woken);
            for (std::uint64_t number = w->ring.oldest(); number != w->ring.next(); ++number)
                if (w->task_at(number).call)
                    ask_to_stop(*w, number, options_.grace,
                                {base::reason::shutdown, "the process pool closes", {}});
            retire_worker(*w);
            const auto now = steady_clock::now();
            w->grace = std::min(w->grace, options_.grace);
            w->press_at = std::min(w->press_at, base::saturating_add(now, options_.grace));
            if (w->word_due != base::never) w->word_due = std::min(w->word_due, now + supervisor_patience);
        }
        fail_queued(was_closed("before the call began"), woken);
    }
    woken.complete();
    turn_until_empty();
    if (outputs_) outputs_->finish(patience_with_reader);
    {
        base::mutex_lock l(m_);
        end_supervisor();
        stage_ = stage::closed;
        closed_.notify_all();
        wake_pump(); // it may wait, and has nothing to do any more
    }
}

// Every step has its time: pressing ends a worker, or gives it up.
void pool_state::turn_until_empty() noexcept {
    for (;;) {
        ended_calls woken;
        bool empty = false;
        base::time_point wake_at = base::never;
        {
            base::mutex_lock l(m_);
            look_around_ = true;
            try {
                work_once(woken);
            } catch (const std::exception&) {
                // There was no memory for a message: it looks again.
            }
            // One that ended its call goes by itself now, and is pressed to.
            for (const worker_ref& w : workers_)
                if (w->pressed == pool_worker::pressure::none) retire_worker(*w);
            empty = workers_.empty();
            wake_at = next_time();
        }
        woken.complete();
        if (empty) return;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(wake_at - steady_clock::now());
        const bool is_read = !outputs_ || outputs_->deliver_beside();
        std::array<pollfd, 2> p{{{epoll_.get(), POLLIN, 0}, {is_read ? -1 : outputs_->fd(), POLLIN, 0}}};
        poll(p.data(), p.size(), static_cast<int>(std::clamp<std::int64_t>(left.count(), 1, 100)));
    }
}

// It ends its workers, and all that they left, when its socket closes.
bool pool_state::end_supervisor() noexcept {
    if (!supervisor_) return false;
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, supervisor_.fd(), nullptr);
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, supervisor_pidfd_.get(), nullptr);
    supervisor_.end();
    if (!ends_within(supervisor_pidfd_, supervisor_patience)) {
        send_signal(supervisor_pidfd_, SIGKILL);
        (void)ends_within(supervisor_pidfd_, between_kills);
    }
    siginfo_t info{};
    while (waitid(P_PIDFD, static_cast<id_t>(supervisor_pidfd_.get()), &info, WEXITED | WNOHANG) != 0 &&
           errno == EINTR) {}
    supervisor_pidfd_.reset();
    supervisor_pid_ = 0;
    return info.si_code == CLD_EXITED;
}

} // namespace tenure::inline v0::process::detail
