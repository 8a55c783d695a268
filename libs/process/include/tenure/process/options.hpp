// How a pool and its workers are set up.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/wire/function.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace tenure::inline v0::process {

/// How a worker comes to be.
enum class start_method : std::uint8_t {
    /// A copy of the supervisor, which has loaded the program and run none of it. The supervisor execs instead if the program
    /// has started threads before main(), because a fork would copy only one of them.
    zygote,
    /// The program anew: its static constructors run in each worker.
    spawn,
};

/// A call that each worker runs before its first one: `{.initializer = process::initializer(fn<&load>, path)}`.
class initializer {
public:
    initializer() = default;
    template <class F, class... A>
    explicit initializer(const F& f, A&&... arguments) {
        wire::writer w;
        wire::write_call(w, f, std::forward<A>(arguments)...);
        message_.assign(w.message().begin(), w.message().end());
    }
    const std::vector<std::byte>& message() const noexcept { return message_; }

private:
    std::vector<std::byte> message_;
};

/// What becomes of the standard output and error of the workers.
enum class worker_output : std::uint8_t {
    /// They are this process's own. Costs nothing; the pool does not see them.
    inherited,
    /// The pool reads them and writes each line to its own, as a whole: "[worker 4711] text".
    tagged,
};

/// A line that a worker has written, or something in its call that writes there.
struct worker_line {
    pid_t pid;
    int fd;                ///< 1: standard output; 2: standard error
    std::string_view text; ///< without the line's end; valid during the call
    /// False: the rest follows, because the line is longer than 64 KiB; or the worker has ended without having ended it.
    bool complete;
};

struct pool_options {
    /// 0: one for each CPU that this process may use.
    unsigned workers = 0;
    start_method start = start_method::zygote;
    /// What a worker runs instead of this program: a program that speaks the worker protocol, and its arguments.
    std::vector<std::string> program{};
    process::initializer initializer{};
    /// Of a call that is cancelled or too late: between its cancellation and SIGTERM, and between that and SIGKILL.
    base::duration grace = std::chrono::milliseconds(200);
    /// Bytes of a call's arguments, or of a result. Costs addresses; memory only as far as messages need it.
    std::uint64_t max_message = std::uint64_t{1} << 30;
    /// Bytes of private memory that a worker may have (RLIMIT_DATA); 0: no limit. Allocations beyond throw std::bad_alloc there.
    std::uint64_t memory_limit = 0;
    /// A worker is replaced after so many calls, of which a batch of a map is one; 0: never.
    std::uint64_t calls_per_worker = 0;
    /// A worker that has had no call for so long ends; another one is started, with its initializer, when calls need it. A call
    /// that comes at that moment runs elsewhere. Whatever a worker kept in its memory is gone then. By default none ends.
    base::duration idle_timeout = base::duration::max();
    /// How long to go on trying when the system has no process, memory or descriptor to give.
    base::duration start_patience = std::chrono::seconds(10);
    std::optional<std::string> directory{};
    /// On top of our own environment: set, or removed where there is no value.
    std::map<std::string, std::optional<std::string>> environment{};
    /// Added to our niceness.
    int nice = 0;
    /// CPUs that the workers may use; empty: ours.
    std::vector<unsigned> cpus{};
    worker_output output = worker_output::inherited;
    /// Instead of `output`: is given each line that a worker writes. Those of one stream of a worker come in their order; never
    /// two at once, and none when close() has returned. A worker that writes more than it takes waits.
    /// Threads: a task of the runtime; while the pool closes, a thread of its own. Throws: reported like an unread failure.
    std::function<void(const worker_line&)> on_output{};
};

struct call_options {
    /// From the moment at which a worker begins with the call. What is late is cancelled, and ended by force if need be.
    base::duration timeout = base::duration::max();
    /// Instead of pool_options::grace.
    std::optional<base::duration> grace{};
};

} // namespace tenure::inline v0::process
