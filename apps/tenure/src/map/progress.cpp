#include "map/progress.hpp"

#include "map/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sys/ioctl.h>

namespace tenure::inline v0::app {

namespace {

std::string rate_text(double per_second) {
    if (per_second >= 9.95) return thousands(static_cast<std::uint64_t>(std::llround(per_second))) + "/s";
    if (per_second >= 0.95) return fmt::format("{:.1f}/s", per_second);
    return fmt::format("{:.0f}/min", per_second * 60);
}

// Whole seconds, rounded up: "14 s", "2m 05s".
std::string time_left(double seconds) {
    constexpr double longest = 365.0 * 86400;
    const auto whole = static_cast<std::int64_t>(std::ceil(std::min(seconds, longest)));
    return whole < 60 ? fmt::format("{} s", whole) : human_duration(std::chrono::seconds(whole));
}

} // namespace

progress_style resolve_progress(progress_style wanted, bool is_terminal, std::string_view term,
                                bool tty_job) {
    if (wanted != progress_style::automatic) return wanted;
    if (tty_job) return progress_style::none;
    return is_terminal && !term.empty() && term != "dumb" ? progress_style::bar : progress_style::plain;
}

std::size_t terminal_columns(int fd) {
    struct winsize size{};
    return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

progress_display::progress_display(progress_style style, clock::time_point start, std::size_t columns)
    : style_(style), columns_(columns), looked_(start), told_(start) {
    samples_[0] = {start, 0};
}

void progress_display::note(std::uint64_t ended, clock::time_point now) {
    if (now - samples_[newest_].at < std::chrono::seconds(1)) return;
    newest_ = (newest_ + 1) % samples_.size();
    samples_[newest_] = {now, ended};
    sample_count_ = std::min(sample_count_ + 1, samples_.size());
}

// "450 of 1,000 items (45%), 3 failed, 2 running, 640/s, 14 s left"
std::string progress_display::figures(const progress_state& state, clock::time_point now) const {
    std::string text = thousands(state.ended);
    if (state.total) {
        text += " of " + thousands(*state.total);
        if (*state.total > 0) text += fmt::format(" ({}%)", state.ended * 100 / *state.total);
    } else {
        text += state.ended == 1 ? " item" : " items";
    }
    if (state.failed > 0) text += ", " + thousands(state.failed) + " failed";
    text += fmt::format(", {} running", state.running_count);

    const sample& oldest = samples_[(newest_ + samples_.size() + 1 - sample_count_) % samples_.size()];
    const double seconds = std::chrono::duration<double>(now - oldest.at).count();
    if (seconds > 0 && state.ended > oldest.ended) {
        const double per_second = static_cast<double>(state.ended - oldest.ended) / seconds;
        text += ", " + rate_text(per_second);
        if (state.total && *state.total > state.ended)
            text += ", " + time_left(static_cast<double>(*state.total - state.ended) / per_second) + " left";
    }
    return text;
}

std::string progress_display::bar(const progress_state& state, clock::time_point now) {
    // The last column stays free: a full line would make the terminal wrap.
    const std::size_t room = columns_ > 1 ? columns_ - 1 : 1;
    std::string line;
    if (state.total && *state.total > 0 && room >= 40) {
        const std::size_t width = std::min<std::size_t>(room / 5, 30);
        const std::size_t full = std::min<std::size_t>(width, width * state.ended / *state.total);
        line = "[" + std::string(full, '#') + std::string(width - full, '.') + "] ";
    }
    line += figures(state, now);
    if (!state.running.empty() && columns_of(line) + 8 < room) {
        line += ": ";
        for (std::size_t i = 0; i < state.running.size(); ++i)
            line += (i == 0 ? "" : " ") + printable(state.running[i], 40);
    }
    line = printable(line, room);
    if (line == shown_) return {};
    shown_ = line;
    return "\r" + line + "\x1b[K";
}

std::string progress_display::plain(const progress_state& state, clock::time_point now) {
    const std::uint64_t tenths = state.total && *state.total > 0 ? state.ended * 10 / *state.total : 0;
    // While nobody knows of how many: a tenth of those that have been told.
    const bool grown = state.total ? tenths > tenths_ : state.ended > told_ended_ + told_ended_ / 10;
    const bool new_tenth = grown && now - told_ >= plain_at_most_every;
    if (!new_tenth && now - told_ < plain_at_least_every) return {};
    tenths_ = std::max(tenths, tenths_);
    told_ = now;
    told_ended_ = state.ended;
    return "tenure: " + figures(state, now) + "\n";
}

std::string progress_display::update(const progress_state& state, clock::time_point now) {
    const auto due = next_update();
    if (!due || now < *due) return {};
    looked_ = now;
    std::string text = style_ == progress_style::bar ? bar(state, now) : plain(state, now);
    note(state.ended, now);
    return text;
}

std::string progress_display::erase() {
    if (shown_.empty()) return {};
    shown_.clear();
    return "\r\x1b[K";
}

std::optional<progress_display::clock::time_point> progress_display::next_update() const {
    if (style_ == progress_style::none) return std::nullopt;
    if (style_ == progress_style::bar) return looked_ + repaint_every;
    return looked_ + plain_at_most_every;
}

} // namespace tenure::inline v0::app
