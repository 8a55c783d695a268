#include "proc/warden.hpp"

#include "proc/descriptors.hpp"
#include "proc/isolate.hpp"
#include "proc/subtree.hpp"
#include "proc/terminal_loan.hpp"
#include "proc/warden_protocol.hpp"

#include <tenure/io/spawn.hpp>
#include <tenure/io/unique_fd.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app {

namespace {

constexpr std::int64_t never = -1;
constexpr std::int64_t second = 1'000'000'000;

/// Where the items of a slot lie in PATH: looked up once, as shells do, since nearly all items run the same
/// command. A file that has gone since is looked up again.
class remembered_executable {
public:
    /// NULL: exec has to find out, and to say why it cannot.
    const char* find(const char* name) {
        if (std::strchr(name, '/') != nullptr) return nullptr;
        if (name_ != name) {
            name_ = name;
            file_ = io::find_executable(name);
        }
        return file_.empty() ? nullptr : file_.c_str();
    }
    void forget() { name_.clear(); }

private:
    std::string name_;
    std::string file_;
};

std::int64_t nanoseconds(const timeval& time) {
    return std::int64_t{time.tv_sec} * second + std::int64_t{time.tv_usec} * 1000;
}

class warden {
public:
    explicit warden(const warden_setup& setup, io::unique_fd engine)
        : setup_(setup),
          engine_(std::move(engine)),
          engine_group_(getpgid(setup.engine)),
          null_(open("/dev/null", O_RDWR | O_CLOEXEC)),
          reader_(setup.socket),
          queue_(setup.queue) {
        enter_cgroup();
    }

    [[noreturn]] void run() {
        for (;;) {
            // Nothing lives here: the engine's end is an end of file, and no other event can come.
            read_frames(true);
            while (state_ != state::idle)
                step();
        }
    }

private:
    enum class state { idle, run, term, kill };

    // ---- frames

    /// Handles one frame if `wait`, else all that are there.
    void read_frames(bool wait) {
        for (;;) {
            switch (reader_.next(wait)) {
            case frame_reader::state::frame: obey(); break;
            case frame_reader::state::none: return;
            case frame_reader::state::closed: leave(why::engine_gone);
            case frame_reader::state::broken: leave(why::misunderstood);
            }
            if (wait) return;
        }
    }

    void obey() {
        if (reader_.kind() == frame_kind::run) {
            if (state_ != state::idle || !decode_run(reader_.payload(), order_)) leave(why::misunderstood);
            start(reader_);
            return;
        }
        std::uint64_t id = 0;
        if (!decode_control(reader_.payload(), id)) leave(why::misunderstood);
        if (reader_.kind() == frame_kind::quit) leave(why::asked);
        if (state_ == state::idle || (id != 0 && id != order_.id)) return;
        switch (reader_.kind()) {
        case frame_kind::end:
            if (state_ == state::run) terminate(ended_by::end_request, order_.grace_ns);
            break;
        case frame_kind::kill:
            if (state_ == state::run || report_.by == ended_by::end_request)
                report_.by = ended_by::kill_request;
            state_ = state::kill;
            break;
        case frame_kind::stop: pause(); break;
        case frame_kind::cont: resume(); break;
        case frame_kind::run:
        case frame_kind::quit: break;
        }
    }

    // ---- starting

    /// `from`: has the streams of the order.
    void start(frame_reader& from) {
        report_ = report{};
        report_.id = order_.id;
        std::vector<io::unique_fd>& streams = from.descriptors();
        if (from.take_lost()) return refuse({EMFILE, io::spawn_stage::streams});
        if (streams.size() != (order_.has_input ? 3U : 2U)) leave(why::misunderstood);

        io::spawn_options options;
        options.argv = order_.argv.data();
        options.in = order_.has_input ? streams[2].get() : null_.get();
        options.out = streams[0].get();
        options.err = streams[1].get();
        options.signals = io::signal_state::all_blocked_none_ignored;
        loan_ = order_.tty ? terminal_loan(options.in, engine_group_) : terminal_loan();
        if (loan_.owner_has_it()) options.terminal = options.in;

        // Before the start, which is the item's: it may not take less time than it used the processor.
        const std::int64_t began = monotonic_ns();
        const io::spawn_error error = order_.isolate ? start_inside(options) : start_here(options);
        if (error) {
            if (options.terminal >= 0) tcsetpgrp(options.terminal, engine_group_);
            return refuse(error);
        }
        if (options.terminal >= 0) loan_.lent_to(order_.isolate ? 0 : item_);
        if (order_.tty) terminal_ = std::move(streams[2]);
        streams.clear(); // from here on only the item holds the write ends of its pipes
        report_.started_ns = began;
        deadline_ = order_.timeout_ns < 0 ? never : report_.started_ns + order_.timeout_ns;
        item_reaped_ = paused_ = false;
        signalled_.clear();
        stopped_.clear();
        state_ = state::run;
    }

