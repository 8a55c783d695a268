// run_command: a child process as a task, with its output, its exit status and its end when the task is cancelled.
#pragma once
#include <tenure/base/error.hpp>
#include <tenure/core/task.hpp>
#include <tenure/io/spawn.hpp>

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tenure::inline v0::io {

/// Standard streams: /dev/null.
struct null_device {};
/// Standard streams: the same as ours.
struct inherited {};
/// Output kept in memory: the first `limit` bytes; the rest is read, counted and dropped.
struct capture {
    std::size_t limit = std::size_t(64) << 20;
};

/// What to run and how. `command c{.argv = {"gzip", "-9"}, .input = text};`
/// Give it a name before `co_await run_command(c)`: GCC 12 does not compile a braced list inside co_await.
struct command {
    /// The program, looked up in PATH unless it contains a slash, and its arguments. No shell.
    std::vector<std::string> argv{};
    std::optional<std::string> directory{};
    /// On top of our own environment (or of none): set, or removed where there is no value.
    std::map<std::string, std::optional<std::string>> environment{};
    bool inherit_environment = true;
    /// A string is the bytes that it reads.
    std::variant<null_device, inherited, std::string> input{};
    std::variant<capture, inherited, null_device> output{};
    std::variant<capture, inherited, null_device> errors{};
    /// Between SIGTERM and SIGKILL.
    base::duration grace = std::chrono::seconds(5);
    /// How long to try again when the system is short of processes, memory or descriptors.
    base::duration start_patience = std::chrono::seconds(10);
};

struct command_result {
    int status = 0; // exit status, if signal is 0
    int signal = 0; // the one that ended it; 0: it exited by itself
    std::string output{};
    std::string errors{};
    std::uint64_t output_dropped = 0; // bytes beyond the limit
    std::uint64_t errors_dropped = 0;
    base::duration wall{}; // from its start to its end
    base::duration user{}; // CPU time, with that of the children it waited for
    base::duration system{};

    bool success() const noexcept { return status == 0 && signal == 0; }
};

/// The program could not be started.
class command_error : public base::error {
public:
    command_error(const std::string& program, spawn_error why);
    const std::string& program() const noexcept { return *program_; }
    spawn_stage stage() const noexcept { return why_.stage; }
    /// errno.
    int code() const noexcept { return why_.code; }

private:
    std::shared_ptr<const std::string> program_; // shared: copying an exception must not throw
    spawn_error why_;
};

/// `command_result r = co_await run_command(c);` Runs a program in a process group of its own and returns when it has been
/// reaped. A status other than 0 is a result, not an error.
/// When it has ended, what its pipes hold is read and they are closed: what a descendant writes later is lost, and that
/// descendant gets SIGPIPE. Descendants are not ended unless the command is cancelled.
/// Owner: the calling task; the process does not outlive this await.
/// Cancel: SIGTERM to the group, after the grace SIGKILL, and SIGKILL to what is left of the group when the program has
///   ended. Unwinds after it was reaped. What left the group (setsid) is not reached. The output is dropped.
/// Timeout: none; wrap in with_timeout, which adds at most the grace.
/// Throws: command_error; usage_error (no program, a NUL byte in a string, no epoll driver); std::system_error.
core::task<command_result> run_command(command c);

} // namespace tenure::inline v0::io
