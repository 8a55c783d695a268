#include "map/engine.hpp"

#include "map/text.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <limits>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::app {
namespace {

using namespace std::chrono_literals;

std::size_t open_descriptors() {
    DIR* dir = ::opendir("/proc/self/fd");
    if (!dir) return 0;
    std::size_t n = 0;
    while (::readdir(dir))
        ++n;
    ::closedir(dir);
    return n - std::min<std::size_t>(n, 3); // ".", "..", and the folder itself
}

// What a slot holds while its item runs: link, copy of it, pidfd, two pipes, two files for long output; and
// what is open for a moment while one of them starts.
constexpr std::size_t slot_descriptors = 7;
constexpr std::size_t start_descriptors = 4;
// What an offered item holds; and the queue that it lies in.
constexpr std::size_t offer_descriptors = 2;
constexpr std::size_t queue_descriptors = 2;
// Enough for the wardens to find one while the engine waits for a processor; more would only be held for longer.
constexpr std::size_t most_offers = 16;

// How many more descriptors this process may open.
std::size_t free_descriptors() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return std::numeric_limits<std::size_t>::max();
    const std::size_t taken = open_descriptors() + start_descriptors;
    return files.rlim_cur > taken ? files.rlim_cur - taken : 0;
}

} // namespace

engine::engine(const map_options& options, item_source source, owned_fd items,
               std::optional<results_dir> results, const engine_context& guard)
    : options_(options),
      guard_(guard),
      command_(options.command, options.shell, argument_limits::of_this_process()),
      source_(std::move(source)),
      items_(std::move(items)),
      results_(std::move(results)),
      spill_(results_ ? results_->spill() : temporary_files()),
      runtime_({.threads = 0}),
      wardens_(options.jobs, guard.registry, guard.cgroup),
      slots_(options.jobs),
      out_(STDOUT_FILENO),
      err_(STDERR_FILENO),
      releases_(options.order, release_limits::for_jobs(options.jobs)),
      progress_(resolve_progress(options.progress, ::isatty(STDERR_FILENO) == 1,
                                 ::getenv("TERM") ? ::getenv("TERM") : "", options.tty),
                std::chrono::steady_clock::now(), terminal_columns(STDERR_FILENO)),
      room_(options.jobs),
      most_room_(options.jobs) {
    for (unsigned k = 0; k < options.jobs; ++k)
        slots_[k].number = k;
}
engine::~engine() = default;

int engine::run() {
    const auto start = std::chrono::steady_clock::now();
    ::signal(SIGPIPE, SIG_IGN); // a reader that has gone is an error of write()
    ::signal(SIGXFSZ, SIG_IGN); // and so is a file that has reached its limit
    const std::size_t descriptors_before = open_descriptors();
    try {
        runtime_.block_on(&engine::run_all, this);
    } catch (const std::system_error& e) { // not even tenure's own descriptors or memory were to be had
        say(std::string("cannot go on: ") + e.what());
        wardens_.end_now();
        return 70;
    } catch (const std::exception& e) {
        say(std::string("internal error: ") + e.what());
        wardens_.end_now();
        return 70;
    }
    if (stopping()) {
        const auto total = source_.total();
        summary_.not_started(total ? std::optional(*total - std::min(*total, started_)) : std::nullopt);
    }
    finish(std::chrono::steady_clock::now() - start, audit(descriptors_before));
    if (ending_ == run_ending::interrupted && sigint_) return ended_by_signal(SIGINT);
    const int status = exit_status(summary_.counts(), ending_);
    return status == 0 && (input_failed_ || summary_.lost_stderr() > 0) ? 1 : status;
}

task<> engine::run_all() {
    const std::size_t descriptors = free_descriptors();
    room_ = most_room_ =
        static_cast<unsigned>(std::clamp<std::size_t>(descriptors / slot_descriptors, 1, options_.jobs));
    // With --fail-fast nothing starts before we have seen that what ended has not failed; with --tty the terminal is lent.
    const std::size_t taken = slots_.size() * slot_descriptors + queue_descriptors;
    if (!options_.fail_fast && !options_.tty && descriptors > taken && wardens_.open_queue())
        most_offers_ = std::min({most_offers, slots_.size(), (descriptors - taken) / offer_descriptors});
    if (most_room_ < options_.jobs)
        say(thousands(most_room_) + " at a time, not " + thousands(options_.jobs) +
            ": the limit on open files (ulimit -n) allows no more");
    co_await with_group([this](group g) -> task<> {
        releaser_ = g.spawn({.name = "releaser"}, &engine::release, this);
        std::vector<future<void>> helpers;
        if (items_) helpers.push_back(g.spawn({.name = "feeder"}, &engine::feed, this));
        helpers.push_back(g.spawn({.name = "signals"}, &engine::watch_signals, this));
        helpers.push_back(g.spawn({.name = "guard"}, &engine::watch_guard, this));
        if (options_.deadline)
            helpers.push_back(g.spawn({.name = "deadline"}, &engine::watch_deadline, this));
        helpers.push_back(g.spawn({.name = "progress"}, &engine::paint, this));
        co_await run_slots();
        slots_done_ = true;
        releasable_.set();
        co_await releaser_->join();
        for (const auto& h : helpers)
            h.cancel("the run has ended");
    });
    // After a second interrupt nobody is waited for, a slow reader neither.
    while (const auto ended = releases_.pop_any())
        if (ended->output && !ended->output->empty()) ++unwritten_;
    if (unwritten_ > 0)
        say("output not written: " + thousands(unwritten_) + (unwritten_ == 1 ? " item" : " items"));
    slots_group_.reset();
    out_ready_.reset();
    err_ready_.reset();
    for (auto& s : slots_)
        s.ready.reset();
}

