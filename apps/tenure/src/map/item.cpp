#include "map/item.hpp"

#include <cstring> // and sigabbrev_np, an extension of <string.h>

namespace tenure::inline v0::app {

std::string_view name_of(item_state state) {
    switch (state) {
    case item_state::succeeded: return "succeeded";
    case item_state::failed: return "failed";
    case item_state::timed_out: return "timed_out";
    case item_state::stopped: return "stopped";
    }
    return "unknown";
}

std::string signal_name(int signal) {
    if (const char* name = ::sigabbrev_np(signal)) return std::string("SIG") + name;
    return "signal " + std::to_string(signal);
}

std::string why_failed(const item_result& result) {
    if (result.state == item_state::succeeded) return {};
    if (!result.reason.empty()) return result.reason;
    if (result.state == item_state::timed_out) return "timed out";
    if (result.state == item_state::stopped) return "stopped";
    if (result.signal != 0) return "killed by " + signal_name(result.signal);
    if (result.exit_code >= 0) return "exit status " + std::to_string(result.exit_code);
    return "failed";
}

} // namespace tenure::inline v0::app
