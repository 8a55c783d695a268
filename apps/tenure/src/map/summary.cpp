#include "map/summary.hpp"

#include "map/progress.hpp"
#include "map/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <unistd.h>
#include <utility>

namespace tenure::inline v0::app {

namespace {

constexpr std::size_t kept_text_columns = 100; // of an item's text, for naming it
constexpr std::size_t reasons_shown = 10;
constexpr std::size_t indent = 10;

std::string shown_name(std::string_view item_text) {
    return item_text.empty() ? "(empty)" : printable(item_text, kept_text_columns);
}

std::string items(std::uint64_t n) { return thousands(n) + (n == 1 ? " item" : " items"); }

std::string_view ending_text(run_ending ending) {
    switch (ending) {
    case run_ending::finished: return "";
    case run_ending::failed_fast: return "after the first failure (--fail-fast)";
    case run_ending::deadline: return "by --deadline";
    case run_ending::interrupted: return "by an interrupt";
    case run_ending::output_closed: return "because standard output can not be written to any more";
    }
    return "";
}

// Builds lines of a label and a text, within the width.
class writer {
public:
    explicit writer(run_summary::layout how) : how_(how) {}

    void line(std::string_view label, std::string_view text) {
        text_ += fmt::format("{:<{}}", label, indent);
        text_ += printable(text, how_.columns > indent ? how_.columns - indent : 1);
        text_ += '\n';
    }
    // `text` holds only ours and is short; colours may be in it.
    void ready_line(std::string_view label, std::string_view text) {
        text_ += fmt::format("{:<{}}{}\n", label, indent, text);
    }
    std::string coloured(std::string_view text, int colour, bool really) const {
        return how_.colour && really ? fmt::format("\x1b[{}m{}\x1b[0m", colour, text) : std::string(text);
    }
    std::string take() { return std::move(text_); }

private:
    run_summary::layout how_;
    std::string text_;
};

} // namespace

int exit_status(const run_counts& counts, run_ending ending) {
    if (ending == run_ending::interrupted) return 130;
    if (ending == run_ending::deadline) return 124;
    const bool all = counts.failed + counts.timed_out + counts.stopped == 0 && counts.not_started == 0U;
    return all && ending == run_ending::finished ? 0 : 1;
}

std::string audit_text(const audit_counts& counts) {
    std::string text = fmt::format("audit: tasks {}, timers {}, processes {}, descriptors {} left",
                                   counts.tasks, counts.timers, counts.processes, counts.descriptors);
    for (const std::string& place : counts.where)
        text += "\n  left: " + printable(place, 200);
    return text;
}

void run_summary::add(const item_result& result, std::string_view item_text) {
    switch (result.state) {
    case item_state::succeeded: ++counts_.done; break;
    case item_state::failed: ++counts_.failed; break;
    case item_state::timed_out: ++counts_.timed_out; break;
    case item_state::stopped: ++counts_.stopped; break;
    }
    if (result.attempts > 1) counts_.retried += result.attempts - 1;
    cpu_ += result.cpu;
    if (result.state == item_state::failed || result.state == item_state::timed_out)
        note_failure(result, item_text);
    note_slow(result, item_text);
}

void run_summary::note_failure(const item_result& result, std::string_view item_text) {
    std::string reason = why_failed(result);
    auto known = reason_index_.find(reason);
    if (known == reason_index_.end()) {
        if (reasons_.size() == reasons_kept) {
            ++other_reasons_;
            return;
        }
        known = reason_index_.emplace(reason, reasons_.size()).first;
        reasons_.push_back({std::move(reason), 0, {}});
    }
    reason_group& group = reasons_[known->second];
    ++group.count;
    if (group.first.size() == named_per_reason) return;
    std::string text = shown_name(item_text);
    // The same text given many times is named once.
    for (const named_item& other : group.first) {
        if (other.text == text) return;
    }
    group.first.push_back({result.seq, std::move(text), result.detail, result.attempts});
}

void run_summary::note_slow(const item_result& result, std::string_view item_text) {
    if (result.wall.count() == 0) return; // it never ran
    if (slowest_.size() == slowest_kept && result.wall <= slowest_.back().wall) return;
    if (slowest_.size() == slowest_kept) slowest_.pop_back();
    const auto at = std::upper_bound(slowest_.begin(), slowest_.end(), result.wall,
                                     [](auto wall, const slow_item& other) { return wall > other.wall; });
    slowest_.insert(at, {result.seq, shown_name(item_text), result.wall, result.state});
}

void run_summary::add_lost_stderr(std::string_view reason) {
    if (lost_stderr_++ == 0) lost_stderr_reason_ = reason;
}

std::string run_summary::text(std::chrono::nanoseconds wall, run_ending ending, layout how) const {
    constexpr int red = 31;
    constexpr int green = 32;
    constexpr int yellow = 33;
    writer w(how);

    std::vector<const reason_group*> by_count;
    for (const reason_group& group : reasons_)
        by_count.push_back(&group);
    std::sort(by_count.begin(), by_count.end(), [](auto* a, auto* b) {
        return a->count != b->count ? a->count > b->count : a < b; // the one that came first
    });
    std::uint64_t more_items = other_reasons_;
    std::string_view label = "failures";
    for (std::size_t i = 0; i < by_count.size(); ++i) {
        const reason_group& group = *by_count[i];
        if (i >= reasons_shown) {
            more_items += group.count;
            continue;
        }
        // A long reason is cut, its count never.
        const std::string count = " (" + items(group.count) + ")";
        const std::size_t room =
            how.columns > indent + count.size() ? how.columns - indent - count.size() : 1;
        w.line(std::exchange(label, ""), printable(group.reason, room) + count);
        for (const named_item& named : group.first) {
            std::string line = fmt::format("  item {}  ", named.seq);
            std::string tail = named.detail.empty() ? "" : "  (" + named.detail + ")";
            if (named.attempts > 1) tail += fmt::format("  ({} attempts)", named.attempts);
            const std::size_t taken = indent + line.size() + columns_of(tail);
            w.line("", line + printable(named.text, how.columns > taken ? how.columns - taken : 1) + tail);
        }
    }
    if (more_items > 0) w.line(std::exchange(label, ""), "other reasons (" + items(more_items) + ")");

    label = "slowest";
    for (const slow_item& slow : slowest_) {
        const std::string state = slow.state == item_state::succeeded ? ""
                                  : slow.state == item_state::timed_out
                                      ? "timed out  "
                                      : std::string(name_of(slow.state)) + "  ";
        w.line(std::exchange(label, ""),
               fmt::format("{:>8}  item {}  {}{}", human_duration(slow.wall), slow.seq, state, slow.text));
    }

    if (ending != run_ending::finished) w.line("ended", ending_text(ending));
    if (counts_.stopped > 0) w.line("stopped", items(counts_.stopped) + " while running");
    if (counts_.not_started != 0U) {
        w.line("left out",
               counts_.not_started ? items(*counts_.not_started) + " not started" : "the items not read yet");
    }
    if (lost_stderr_ > 0)
        w.line("lost", "standard error of " + items(lost_stderr_) + ": " + lost_stderr_reason_);
    const std::uint64_t ended = counts_.done + counts_.failed + counts_.timed_out + counts_.stopped;
    const double seconds = std::chrono::duration<double>(wall).count();
    std::string time = "wall " + human_duration(wall) + "  CPU " + human_duration(cpu_);
    if (ended > 1 && seconds > 0) {
        const double rate = static_cast<double>(ended) / seconds;
        time += rate >= 10 ? "  " + thousands(static_cast<std::uint64_t>(std::llround(rate))) + " items/s"
                           : fmt::format("  {:.2f} items/s", rate);
    }
    w.line("time", time);
    w.ready_line("summary",
                 w.coloured("done " + thousands(counts_.done), green, counts_.done > 0) + "  " +
                     w.coloured("failed " + thousands(counts_.failed), red, counts_.failed > 0) + "  " +
                     w.coloured("timed out " + thousands(counts_.timed_out), yellow, counts_.timed_out > 0) +
                     "  retried " + thousands(counts_.retried));
    return w.take();
}

run_summary::layout run_summary::layout::of(int fd) {
    constexpr std::size_t all = 1'000'000;
    return {::isatty(fd) == 1 ? terminal_columns(fd) : all, wants_colour(fd)};
}

bool wants_colour(int fd) {
    const char* refused = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    return !(refused && *refused) && term && std::string_view(term) != "dumb" && ::isatty(fd) == 1;
}

} // namespace tenure::inline v0::app
