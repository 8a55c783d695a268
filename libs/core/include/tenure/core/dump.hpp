// The tree of what lives in a runtime at one moment: runtime::dump().
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tenure::inline v0::core {

/// What a task is doing. `ready`: it waits for nothing but a worker.
enum class task_activity : std::uint8_t { running, ready, waiting };
const char* to_string(task_activity a) noexcept;

/// What a process that runs a call said of the tasks in it. `none`: it runs no runtime, or was not asked. `missing`: it did not
/// answer in time; it is stuck, stopped or busy.
enum class process_answer : std::uint8_t { none, given, missing };
/// How long a dump waits for the processes that run calls, for all of them together.
inline constexpr base::duration dump_patience = std::chrono::milliseconds(100);

/// A runtime, a task, one of a task's scopes in time, shields and groups, or a call that a task awaits and that another process
/// runs.
struct tree_entry {
    enum class kind_of : std::uint8_t { runtime, task, group, scope, shield, call };
    kind_of kind = kind_of::runtime;
    std::size_t depth = 0;  // the runtime's is 0
    std::size_t parent = 0; // index into task_tree::entries; the runtime's is its own
    /// The task; of a group, scope or shield: the task that is in it; of a call: as it calls itself where it runs.
    base::task_label task;
    /// Of a task or a call; of one that is `ready`: no process has begun it.
    task_activity doing = task_activity::running;
    /// Of a task that does not run: where it awaits, then where that function is awaited, and so on outwards. Empty for one
    /// that has come to no await.
    std::vector<base::spawn_site> awaits;
    /// The earliest one of it and what encloses it.
    base::time_point deadline = base::never;
    /// Null unless it was asked to end.
    base::cause_ptr why;

    // Of a call.
    int process = 0;                      // who has it; 0: nobody, or one that its pool has not heard of yet
    base::time_point since = base::never; // it runs, within about 10 ms; never: that is not known
    std::uint64_t part = 0;               // which of its parts runs
    std::uint64_t parts = 0;              // 0: it has none
    process_answer answer = process_answer::none;
    std::string
        tasks; // `given`: the trees of its runtimes, as it wrote them, in printable lines; at most 64 KiB
};

/// What lived in a runtime: each entry before those that it owns, which come in the order in which they began.
struct task_tree {
    base::time_point taken{}; // on the runtime's clock
    std::vector<tree_entry> entries;
    std::size_t tasks() const noexcept;
};

/// An indented listing for people. What goes beyond `most` entries is counted.
std::string to_string(const task_tree& tree, std::size_t most = 200);

} // namespace tenure::inline v0::core
