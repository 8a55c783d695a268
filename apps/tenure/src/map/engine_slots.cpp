// The slots of a run: next item, attempts, record.

#include "map/engine.hpp"
#include "map/retry_delay.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace tenure::inline v0::app {
namespace {

using namespace std::chrono_literals;

// The warden bounds an attempt, not we.
constexpr auto unbounded = std::chrono::nanoseconds::max();
// Before trying again what failed for lack of descriptors, processes or memory.
constexpr auto shortage_pause = 20ms;
constexpr auto shortage_silence = 1s;
constexpr auto descriptors_patience = 1s;
constexpr auto room_grows_every = 200ms;
// An item that ends sooner than this has its output collected once, at its end: the pipes hold it, and the driver
// need not be told of them. A longer one loses at most this once, if it fills its pipe in less.
constexpr auto first_look = 2ms;
// What escaped the warden could write for ever; what the item itself wrote fits into the pipe.
constexpr int last_drains = 4;

bool is_shortage(int error) {
    return error == EMFILE || error == ENFILE || error == EAGAIN || error == ENOMEM || error == ENOBUFS;
}

// Whether a file of this name lies in PATH, executable or not.
bool lies_in_path(const std::string& program) {
    const char* path = ::getenv("PATH");
    for (std::string_view rest = path ? path : "/bin:/usr/bin"; !rest.empty();) {
        const std::string_view folder = rest.substr(0, rest.find(':'));
        rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
        const std::string file = folder.empty() ? program : std::string(folder) + "/" + program;
        if (::access(file.c_str(), F_OK) == 0) return true;
    }
    return false;
}

std::string start_failure(const report& r, const std::string& program) {
    // A folder of PATH that may not be searched gives EACCES as well, for a command that is nowhere.
    const bool looked_up = program.find('/') == std::string::npos;
    if (r.spawn_errno == ENOENT && (looked_up ? lies_in_path(program) : ::access(program.c_str(), F_OK) == 0))
        return "its interpreter (#! line) or loader is missing: " + program;
    if (r.spawn_errno == ENOENT || (r.spawn_errno == EACCES && looked_up && !lies_in_path(program)))
        return "command not found: " + program;
    if (r.spawn_errno == EACCES) return "command not executable: " + program;
    return std::string(std::strerror(r.spawn_errno)) + ": " + program;
}

} // namespace

task<> engine::run_slots() {
    co_await with_group([this](group g) -> task<> {
        slots_group_ = g;
        for (auto& s : slots_)
            (void)g.spawn(&engine::work, this, std::ref(s));
        if (stopping()) g.cancel("stopped before the first item");
        co_return;
    });
}

task<> engine::work(slot& s) {
    for (;;) {
        auto what = co_await next_item();
        if (!what) co_return;
        co_await run_item(s, std::move(*what), std::nullopt);
        while (s.begun)
            if (const auto error = (co_await as_outcome(run_begun(s))).error()) std::rethrow_exception(error);
        if (room_ < slots_.size()) co_await yield(); // those that wait for room go first
    }
}

// A taken item that may not start yet stays in held_, so that a slot that is cancelled here loses none.
task<std::optional<item>> engine::next_item() {
    for (;;) {
        if (stopping()) co_return std::nullopt;
        // What is offered comes before what is in the source.
        if (returned_.empty()) (void)take_back_first();
        if (auto ready = ready_item()) co_return ready;
        if (held_) {
            moved_.reset();
            co_await moved_.wait();
        } else if (source_.exhausted()) {
            co_return std::nullopt;
        } else {
            fed_.reset();
            hungry_.set();
            co_await fed_.wait();
        }
    }
}

std::optional<item> engine::ready_item() {
    if (!returned_.empty()) return std::move(returned_.extract(returned_.begin()).mapped());
    if (!held_) held_ = source_.next();
    if (!held_ || releases_.size() >= backlog_limit() + 1024 || !releases_.may_start(held_->seq))
        return std::nullopt;
    return std::exchange(held_, std::nullopt);
}