    io::spawn_error start_here(io::spawn_options& options) {
        options.cgroup = cgroup_ ? cgroup_->directory() : -1;
        options.file = executable_.find(options.argv[0]);
        io::spawned started = io::spawn(options);
        if (started.error && cgroup_refused(started.error)) {
            options.cgroup = -1;
            started = io::spawn(options);
        }
        if (started.error.stage == io::spawn_stage::exec && options.file != nullptr) {
            executable_.forget();
            options.file = nullptr;
            started = io::spawn(options);
        }
        item_ = started.pid;
        return started.error;
    }

    io::spawn_error start_inside(io::spawn_options& options) {
        options.cgroup = cgroup_ ? cgroup_->directory() : -1;
        isolated started = start_isolated(options);
        if (started.error && cgroup_refused(started.error)) {
            options.cgroup = -1;
            started = start_isolated(options);
        }
        item_ = started.init;
        control_ = std::move(started.control);
        inner_ = {};
        return started.error;
    }

    /// A cgroup that can be made cannot always be entered; then this slot goes on without.
    bool cgroup_refused(io::spawn_error error) {
        if (!cgroup_ || error.transient() ||
            (error.stage != io::spawn_stage::start && error.stage != io::spawn_stage::isolation))
            return false;
        cgroup_->remove();
        cgroup_.reset();
        return true;
    }

    void refuse(io::spawn_error error) {
        report_ = report{};
        report_.id = order_.id;
        report_.spawn_errno = error.code;
        report_.stage = static_cast<std::uint32_t>(error.stage);
        control_.reset();
        reader_.descriptors().clear();
        queue_.descriptors().clear();
        send_report();
    }

    // ---- waiting

    void step() {
        if (state_ == state::kill) {
            kill_all();
            return finish();
        }
        std::array<pollfd, 3> events{
            {{setup_.socket, POLLIN, 0}, {engine_.get(), POLLIN, 0}, {control_.get(), POLLIN, 0}}};
        std::int64_t timeout = -1;
        if (deadline_ != never && !paused_) timeout = std::max<std::int64_t>(deadline_ - monotonic_ns(), 0);
        const bool ready = wait_for(std::span(events).first(control_ ? 3 : 2), timeout);
        if (ready && events[1].revents != 0) leave(why::engine_gone);
        if (ready && events[2].revents != 0) read_init();
        reap();
        if (state_ != state::idle && ready && events[0].revents != 0) read_frames(false);
        if ((state_ == state::run || state_ == state::term) && deadline_ != never && !paused_ &&
            monotonic_ns() >= deadline_) {
            if (state_ == state::run)
                terminate(ended_by::timeout, order_.grace_ns);
            else
                state_ = state::kill;
        }
    }

    /// Reaps all that has ended, and goes on to TERM or REPORT when the item is among it.
    void reap() {
        if (reap_ended()) return finish();
        const bool item_ended = order_.isolate ? inner_.known && !inner_.alone : item_reaped_;
        if (item_ended && state_ == state::run)
            terminate(ended_by::itself, std::min(order_.grace_ns, second));
    }

    /// Returns: true when no child is left.
    bool reap_ended() {
        for (;;) {
            switch (reaper_.next()) {
            case reaper::found::one:
                ++reaped_;
                account();
                break;
            case reaper::found::stopped:
                // Only the item's own: what is stopped below it is its own affair.
                if (reaper_.pid() == item_ && !item_reaped_) item_stopped(WSTOPSIG(reaper_.status()));
                break;
            case reaper::found::nothing: return false;
            case reaper::found::no_children: return true;
            }
        }
    }

