#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tenure::inline v0::app {

/// One thing to run the command on.
struct item {
    std::uint64_t seq = 0; ///< 1, 2, 3 … in the order of the input; what {#} stands for
    std::string text;      ///< any bytes
    std::uint64_t bytes =
        0; ///< length in the input; larger than text.size() when the text was cut for being too long
};

enum class item_state {
    succeeded,
    failed,    ///< exit status, signal, or it could not be started or stored
    timed_out, ///< its own --timeout
    stopped,   ///< ended by us: interrupt, deadline or --fail-fast
};

/// How an item ended, after its last attempt.
struct item_result {
    std::uint64_t seq = 0;
    item_state state = item_state::succeeded;
    int exit_code = -1; ///< -1: did not exit by itself
    int signal = 0;     ///< 0: not ended by a signal
    unsigned attempts = 1;
    std::chrono::system_clock::time_point started{};
    std::chrono::system_clock::time_point ended{};
    std::chrono::nanoseconds wall{0};                  ///< of the last attempt
    std::chrono::nanoseconds cpu{0};                   ///< user and system, descendants included
    std::optional<std::chrono::nanoseconds> term_late; ///< from the deadline to SIGTERM, when it timed out
    std::string reason; ///< why it failed when exit_code and signal do not tell; equal for equal causes
    std::string detail; ///< what differs from item to item, such as a size; may be empty
};

/// `succeeded`, `failed`, `timed_out` or `stopped`.
std::string_view name_of(item_state state);

/// `SIGTERM`, or `signal 64` for one without a name.
std::string signal_name(int signal);

/// Why the item did not succeed, in words: its reason, or `exit status 3`, `killed by SIGSEGV`, `timed out`,
/// `stopped`. Empty when it succeeded. Equal for equal causes, so that failures can be grouped by it.
std::string why_failed(const item_result& result);

} // namespace tenure::inline v0::app