// Awaited with as_outcome: what has begun is seen to its end by a slot that was cancelled, too.
task<> engine::run_begun(slot& s) {
    early_item next = std::move(*std::exchange(s.begun, std::nullopt));
    return run_item(s, std::move(next.what), std::move(next.pipes));
}

task<> engine::run_item(slot& s, item what, std::optional<output_pipes> begun) {
    ++started_;
    const auto since = std::chrono::steady_clock::now();
    auto output = std::make_unique<item_output>(spill_);
    std::optional<std::chrono::system_clock::time_point> first_start;
    unsigned attempts = 0;
    bool announced = false;
    attempt last;
    for (;;) {
        s.busy = true;
        s.text = what.text.substr(0, 200);
        s.since = since;
        if (options_.json && !std::exchange(announced, true))
            emit(events::start(what.seq, attempts + 1, std::chrono::system_clock::now(), what.text));
        for (; !begun && inside_ >= room_ && !stopping(); s.busy = true) {
            s.busy = false;
            room_free_.reset();
            (void)co_await as_outcome(room_free_.wait());
        }
        ++inside_;
        last = co_await shield(unbounded, &engine::try_once, this, std::ref(s), std::cref(what),
                               std::ref(*output), std::ref(begun));
        --inside_;
        room_free_.set();
        if (!first_start) first_start = last.result.started;
        if (last.shortage == 0) {
            got_along();
        } else if (!stopping() && make_room(last.shortage)) { // not an attempt: it starts when there is room
            (void)co_await as_outcome(sleep_for(shortage_pause));
            continue;
        }
        ++attempts;
        stop_if_interrupted(last.result.signal);
        const bool failed =
            last.result.state == item_state::failed || last.result.state == item_state::timed_out;
        if (!failed || attempts > options_.retries || stopping()) break;
        const auto delay = retry_delay(what.seq, attempts);
        if (options_.json) emit(events::retry(what.seq, attempts, why_failed(last.result), delay));
        while (s.begun) // it succeeded for its warden, but we have lost its output
            if (const auto error = (co_await as_outcome(run_begun(s))).error()) std::rethrow_exception(error);
        (void)co_await as_outcome(sleep_for(delay));
        if (stopping()) break; // the failure stands, with what it wrote
        output->discard();
        announced = false;
    }
    last.result.attempts = attempts;
    last.result.started = *first_start;
    s.busy = false;
    record(std::move(last.result), what, std::move(output));
}

task<engine::attempt> engine::try_once(slot& s, const item& what, item_output& output,
                                       std::optional<output_pipes>& begun) {
    attempt a;
    a.result.seq = what.seq;
    a.result.started = a.result.ended = std::chrono::system_clock::now();
    a.result.state = item_state::stopped;
    if (stopping() && !begun) co_return a;
    a.result.state = item_state::failed;
    const expansion expanded = command_.expand(what);
    if (const auto* e = std::get_if<expansion_error>(&expanded)) {
        a.result.reason = e->reason;
        a.result.detail = e->detail;
        co_return a;
    }
    const auto& argv = std::get<std::vector<std::string>>(expanded);
    const attended end = co_await attend(s, argv, output, begun);
    a.result.ended = std::chrono::system_clock::now();
    if (!end.got) {
        a.shortage = end.shortage;
        a.result.reason = end.problem;
    } else if (end.got->spawn_errno != 0) {
        if (is_shortage(end.got->spawn_errno)) a.shortage = end.got->spawn_errno;
        a.result.reason = start_failure(*end.got, argv[0]);
    } else {
        judge(*end.got, a.result);
    }
    if (a.shortage != 0 && stopping()) a.result.state = item_state::stopped;
    if (a.result.state == item_state::succeeded && !output.trouble().empty()) {
        a.result.state = item_state::failed;
        a.result.reason = output.trouble();
        most_offers_ = 0; // the next attempt is to be the slot's next item
        take_back_all();
    }
    co_return a;
}

