#pragma once

#include "map/item.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tenure::inline v0::app {

/// Why the run came to its end.
enum class run_ending {
    finished,      ///< every item had its turn
    failed_fast,   ///< --fail-fast
    deadline,      ///< --deadline
    interrupted,   ///< SIGINT or SIGTERM
    output_closed, ///< nobody reads standard output any more
};

struct run_counts {
    std::uint64_t done = 0; ///< succeeded
    std::uint64_t failed = 0;
    std::uint64_t timed_out = 0;
    std::uint64_t stopped = 0;                    ///< ended by tenure before they were done
    std::uint64_t retried = 0;                    ///< attempts after the first one
    std::optional<std::uint64_t> not_started = 0; ///< empty: unknown, the input was not read to its end
};

/// 0 all succeeded, 1 some did not, 124 deadline, 130 interrupted. (2, wrong usage, never gets this far.)
int exit_status(const run_counts& counts, run_ending ending);

/// What is left when a run has ended: 0 of each, or `where` names them.
struct audit_counts {
    std::uint64_t tasks = 0;
    std::uint64_t timers = 0;
    std::uint64_t processes = 0;
    std::uint64_t descriptors = 0;
    std::vector<std::string> where; ///< one line for each thing left
};

/// "audit: tasks 0, timers 0, processes 0, descriptors 0 left", and a line for each thing left.
std::string audit_text(const audit_counts& counts);

/// Collects how items ended. Memory is bounded: a few slow items, a few items of each reason, a bounded
/// number of reasons.
class run_summary {
public:
    static constexpr std::size_t slowest_kept = 5;
    static constexpr std::size_t named_per_reason = 3;
    static constexpr std::size_t reasons_kept = 50;

    void add(const item_result& result, std::string_view item_text);

    /// `n` items will not be started; nothing: how many is not known.
    void not_started(std::optional<std::uint64_t> n) { counts_.not_started = n; }

    /// An item's standard error could not be written.
    void add_lost_stderr(std::string_view reason);
    std::uint64_t lost_stderr() const noexcept { return lost_stderr_; }

    const run_counts& counts() const noexcept { return counts_; }
    std::chrono::nanoseconds cpu() const noexcept { return cpu_; }

    struct layout {
        std::size_t columns = 80;
        bool colour = false;

        /// Of what `fd` is: lines that go to no terminal are not cut.
        static layout of(int fd);
    };

    /// The summary for people, several lines, none wider than the layout's columns.
    std::string text(std::chrono::nanoseconds wall, run_ending ending, layout how) const;

private:
    struct named_item {
        std::uint64_t seq = 0;
        std::string text; // shortened
        std::string detail;
        unsigned attempts = 1;
    };
    struct slow_item {
        std::uint64_t seq = 0;
        std::string text;
        std::chrono::nanoseconds wall{0};
        item_state state = item_state::succeeded;
    };
    struct reason_group {
        std::string reason;
        std::uint64_t count = 0;
        std::vector<named_item> first;
    };

    void note_failure(const item_result& result, std::string_view item_text);
    void note_slow(const item_result& result, std::string_view item_text);

    run_counts counts_;
    std::chrono::nanoseconds cpu_{0};
    std::vector<slow_item> slowest_; // longest first
    std::vector<reason_group> reasons_;
    std::unordered_map<std::string, std::size_t> reason_index_;
    std::uint64_t other_reasons_ = 0; // failures whose reason did not fit
    std::uint64_t lost_stderr_ = 0;   // items
    std::string lost_stderr_reason_;  // the first
};

/// Colours are wanted: `fd` is a terminal, TERM is not "dumb", and NO_COLOR is unset or empty.
bool wants_colour(int fd);

} // namespace tenure::inline v0::app
