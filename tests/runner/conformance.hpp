// What every runner must do: one suite, which a test program runs with each of its setups.
//
// Jobs tell the test what they do by signs: bytes appended to a file, which works from everywhere on one machine.
#pragma once
#include <tenure/core/runtime.hpp>
#include <tenure/runner/runner.hpp>

#include <memory>
#include <string>
#include <vector>

namespace runner_conformance {
using namespace tenure;

/// Makes a runner, and says what it can do.
struct setup {
    std::string name;
    core::runtime_options (*options)(); // where the tasks run
    std::unique_ptr<runner::runner> (*make)(core::runtime& rt, unsigned width);
    bool virtual_time = false;
    bool shares_memory = false; // jobs see the memory of the test
    bool ends_jobs = false;     // a running job that does not look whether it was cancelled is ended
    bool keeps_types = false;   // what a job throws arrives as what it was; otherwise as remote_error
    bool runs_beside = false;   // jobs run beside the tasks: those go on meanwhile
    bool has_width = false;     // at most `width` jobs run at once, the others wait
    bool may_wait = false;      // a job may wait for calls that it makes on its runner
};
/// Those of the test program, which defines this.
std::vector<setup> setups();

} // namespace runner_conformance