// An item could not be started. Wardens that have nothing to do give back what they hold, and as many slots as
// get along go on; a new one is let in every now and then.
// Returns: false if waiting cannot help: the descriptors are our own, and neither a slot nor the releaser is about
// to give any back.
bool engine::make_room(int shortage) {
    const auto now = std::chrono::steady_clock::now();
    room_ = std::max(1U, inside_);
    room_changed_ = now;
    for (slot& other : slots_)
        dismiss(other);
    if (inside_ > 0) return true;
    if (!stuck_since_) stuck_since_ = now;
    if (shortage == EMFILE && unwritten_ == 0 && now - *stuck_since_ >= descriptors_patience) return false;
    if (now - *stuck_since_ >= shortage_silence && !std::exchange(shortage_told_, true))
        say(std::string("cannot start items: ") + std::strerror(shortage) + "; trying again");
    return true;
}

void engine::got_along() {
    stuck_since_.reset();
    shortage_told_ = false;
    if (room_ == most_room_) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - room_changed_ < room_grows_every) return;
    ++room_;
    room_changed_ = now;
    room_free_.set();
}

// Ends an idle warden: it counts as a process and holds descriptors, and it is started again when it is needed.
// Blocks for the moment in which it ends.
void engine::dismiss(slot& s) {
    warden_link& link = wardens_[s.number];
    if (!link.idle()) return;
    link.quit();
    s.ready.reset();
    pollfd ended{link.pidfd(), POLLIN, 0};
    (void)::poll(&ended, 1, 100);
    while (!wardens_.bury(s.number))
        (void)::poll(nullptr, 0, 1);
}

// Has the warden run it and drains its output; returns when the item and all its descendants are gone.
task<engine::attended> engine::attend(slot& s, const std::vector<std::string>& argv, item_output& output,
                                      std::optional<output_pipes>& begun) {
    attended end;
    output_pipes kept;
    if (begun) {
        kept = std::move(*std::exchange(begun, std::nullopt));
    } else {
        run_streams given;
        int error = ready_warden(s);
        if (error == 0) error = make_streams(given, kept);
        if (error != 0) {
            end.shortage = is_shortage(error) ? error : 0;
            end.problem = std::strerror(error);
            co_return end;
        }
        run_request now = request(argv);
        now.id = wardens_.fresh_id();
        if (const int refused = wardens_[s.number].run(now, std::move(given)); refused != 0) {
            end.problem = refused == E2BIG ? "longer than the system allows for a command"
                                           : "a NUL byte in a word of the command";
            co_return end;
        }
    }
    offer_items();
    co_await with_group([&](group g) -> task<> {
        std::optional<future<void>> out, err;
        if (kept.out)
            out = g.spawn(&engine::drain, this, std::ref(output), stream::out, std::cref(*kept.out));
        if (kept.err)
            err = g.spawn(&engine::drain, this, std::ref(output), stream::err, std::cref(*kept.err));
        end.got = co_await converse(s);
        // A warden that had to leave something alive has exited behind its report, for a new one to start clean.
        if (!end.got)
            co_await bury(s, kill_patience::with_deaf);
        else if (end.got->unkillable > 0)
            co_await bury(s, 500ms); // it has waited for them already
        // Every process of the item is gone. A pipe that is still open is held by something outside its tree.
        if (out) out->cancel("the item has ended");
        if (err) err->cancel("the item has ended");
    });
    for (int i = 0;
         kept.out && i < last_drains && output.drain(stream::out, kept.out->fd()) == drain_state::more;)
        ++i;
    for (int i = 0;
         kept.err && i < last_drains && output.drain(stream::err, kept.err->fd()) == drain_state::more;)
        ++i;
    if (!end.got) end.problem = "its warden died";
    co_return end;
}

