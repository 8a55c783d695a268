#include <tenure/core/cleanup.hpp>
#include <tenure/core/group.hpp>
#include <tenure/core/observe.hpp>
#include <tenure/core/scope.hpp>
#include <tenure/core/sleep.hpp>
#include <tenure/io/child.hpp>
#include <tenure/io/command.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <memory>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::io {
namespace {

using core::group;
using core::task;

std::string describe_start(const std::string& program, spawn_error why) {
    return "cannot start '" + program + "': " + std::system_category().message(why.code) + " (" +
           to_string(why.stage) + ")";
}

// Strings as exec wants them: pointers into strings that live as long as this.
class exec_strings {
public:
    explicit exec_strings(std::vector<std::string> s) : strings_(std::move(s)) {
        for (auto& one : strings_)
            pointers_.push_back(one.data());
        pointers_.push_back(nullptr);
    }
    exec_strings(const exec_strings&) = delete;
    exec_strings& operator=(const exec_strings&) = delete;
    char* const* get() const noexcept { return pointers_.data(); }

private:
    std::vector<std::string> strings_;
    std::vector<char*> pointers_;
};

std::vector<std::string> environment_for(const command& c) {
    std::vector<std::string> out;
    for (char** e = ::environ; c.inherit_environment && e && *e; ++e) {
        const std::string_view entry = *e;
        if (!c.environment.contains(std::string(entry.substr(0, entry.find('='))))) out.emplace_back(entry);
    }
    for (const auto& [name, value] : c.environment)
        if (value) out.push_back(name + '=' + *value);
    return out;
}

void check(const command& c) {
    if (c.argv.empty() || c.argv[0].empty())
        throw base::usage_error("run_command: argv names no program; its first string is the program");
    const auto has_nul = [](const std::string& s) { return s.find('\0') != std::string::npos; };
    const bool bad =
        std::any_of(c.argv.begin(), c.argv.end(), has_nul) || (c.directory && has_nul(*c.directory)) ||
        std::any_of(c.environment.begin(), c.environment.end(),
                    [&](const auto& e) { return has_nul(e.first) || (e.second && has_nul(*e.second)); });
    if (bad)
        throw base::usage_error("run_command: a string for '" + c.argv[0] +
                                "' contains a NUL byte, which no program can get");
    for (const auto& [name, value] : c.environment)
        if (name.empty() || name.find('=') != std::string::npos)
            throw base::usage_error("run_command: '" + name +
                                    "' cannot be the name of an environment variable");
}

// A standard stream of the child: its side of a pipe, or one of our own descriptors.
struct stream_ends {
    unique_fd ours;
    unique_fd theirs;
    int number = -1; // what spawn() is told; -1: /dev/null
};

bool make_pipe(unique_fd& reads, unique_fd& writes) noexcept {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return false;
    reads.reset(fds[0]);
    writes.reset(fds[1]);
    return true;
}

struct started {
    base::time_point at;
    spawned process;
    std::array<unique_fd, 3> ours; // input, output, errors
};

started try_start(const command& c, const exec_strings& argv, const exec_strings& environment) {
    std::array<stream_ends, 3>
        ends; // what is theirs is closed here, before anybody waits for the end of a pipe
    const auto no_pipe = [] {
        started s;
        s.process.error = {.code = errno, .stage = spawn_stage::streams};
        return s;
    };
    if (std::holds_alternative<inherited>(c.input)) ends[0].number = STDIN_FILENO;
    if (std::holds_alternative<std::string>(c.input)) {
        if (!make_pipe(ends[0].theirs, ends[0].ours)) return no_pipe();
        ends[0].number = ends[0].theirs.get();
    }
    for (const int i : {STDOUT_FILENO, STDERR_FILENO}) {
        const auto& to = i == STDOUT_FILENO ? c.output : c.errors;
        auto& end = ends[static_cast<std::size_t>(i)];
        if (std::holds_alternative<inherited>(to)) end.number = i;
        if (std::holds_alternative<capture>(to)) {
            if (!make_pipe(end.ours, end.theirs)) return no_pipe();
            end.number = end.theirs.get();
        }
    }
    const auto now = std::chrono::steady_clock::now();
    spawn_options o;
    o.argv = argv.get();
    o.environment = environment.get();
    o.directory = c.directory ? c.directory->c_str() : nullptr;
    o.in = ends[0].number;
    o.out = ends[1].number;
    o.err = ends[2].number;
    o.want_pidfd = true;
    return {.at = now,
            .process = spawn(o),
            .ours = {std::move(ends[0].ours), std::move(ends[1].ours), std::move(ends[2].ours)}};
}

task<started> start(const command& c) {
    const exec_strings argv(c.argv);
    const exec_strings environment(environment_for(c));
    const auto give_up_at = base::saturating_add(std::chrono::steady_clock::now(), c.start_patience);
    base::duration pause = std::chrono::milliseconds(1);
    for (;;) {
        started s = try_start(c, argv, environment);
        if (s.process) co_return s;
        if (!s.process.error.transient() || std::chrono::steady_clock::now() >= give_up_at)
            throw command_error(c.argv[0], s.process.error);
        s.ours = {};
        co_await core::sleep_for(pause);
        pause = std::min<base::duration>(2 * pause, std::chrono::milliseconds(100));
    }
}

// One captured stream: what was read, up to the limit, and how much more there was.
class collector {
public:
    collector(unique_fd from, const std::variant<capture, inherited, null_device>& how) {
        if (!from) return;
        in_.emplace(std::move(from));
        buffer_ = std::make_unique_for_overwrite<char[]>(buffer_size);
        limit_ = std::get<capture>(how).limit;
    }
    /// Reads until the end, or until it is cancelled, which loses nothing.
    task<> collect() {
        while (in_) {
            const std::size_t n = co_await in_->read_some({buffer_.get(), buffer_size});
            if (n == 0) in_.reset();
            keep(n);
        }
    }
    /// What the pipe holds at this moment, at most; a descendant may go on writing for ever.
    void drain() {
        if (!in_) return;
        const int capacity = ::fcntl(in_->fd(), F_GETPIPE_SZ);
        for (auto left = static_cast<std::size_t>(std::max(capacity, 0)); left > 0;) {
            const auto n = in_->try_read({buffer_.get(), std::min(left, buffer_size)});
            if (!n || *n == 0) break;
            keep(*n);
            left -= *n;
        }
        in_.reset();
    }
    std::string text;
    std::uint64_t dropped = 0;

private:
    void keep(std::size_t n) {
        const std::size_t kept = std::min(n, limit_ - text.size());
        text.append(buffer_.get(), kept);
        dropped += n - kept;
    }
    static constexpr std::size_t buffer_size = 16384;
    std::optional<descriptor> in_;
    std::unique_ptr<char[]> buffer_;
    std::size_t limit_ = 0;
};

// One process with its pipes.
class running_command {
public:
    running_command(const command& c, started s)
        : started_(s.at),
          child_(std::move(s.process)),
          output_(std::move(s.ours[1]), c.output),
          errors_(std::move(s.ours[2]), c.errors),
          grace_(c.grace) {
        if (s.ours[0]) {
            input_.emplace(std::move(s.ours[0]));
            text_ = std::get<std::string>(c.input);
        }
    }
    running_command(const running_command&) = delete;
    running_command& operator=(const running_command&) = delete;

