#pragma once

#include "cli/options.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenure::inline v0::app {

/// How far the run is, at one moment.
struct progress_state {
    std::uint64_t ended = 0;               ///< whatever their outcome
    std::uint64_t failed = 0;              ///< of them, those that did not succeed
    std::optional<std::uint64_t> total;    ///< empty while items are still being read
    std::vector<std::string_view> running; ///< longest running first; a few are enough
    std::size_t running_count = 0;
};

/// What --progress means here: `automatic` is a bar on a terminal that can repaint a line, plain lines
/// elsewhere.
progress_style resolve_progress(progress_style wanted, bool is_terminal, std::string_view term, bool tty_job);

/// Columns of the terminal `fd`; 80 when it is none or does not say.
std::size_t terminal_columns(int fd);

/// The progress display. Pure: it is given the time, and gives the bytes to be written to standard error.
/// A bar is one repainted line, at most 10 times a second. Plain lines come at every 10 %, or, while the total is
/// unknown, when a tenth more have ended than at the last one; at most one a second, and at least every 5 s.
class progress_display {
public:
    using clock = std::chrono::steady_clock;

    static constexpr auto repaint_every = std::chrono::milliseconds(100);
    static constexpr auto plain_at_most_every = std::chrono::seconds(1);
    static constexpr auto plain_at_least_every = std::chrono::seconds(5);

    /// `style` is not automatic.
    progress_display(progress_style style, clock::time_point start, std::size_t columns = 80);

    /// After SIGWINCH.
    void set_columns(std::size_t columns) { columns_ = columns; }

    /// What to write now; empty when it is too early.
    std::string update(const progress_state& state, clock::time_point now);

    /// What removes the bar from the screen, before anything else is written there; empty when none is shown.
    /// A later update() paints it again, when it is due.
    std::string erase();

    /// When update() is worth calling again; nothing when it never is.
    std::optional<clock::time_point> next_update() const;

private:
    struct sample {
        clock::time_point at;
        std::uint64_t ended = 0;
    };

    void note(std::uint64_t ended, clock::time_point now);
    std::string figures(const progress_state& state, clock::time_point now) const;
    std::string bar(const progress_state& state, clock::time_point now);
    std::string plain(const progress_state& state, clock::time_point now);

    progress_style style_;
    std::size_t columns_;
    clock::time_point looked_; // the last update() that was not too early
    clock::time_point told_;   // the last plain line
    std::uint64_t tenths_ = 0; // told so far
    std::uint64_t told_ended_ = 0;
    std::string shown_; // the bar that stands on the screen
    // Ring of one sample a second: the rate is that of the last 15 s.
    std::array<sample, 16> samples_{};
    std::size_t newest_ = 0;
    std::size_t sample_count_ = 1;
};

} // namespace tenure::inline v0::app