    void account() {
        const rusage& usage = reaper_.usage();
        report_.user_ns += nanoseconds(usage.ru_utime);
        report_.system_ns += nanoseconds(usage.ru_stime);
        if (!order_.isolate)
            report_.max_rss_bytes = std::max<std::int64_t>(report_.max_rss_bytes, usage.ru_maxrss * 1024);
        if (reaper_.pid() == item_ && !item_reaped_) {
            item_reaped_ = true;
            report_.wait_status = reaper_.status();
            report_.ended_ns = monotonic_ns();
            if (order_.isolate) read_init();
        } else if (WIFSIGNALED(reaper_.status()) && WTERMSIG(reaper_.status()) == SIGKILL &&
                   (state_ == state::term || state_ == state::kill)) {
            signalled_.push_back(reaper_.pid());
        }
    }

    void item_stopped(int signal) {
        if (paused_ || state_ != state::run) return;
        ++report_.stops;
        take_terminal_back();
        if (report_.stops > 1 && !order_.tty) return;
        report event = report_;
        event.kind = report_kind::stopped;
        event.wait_status = signal;
        // Lost when the engine does not read at all: it is a hint. The report has the count.
        send(setup_.socket, &event, sizeof event, MSG_NOSIGNAL | MSG_DONTWAIT);
    }

    /// From an item that lives.
    void take_terminal_back() {
        if (order_.isolate) {
            // The group of the item has another number here than inside.
            process_stat stat;
            const pid_t holder = order_.tty ? tcgetpgrp(terminal_.get()) : -1;
            if (holder > 1 && read_stat(holder, stat) && stat.parent == item_) loan_.lent_to(holder);
        }
        loan_.take_back();
    }

    void read_init() {
        init_event event;
        ssize_t size = 0;
        while ((size = recv(control_.get(), &event, sizeof event, MSG_DONTWAIT)) == sizeof event) {
            switch (event.kind) {
            case init_event_kind::failed:
                inner_.error = {event.value, static_cast<io::spawn_stage>(event.stage)};
                break;
            case init_event_kind::stopped: item_stopped(event.value); break;
            case init_event_kind::ended:
                inner_.known = true;
                inner_.alone = event.alone != 0;
                inner_.status = event.value;
                report_.ended_ns = monotonic_ns();
                report_.max_rss_bytes = event.max_rss_bytes;
                break;
            }
        }
        // Init is on its way out. A socket at its end is always ready: to poll it on would keep the processor from
        // init, which has its namespaces to take down yet.
        if (size == 0) control_.reset();
    }

    // ---- ending

    void terminate(ended_by by, std::int64_t grace) {
        report_.by = by;
        state_ = state::term;
        paused_ = false;
        if (order_.isolate)
            tell_init(init_order::terminate);
        else if (!item_reaped_)
            signal_group(SIGTERM);
        const std::int64_t now = monotonic_ns();
        if (by == ended_by::timeout) report_.term_late_ns = now - deadline_;
        deadline_ = now + grace;

        if (!order_.isolate && !item_reaped_) signal_group(SIGCONT);
        const std::vector<pid_t> all = members();
        const pid_t inner_item = order_.isolate && !inner_.known ? first_child_of(item_) : -1;
        for (const pid_t pid : all) {
            process_stat stat;
            if (pid == item_ || pid == inner_item || !read_stat(pid, stat) || stat.dead()) continue;
            signalled_.push_back(pid);
            // Those in the item's group have the signal already. With the item reaped, its group's number is no
            // longer ours to use, so that each is signalled by itself.
            const auto outside = [&](const process_stat& found) {
                return item_reaped_ || found.group != item_;
            };
            if (!order_.isolate) signal_descendant(pid, {SIGTERM, SIGCONT}, all, outside);
        }
    }

    /// The eldest child of an init is its item.
    static pid_t first_child_of(pid_t init) {
        const std::vector<pid_t> children = children_of(init);
        return children.empty() ? -1 : children.front();
    }

    /// Precondition: the item is not reaped, so that the number of its group is still its own.
    void signal_group(int signal) const {
        assert(item_ > 1); // kill(-1) would mean every process there is
        if (item_ > 1) ::kill(-item_, signal);
    }