    /// Feeds and reads it until it has ended.
    task<command_result> run() {
        auto body = [this](group g) -> task<> {
            auto feeding = g.spawn([](running_command* c) { return c->feed(); }, this);
            auto reading = g.spawn([](running_command* c) { return c->output_.collect(); }, this);
            auto reading_errors = g.spawn([](running_command* c) { return c->errors_.collect(); }, this);
            co_await child_.ended();
            // A descendant may hold the pipes for as long as it likes.
            (void)co_await feeding.cancel_and_join();
            (void)co_await reading.cancel_and_join();
            (void)co_await reading_errors.cancel_and_join();
        };
        co_await core::with_group(body);
        output_.drain();
        errors_.drain();
        const exit_status s = co_await child_.exited();
        co_return command_result{.status = s.code,
                                 .signal = s.signal,
                                 .output = std::move(output_.text),
                                 .errors = std::move(errors_.text),
                                 .output_dropped = output_.dropped,
                                 .errors_dropped = errors_.dropped,
                                 .wall = std::chrono::steady_clock::now() - started_,
                                 .user = s.user,
                                 .system = s.system};
    }

    /// Ends it if it is still there. Its output is read on meanwhile: it may have a lot to say before it goes.
    task<> end() {
        if (child_.reaped()) co_return;
        child_.signal_group(SIGTERM);
        child_.signal_group(SIGCONT); // a stopped one could not obey
        auto body = [this](group g) -> task<> {
            auto reading = g.spawn([](running_command* c) { return c->output_.collect(); }, this);
            auto reading_errors = g.spawn([](running_command* c) { return c->errors_.collect(); }, this);
            auto ended = [this]() -> task<> { co_await child_.ended(); };
            (void)co_await core::move_on_after(grace_, ended);
            child_.signal_group(SIGKILL);
            co_await child_.ended();
            (void)co_await reading.cancel_and_join();
            (void)co_await reading_errors.cancel_and_join();
        };
        co_await core::with_group(body);
        (void)co_await child_.exited();
    }

private:
    task<> feed() {
        if (!input_) co_return;
        try {
            co_await input_->write_all(text_);
        } catch (const std::system_error& e) {
            if (e.code().value() != EPIPE) throw; // it does not want more: its own business
        }
        input_.reset();
    }

    const base::time_point started_;
    child child_;
    std::optional<descriptor> input_;
    std::string text_;
    collector output_;
    collector errors_;
    base::duration grace_;
};

} // namespace

command_error::command_error(const std::string& program, spawn_error why)
    : error(describe_start(program, why)),
      program_(std::make_shared<const std::string>(program)),
      why_(why) {}

core::task<command_result> run_command(command c) {
    check(c);
    auto process = co_await start(c);
    running_command running(c, std::move(process));
    auto body = [&] { return running.run(); };
    auto cleanup = [&] { return running.end(); };
    // Bounded by the grace and SIGKILL: a shield that gave up would leave a process behind.
    auto all = core::with_cleanup(base::duration::max(), body, cleanup);
    // Observed, since that looks at no cancellation before it begins: from its start on the process gets its grace.
    auto outcome = co_await core::as_outcome(std::move(all));
    if (outcome.was_cancelled()) co_await core::checkpoint();
    co_return std::move(outcome).value();
}

} // namespace tenure::inline v0::io