run_request engine::request(const std::vector<std::string>& argv) const {
    return {0, argv, options_.timeout, options_.grace, options_.isolate};
}

// A warden that finds the next item offered starts it at once, and the engine is not in the way. While a slot is idle
// nothing is offered: it would take the item itself.
void engine::offer_items() {
    while (offered_.size() < most_offers_ && inside_ == slots_.size() && !stopping()) {
        std::optional<item> next = ready_item();
        if (!next) return;
        if (offer(*next)) continue;
        returned_.emplace(next->seq, std::move(*next));
        return;
    }
}

bool engine::offer(item& what) {
    const expansion expanded = command_.expand(what);
    const auto* argv = std::get_if<std::vector<std::string>>(&expanded);
    if (argv == nullptr) return false;
    early_item early;
    run_streams given;
    run_request next = request(*argv);
    if (make_streams(given, early.pipes) != 0 || !wardens_.offer(next, given)) return false;
    early.what = std::move(what);
    offered_.emplace(next.id, std::move(early));
    return true;
}

// Returns: false when a warden has it: we shall be told.
bool engine::take_back_first() {
    for (auto& [id, early] : offered_) {
        if (!wardens_.take_back(id)) continue;
        returned_.emplace(early.what.seq, std::move(early.what));
        offered_.erase(id);
        return true;
    }
    return false;
}

void engine::take_back_all() {
    while (take_back_first()) {}
}

// The slot's warden has died. What it had taken without telling was not started.
void engine::take_back_after(const slot& dead) {
    std::erase_if(offered_, [&](auto& entry) {
        if (!wardens_.take_back_after(entry.first, dead.number)) return false;
        returned_.emplace(entry.second.what.seq, std::move(entry.second.what));
        return true;
    });
}

task<> engine::drain(item_output& output, stream which, const io::descriptor& pipe) {
    co_await sleep_for(first_look);
    for (;;) {
        co_await pipe.readable();
        drain_state seen{};
        (void)pipe.try_read_io([&](int fd) {
            seen = output.drain(which, fd);
            errno = EAGAIN;
            return seen == drain_state::waiting ? -1 : 0;
        });
        if (seen == drain_state::ended) co_return;
        if (seen == drain_state::more) co_await yield(); // the other slots, too
    }
}

// Sends what is still to be sent and waits for the end report. Empty: the warden has died.
task<std::optional<report>> engine::converse(slot& s) {
    warden_link& link = wardens_[s.number];
    for (;;) {
        // A warden that has died may have told things before: they are read first.
        if (link.wants_write() && link.flush() == warden_link::io_state::would_block) {
            // Only a request larger than the socket's buffer gets here. END waits behind it, and so must we.
            (void)s.ready->try_write_io([](int) { return errno = EAGAIN, -1; });
            co_await s.ready->writable();
            continue;
        }
        report r;
        warden_link::received got{};
        (void)s.ready->try_read_io([&](int) {
            got = link.receive(r);
            errno = EAGAIN;
            return got == warden_link::received::nothing ? -1 : 0;
        });
        if (got == warden_link::received::broken) co_return std::nullopt;
        if (got == warden_link::received::nothing) {
            co_await s.ready->readable();
        } else if (r.kind == report_kind::ended) {
            if (r.next == 0) co_return r;
            auto next = offered_.extract(r.next);
            if (!next) co_return std::nullopt; // what it runs is not ours
            s.begun = std::move(next.mapped());
            co_return r;
        } else if (options_.tty) { // the job on the terminal has stopped: so do we, as one job
            stop_self();
            link.cont();
        }
    }
}

// What a dead warden left behind is ended before its slot goes on.
task<> engine::bury(slot& s, std::chrono::nanoseconds patience) {
    s.ready.reset();
    for (;;) {
        const bool gone = wardens_.bury(s.number, patience);
        if (!wardens_[s.number].alive()) take_back_after(s);
        if (gone) co_return;
        co_await sleep_for(1ms);
    }
}

