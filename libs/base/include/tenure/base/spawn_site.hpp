// Where in the user's source a task was spawned, and what it is called.
#pragma once
#include <cstdint>
#include <source_location>
#include <string>

namespace tenure::inline v0::base {

using spawn_site = std::source_location;

/// "file.cpp:12" with the directory left out; "?" for a default-constructed site.
std::string to_string(const spawn_site& site);

/// Identifies a task within its process; never reused. 0: no task.
using task_id = std::uint64_t;

/// How an error names a task: copied text only, so that an error keeps nothing alive.
struct task_label {
    task_id id = 0;
    std::string name;
    spawn_site site{};
};

/// "task 7 'fetch' spawned at main.cpp:12"; "" for no task.
std::string to_string(const task_label& label);

} // namespace tenure::inline v0::base