// Reads while somebody waits for items, so that no more is held than is needed.
task<> engine::feed() {
    const io::descriptor input(runtime_.io(), io::unique_fd(items_.release()), io::sharing::shared);
    std::vector<char> buffer(item_source::buffer_bytes);
    for (;;) {
        co_await hungry_.wait();
        hungry_.reset();
        while (source_.wants_bytes()) {
            std::size_t n = 0;
            try {
                n = co_await input.read_some(buffer);
            } catch (const std::system_error& e) {
                say("cannot read the items: " + e.code().message() + "; the run ends with what was read");
                input_failed_ = true;
            }
            if (n > 0) {
                source_.feed({buffer.data(), n});
            } else {
                source_.finish();
                break;
            }
        }
        fed_.set();
        if (source_.total()) co_return;
    }
}

task<> engine::watch_deadline() {
    co_await sleep_for(*options_.deadline);
    stop(run_ending::deadline);
}

// Without its guard the engine is nobody's: everything ends here and now.
task<> engine::watch_guard() {
    const io::descriptor guard(runtime_.io(), io::unique_fd(guard_.guard_pidfd), io::sharing::shared);
    co_await guard.readable();
    wardens_.end_now();
    if (guard_.cgroup) guard_.cgroup->remove();
    ::_exit(1);
}

task<> engine::watch_signals() {
    const sigset_t set = forwarded_signals(); // blocked since before the fork
    io::unique_fd own(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!own) throw std::system_error(errno, std::generic_category(), "signalfd");
    const io::descriptor source(runtime_.io(), std::move(own));
    interrupt_filter filter;
    for (;;) {
        signalfd_siginfo signal{};
        co_await source.read_some({reinterpret_cast<char*>(&signal), sizeof signal});
        switch (static_cast<int>(signal.ssi_signo)) {
        case SIGTSTP: suspend(); break;
        case SIGWINCH: progress_.set_columns(terminal_columns(STDERR_FILENO)); break;
        case SIGINT:
        case SIGTERM:
        case SIGHUP:
        case SIGQUIT:
            if (ignored_by_our_caller(static_cast<int>(signal.ssi_signo))) break;
            if (!filter.fresh(signal, guard_.guard, std::chrono::steady_clock::now())) break;
            if (signal.ssi_signo == SIGINT) sigint_ = true;
            if (ending_ != run_ending::interrupted && !slots_done_)
                stop(run_ending::interrupted);
            else
                kill_everything();
            break;
        default: break; // USR1 and USR2 mean nothing to us, and must not end the run
        }
    }
}

// nohup, or a shell that starts us in the background: whoever started us wants the signal to mean nothing. The
// guard blocks the signal, and a blocked one arrives even if it is ignored; our dispositions are the caller's.
bool engine::ignored_by_our_caller(int signal) {
    struct sigaction now{};
    return ::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

void engine::stop(run_ending why) {
    if (stopping()) {
        // An interrupt says more than a deadline that has passed already.
        if (why == run_ending::interrupted) ending_ = why;
        return;
    }
    ending_ = why;
    take_back_all();
    for (const auto& s : slots_)
        if (warden_link& link = wardens_[s.number]; link.busy()) link.end(0);
    if (slots_group_) slots_group_->cancel("the run was stopped");
}

// A key that the terminal's user pressed went to the item alone, which has the terminal, and ended it: it means the run.
void engine::stop_if_interrupted(int killer) {
    if (!options_.tty || (killer != SIGINT && killer != SIGQUIT) || ::isatty(STDIN_FILENO) != 1) return;
    if (killer == SIGINT && !ignored_by_our_caller(SIGINT)) sigint_ = true;
    stop(run_ending::interrupted);
}

// The second interrupt: nothing is waited for any more, neither items nor a slow reader of our output.
void engine::kill_everything() {
    ending_ = run_ending::interrupted;
    hurried_ = true;
    for (const auto& s : slots_)
        if (warden_link& link = wardens_[s.number]; link.busy()) link.kill(0);
    releaser_->cancel("interrupted twice");
}

void engine::suspend() {
    erase_progress();
    take_back_all(); // nothing must start while all stands still
    wardens_.stop_all();
    stop_self();
    wardens_.cont_all();
}

audit_counts engine::audit(std::size_t descriptors_before) {
    audit_counts left;
    const kill_round alive = wardens_.end_now();
    left.processes = alive.all();
    const audit_report r = runtime_.audit();
    left.tasks = r.tasks;
    left.timers = r.timers;
    const std::size_t now = open_descriptors();
    left.descriptors = std::max(r.descriptors, now > descriptors_before ? now - descriptors_before : 0);
    if (alive.refused > 0) left.where.push_back("processes that are not ours to signal (set-user-ID)");
    if (alive.signalled > 0)
        left.where.push_back("processes that SIGKILL does not end (uninterruptible sleep, or frozen)");
    if (alive.unseen > 0) left.where.push_back("processes that /proc does not show (at least one)");
    return left;
}

} // namespace tenure::inline v0::app
