// For tests: an engine that is a plain poll() loop, and what tests ask about processes.
#pragma once

#include "proc/subtree.hpp"
#include "proc/warden_set.hpp"

#include <tenure/io/unique_fd.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tenure::inline v0::app::testing {

using namespace std::chrono_literals;

struct item_limits {
    std::optional<std::chrono::nanoseconds> timeout{};
    std::chrono::nanoseconds grace = 1s;
    bool isolate = false;
};

/// What a test sees of the item of one slot.
struct test_slot {
    std::optional<report> ended;
    std::vector<report>
        all; ///< since the last run(): of the item, and of offered ones that the warden went on with
    std::vector<report> stops;
    bool warden_died = false; ///< under the item
    std::string out;          ///< standard output so far
    bool all_gone = false;    ///< end of file on standard error: no process of the item is left
    std::chrono::steady_clock::time_point gone_at{};

    io::unique_fd out_end;
    io::unique_fd err_end;
    bool burying = false;
};

/// Makes the calling process an engine: a subreaper with wardens.
class test_engine {
public:
    explicit test_engine(unsigned slots, const run_cgroup* cgroup = nullptr,
                         warden_registry* registry = nullptr);

    warden_set& wardens() noexcept { return wardens_; }
    test_slot& slot(unsigned index) noexcept { return slots_[index]; }

    /// Starts an item, and the slot's warden if there is none. `witness`: standard error, in place of a pipe of
    /// its own. Returns: false when the request was refused.
    bool run(unsigned index, std::vector<std::string> argv, const item_limits& limits = {}, int witness = -1);
    /// With the terminal as its three streams.
    bool run_on_terminal(unsigned index, std::vector<std::string> argv, int terminal);

    /// Offers an item to the wardens, without output. Returns: its id, or 0 when it was refused.
    std::uint64_t offer(std::vector<std::string> argv);

    /// Called when `fd` is readable.
    void watch(int fd, std::function<void()> readable) { watched_.push_back({fd, std::move(readable)}); }

    /// Serves the wardens until `done`. Returns: false when `limit` passed first.
    bool until(const std::function<bool()>& done, std::chrono::milliseconds limit = 20s);
    /// The report of the slot's item; fails the test when none comes.
    report result(unsigned index);
    /// Serves until the item has written `text`.
    bool wrote(unsigned index, const std::string& text);

private:
    struct watched {
        int fd;
        std::function<void()> readable;
    };

    bool ready_to_run(unsigned index);
    void serve(unsigned index, short socket, bool died);
    void drain(test_slot& slot, bool out, bool err);

    warden_set wardens_;
    std::vector<test_slot> slots_;
    std::vector<watched> watched_;
};

std::string zoo();

/// Descriptors open in this process.
std::size_t open_descriptors();

/// Waits until this process has no child; reaps, kills nothing. Returns: false after `limit`.
bool no_child_within(std::chrono::milliseconds limit);

/// Everything below this process that is not a warden of `wardens`, and no zombie.
std::size_t strangers(warden_set& wardens);

/// For what stands for the command: the tests may run in the background, where SIGINT and SIGQUIT are ignored, or under nohup.
void hear_interrupts();

/// kill() for one process, or for a process group, that this test has started. Aborts when `pid` is none: -1, of a
/// fork that failed, would mean every process of the machine, and 0 the test's own group.
void signal_process(pid_t pid, int signal);
void signal_group(pid_t leader, int signal);

void pause_for(std::chrono::nanoseconds time);

} // namespace tenure::inline v0::app::testing