    std::vector<pid_t> members() const { return cgroup_ ? cgroup_->processes() : descendants_of(getpid()); }

    void tell_init(init_order order) {
        const char byte = static_cast<char>(order);
        send(control_.get(), &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }

    /// KILL: returns when nothing is left, or nothing that SIGKILL ends.
    void kill_all() {
        if (cgroup_) cgroup_->kill();
        kill_patience patience;
        for (;;) {
            const std::uint64_t before = reaped_;
            report_.unkillable = 0;
            if (reap_ended()) return;
            const bool reaped = reaped_ != before;
            const kill_round round = kill_children();
            report_.unkillable = round.all();
            if (patience.used_up(round, reaped)) {
                report_.unkillable = std::max(report_.unkillable, 1U); // there was no ECHILD
                return;
            }
            // Against processes that fork and exit all the time only speed helps: no pause while some are reaped.
            if (!reaped) wait_for({}, 1'000'000);
        }
    }

    void finish() {
        report_.gone_ns = monotonic_ns();
        if (report_.ended_ns == 0) { // the item itself does not end
            report_.ended_ns = report_.gone_ns;
            report_.wait_status = SIGKILL;
        }
        if (cgroup_) settle_cgroup();
        if (order_.isolate) {
            if (inner_.error) return refuse(inner_.error);
            if (inner_.known) report_.wait_status = inner_.status;
            control_.reset();
        }
        std::sort(signalled_.begin(), signalled_.end());
        report_.descendants_ended = static_cast<std::uint32_t>(
            std::unique(signalled_.begin(), signalled_.end()) - signalled_.begin());
        loan_.take_back();
        if (WIFSIGNALED(report_.wait_status)) loan_.restore_modes();
        loan_ = terminal_loan();
        terminal_.reset();
        send_report();
        if (report_.unkillable > 0) leave(why::asked);
    }

    /// Empty, as ECHILD has proved, unless somebody put a process into it that is not ours to reap.
    void settle_cgroup() {
        // (A process that was reaped may need a moment to get out of its cgroup.)
        if (cgroup_->populated() && !cgroup_->wait_empty(std::chrono::milliseconds(10))) {
            cgroup_->kill();
            cgroup_->wait_empty(std::chrono::seconds(1));
            if (reap_ended()) report_.unkillable = 0; // a cgroup's kill asks nobody's leave
        }
        // Counts what a parent that ignores SIGCHLD hides from wait4 too.
        if (const std::optional<slot_cgroup::cpu> now = cgroup_->usage()) {
            report_.user_ns = now->user_ns - used_.user_ns;
            report_.system_ns = now->system_ns - used_.system_ns;
            used_ = *now;
        }
        if (cgroup_->used_up()) {
            cgroup_->remove();
            enter_cgroup();
        }
    }

    void enter_cgroup() {
        if (setup_.cgroup != nullptr) cgroup_ = slot_cgroup::create(*setup_.cgroup, setup_.slot);
        used_ = {};
    }

    /// Goes on with an offered item, if there is one and it may.
    void send_report() {
        state_ = state::idle;
        item_ = -1;
        if (setup_.queue >= 0 && report_.succeeded() && take_offer()) report_.next = order_.id;
        if (send(setup_.socket, &report_, sizeof report_, MSG_NOSIGNAL) != sizeof report_)
            leave(why::engine_gone);
        if (report_.next != 0) start(queue_);
    }

    /// Returns: true when order_ is an item that was offered and is ours now, with its streams in queue_.
    bool take_offer() {
        for (;;) {
            switch (queue_.next(false)) {
            case frame_reader::state::frame: break;
            case frame_reader::state::none: return false;
            case frame_reader::state::closed: leave(why::engine_gone);
            case frame_reader::state::broken: leave(why::misunderstood);
            }
            if (queue_.kind() != frame_kind::run || !decode_run(queue_.payload(), order_))
                leave(why::misunderstood);
            // Without its streams it is still taken, to be refused: its request is out of the queue.
            if ((*setup_.offers)[order_.id % setup_.offers->size()].take(order_.id, setup_.slot)) return true;
            queue_.descriptors().clear(); // it was taken back
            queue_.take_lost();
        }
    }

    enum class why { asked, engine_gone, misunderstood };

    [[noreturn]] void leave(why reason) {
        if (state_ != state::idle) {
            state_ = state::kill;
            kill_all();
            loan_.take_back();
        }
        if (cgroup_) cgroup_->remove();
        // Whoever else would do it may be dead as well; it works for the last one.
        if (reason == why::engine_gone && setup_.cgroup != nullptr) rmdir(setup_.cgroup->path().c_str());
        _exit(reason == why::misunderstood ? 1 : 0);
    }

    // ---- stopping and continuing

    void pause() {
        if (paused_ || (state_ != state::run && state_ != state::term)) return;
        paused_ = true;
        const std::int64_t now = monotonic_ns();
        if (deadline_ != never) left_ = deadline_ - now;
        if (order_.isolate) {
            tell_init(init_order::stop);
        } else {
            // Parents come before their children, so a round that finds nobody running has met everybody. Who
            // was stopped already stays stopped afterwards too.
            for (int round = 0; round < 16; ++round) {
                const std::vector<pid_t> all = members();
                bool found = false;
                for (const pid_t pid : all)
                    if (signal_descendant(pid, {SIGSTOP}, all,
                                          [](const process_stat& stat) { return stat.state != 'T'; })) {
                        stopped_.push_back(pid);
                        found = true;
                    }
                if (!found) break;
            }
        }
        take_terminal_back();
    }

    void resume() {
        if (paused_ && deadline_ != never) deadline_ = monotonic_ns() + left_;
        const bool lend = order_.tty && loan_.owner_has_it();
        if (order_.isolate) {
            if (lend) {
                tell_init(init_order::foreground);
                loan_.lent_to(0);
            }
            if (paused_ || (order_.tty && !lend)) tell_init(init_order::cont);
        } else {
            if (lend && !item_reaped_ && tcsetpgrp(terminal_.get(), item_) == 0) loan_.lent_to(item_);
            const std::vector<pid_t> all = members();
            for (auto pid = stopped_.rbegin(); pid != stopped_.rend(); ++pid)
                signal_descendant(*pid, {SIGCONT}, all, [](const process_stat&) { return true; });
            if (order_.tty && !item_reaped_) signal_group(SIGCONT);
        }
        stopped_.clear();
        paused_ = false;
    }

    warden_setup setup_;
    io::unique_fd engine_; // pidfd
    pid_t engine_group_;
    io::unique_fd null_;
    std::optional<slot_cgroup> cgroup_;
    slot_cgroup::cpu used_; // by earlier items
    frame_reader reader_;
    frame_reader queue_;
    remembered_executable executable_;
    reaper reaper_;
    std::uint64_t reaped_ = 0; // ever

    // Of the current item.
    state state_ = state::idle;
    run_order order_;
    report report_;
    pid_t item_ = -1; // the direct child: the item, or its init
    bool item_reaped_ = false;
    std::int64_t deadline_ = never; // the end of RUN or TERM, CLOCK_MONOTONIC
    std::vector<pid_t> signalled_;  // counted once each
    terminal_loan loan_;
    io::unique_fd terminal_; // with tty

    bool paused_ = false;
    std::int64_t left_ = 0;      // of the time to deadline_, when paused
    std::vector<pid_t> stopped_; // by us

    io::unique_fd control_; // of the init, when isolated
    struct {
        io::spawn_error error;
        int status = 0;
        bool known = false; // the item was reaped
        bool alone = false; // and nothing else was left
    } inner_;
};

} // namespace

void run_warden(const warden_setup& setup) {
    setpgid(0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NAME, "tenure-warden");
    if (setup.registry != nullptr) setup.registry->set(setup.slot, getpid());
    block_all_but_children();
    io::unique_fd engine(static_cast<int>(syscall(SYS_pidfd_open, setup.engine, 0)));
    // The pid meant the engine if it is still our parent now.
    if (!engine || getppid() != setup.engine) _exit(1);
    close_all_but(
        {setup.socket, setup.queue, engine.get(), setup.cgroup != nullptr ? setup.cgroup->directory() : -1});
    // A reader of the command's own output must not wait for us.
    const io::unique_fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int stream = 0; stream < 3; ++stream)
        dup2(null.get(), stream);
    warden(setup, std::move(engine)).run();
}

} // namespace tenure::inline v0::app