// Returns: 0, or errno.
int engine::ready_warden(slot& s) {
    warden_link& link = wardens_[s.number];
    if (!link.alive()) {
        if (const int error = wardens_.start(s.number); error != 0) return error;
        s.ready.reset();
    }
    if (!s.ready) {
        io::unique_fd copy(::fcntl(link.socket(), F_DUPFD_CLOEXEC, 3));
        if (copy.get() < 0) return errno;
        s.ready.emplace(runtime_.io(), std::move(copy));
    }
    return 0;
}

// Pipes for the item's output, or the terminal itself. Returns: 0, or errno.
int engine::make_streams(run_streams& given, output_pipes& kept) {
    if (options_.tty) {
        given.in = io::unique_fd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
        given.out = io::unique_fd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
        given.err = io::unique_fd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
        given.tty = ::isatty(STDIN_FILENO) == 1;
        return given.in.get() < 0 || given.out.get() < 0 || given.err.get() < 0 ? errno : 0;
    }
    int out[2], err[2];
    if (::pipe2(out, O_CLOEXEC) != 0) return errno;
    io::unique_fd out_read(out[0]);
    given.out = io::unique_fd(out[1]);
    if (::pipe2(err, O_CLOEXEC) != 0) return errno;
    io::unique_fd err_read(err[0]);
    given.err = io::unique_fd(err[1]);
    // Only our ends become non-blocking: how the item's own ends behave is its affair.
    kept.out.emplace(runtime_.io(), std::move(out_read));
    kept.err.emplace(runtime_.io(), std::move(err_read));
    return 0;
}

void engine::judge(const report& r, item_result& result) const {
    result.wall = std::chrono::nanoseconds(r.ended_ns - r.started_ns);
    // The warden may have begun before we heard of it.
    result.started =
        std::chrono::system_clock::now() - std::chrono::duration_cast<std::chrono::system_clock::duration>(
                                               std::chrono::nanoseconds(monotonic_ns() - r.started_ns));
    result.cpu = std::chrono::nanoseconds(r.user_ns + r.system_ns);
    if (WIFEXITED(r.wait_status)) result.exit_code = WEXITSTATUS(r.wait_status);
    if (WIFSIGNALED(r.wait_status)) result.signal = WTERMSIG(r.wait_status);
    switch (r.by) {
    case ended_by::timeout:
        result.state = item_state::timed_out;
        result.term_late = std::chrono::nanoseconds(r.term_late_ns);
        break;
    case ended_by::end_request:
    case ended_by::kill_request: result.state = item_state::stopped; break;
    case ended_by::itself:
        result.state = r.wait_status == 0 ? item_state::succeeded : item_state::failed;
        break;
    }
}

void engine::record(item_result result, const item& what, std::unique_ptr<item_output> output) {
    if (results_ && result.attempts > 0) {
        if (std::string trouble = results_->store(result, what.text, *output); !trouble.empty()) {
            if (result.state == item_state::succeeded) result.state = item_state::failed;
            result.reason = std::move(trouble);
        }
        output.reset();
    }
    ++ended_;
    summary_.add(result, what.text);
    const bool fails = result.state == item_state::failed || result.state == item_state::timed_out;
    const int killer = result.signal;
    held_cost cost;
    if (output) {
        cost = {output->memory(), output->files()};
        if (releases_.should_park(what.seq, cost)) {
            output->park();
            cost = {output->memory(), output->files()};
        }
    }
    releases_.push(what.seq, {std::move(result), std::move(output)}, cost);
    releasable_.set();
    stop_if_interrupted(killer);
    if (fails && options_.fail_fast) stop(run_ending::failed_fast);
}

} // namespace tenure::inline v0::app
