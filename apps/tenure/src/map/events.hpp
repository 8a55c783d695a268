#pragma once

#include "map/item.hpp"
#include "map/item_output.hpp"
#include "map/summary.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenure::inline v0::app {

/// The events of --json. Standard output carries nothing else then: one JSON object a line, ASCII or UTF-8,
/// each with the member "event":
///   start    an attempt began                       seq attempt time item
///   retry    an attempt failed, another will follow seq attempt reason delay_ms
///   output   a piece of what an item wrote          seq stream data
///   end      an item ended for good                 seq status exit signal timed_out attempts started ended
///                                                   wall_ms cpu_ms [term_late_ms] [reason] [detail]
///   summary  the run ended                          ending exit_status done failed timed_out stopped retried
///                                                   not_started wall_ms cpu_ms
///   audit    last line: what is left                tasks timers processes descriptors [where]
/// The output events of an item come directly before its end event, those of stdout before those of stderr,
/// in the order that --order asks for; an attempt that is repeated has none. With --results there are no
/// output events: the output is in the files. Bytes that are not UTF-8 are never altered: then `item`,
/// `data`, `reason` and `detail` are named `item_base64` and so on, and hold Base64.
namespace events {

std::string start(std::uint64_t seq, unsigned attempt, std::chrono::system_clock::time_point time,
                  std::string_view item_text);
std::string retry(std::uint64_t seq, unsigned attempt, std::string_view reason,
                  std::chrono::nanoseconds delay);
std::string output(std::uint64_t seq, stream s, std::string_view bytes);
std::string end(const item_result& result);
std::string summary(const run_counts& counts, run_ending ending, std::chrono::nanoseconds wall,
                    std::chrono::nanoseconds cpu);
std::string audit(const audit_counts& counts);

} // namespace events

/// `text` between quotes, escaped; what is not valid UTF-8 becomes U+FFFD.
std::string json_string(std::string_view text);

std::string base64(std::string_view bytes);

/// The output events of one item, one piece of at most `piece_bytes` at a time. A piece never ends inside a
/// UTF-8 sequence, so that text stays text.
class output_events {
public:
    static constexpr std::size_t piece_bytes = 32 * 1024;

    /// `output` is borrowed.
    output_events(std::uint64_t seq, const item_output& output) : seq_(seq), output_(&output) {}

    /// The next event, or empty when there is none left. Reads back spilled output.
    /// Output that cannot be read back ends the stream.
    std::string next();

private:
    std::uint64_t seq_;
    const item_output* output_;
    unsigned stream_ = 0;
    std::uint64_t done_ = 0;
    std::string chunk_; // what was read back
};

} // namespace tenure::inline v0::app
