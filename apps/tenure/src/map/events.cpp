#include "map/events.hpp"

#include "map/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <unistd.h>

namespace tenure::inline v0::app {

namespace {

// One JSON object on one line.
class object {
public:
    explicit object(std::string_view event) : text_("{") { string("event", event); }

    object& string(std::string_view name, std::string_view value) {
        key(name);
        text_ += json_string(value);
        return *this;
    }
    // As text, or as Base64 under another name.
    object& bytes(std::string_view name, std::string_view value) {
        if (is_utf8(value)) return string(name, value);
        key(std::string(name) + "_base64");
        text_ += '"' + base64(value) + '"';
        return *this;
    }
    object& number(std::string_view name, std::uint64_t value) {
        key(name);
        text_ += std::to_string(value);
        return *this;
    }
    object& milliseconds(std::string_view name, std::chrono::nanoseconds value) {
        key(name);
        fmt::format_to(std::back_inserter(text_), "{:.3f}", static_cast<double>(value.count()) / 1e6);
        return *this;
    }
    object& boolean(std::string_view name, bool value) {
        key(name);
        text_ += value ? "true" : "false";
        return *this;
    }
    object& null(std::string_view name) {
        key(name);
        text_ += "null";
        return *this;
    }
    void key(std::string_view name) {
        if (text_.size() > 1) text_ += ',';
        text_ += json_string(name) + ':';
    }
    void raw(std::string_view json) { text_ += json; }
    std::string line() { return std::move(text_) + "}\n"; }

private:
    std::string text_;
};

std::string_view name_of(run_ending ending) {
    switch (ending) {
    case run_ending::finished: return "finished";
    case run_ending::failed_fast: return "failed_fast";
    case run_ending::deadline: return "deadline";
    case run_ending::interrupted: return "interrupted";
    case run_ending::output_closed: return "output_closed";
    }
    return "unknown";
}

// Bytes at the end that begin a UTF-8 sequence which may go on in the next piece: 0 to 3.
std::size_t unfinished_tail(std::string_view bytes) {
    for (std::size_t n = 1; n <= std::min<std::size_t>(3, bytes.size()); ++n) {
        if (utf8_sequence(bytes.substr(bytes.size() - n)) == -1) return n;
    }
    return 0;
}

} // namespace

std::string json_string(std::string_view text) {
    std::string json = "\"";
    while (!text.empty()) {
        const int length = utf8_sequence(text);
        const char c = text.front();
        if (length <= 0)
            json += "\xEF\xBF\xBD";
        else if (c == '"' || c == '\\')
            json += {'\\', c};
        else if (c == '\n')
            json += "\\n";
        else if (c == '\t')
            json += "\\t";
        else if (c == '\r')
            json += "\\r";
        else if (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7F))
            fmt::format_to(std::back_inserter(json), "\\u{:04x}", static_cast<unsigned>(c));
        else
            json += text.substr(0, static_cast<std::size_t>(length));
        text.remove_prefix(static_cast<std::size_t>(std::max(length, 1)));
    }
    return json + '"';
}

std::string base64(std::string_view bytes) {
    static constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (; !bytes.empty(); bytes.remove_prefix(std::min<std::size_t>(3, bytes.size()))) {
        std::array<unsigned, 3> b{};
        for (std::size_t i = 0; i < 3 && i < bytes.size(); ++i)
            b[i] = static_cast<unsigned char>(bytes[i]);
        const unsigned group = b[0] << 16 | b[1] << 8 | b[2];
        text += digits[group >> 18];
        text += digits[group >> 12 & 63];
        text += bytes.size() > 1 ? digits[group >> 6 & 63] : '=';
        text += bytes.size() > 2 ? digits[group & 63] : '=';
    }
    return text;
}

namespace events {

std::string start(std::uint64_t seq, unsigned attempt, std::chrono::system_clock::time_point time,
                  std::string_view item_text) {
    return object("start")
        .number("seq", seq)
        .number("attempt", attempt)
        .string("time", rfc3339(time))
        .bytes("item", item_text)
        .line();
}

std::string retry(std::uint64_t seq, unsigned attempt, std::string_view reason,
                  std::chrono::nanoseconds delay) {
    return object("retry")
        .number("seq", seq)
        .number("attempt", attempt)
        .bytes("reason", reason)
        .milliseconds("delay_ms", delay)
        .line();
}

std::string output(std::uint64_t seq, stream s, std::string_view bytes) {
    return object("output")
        .number("seq", seq)
        .string("stream", s == stream::out ? "stdout" : "stderr")
        .bytes("data", bytes)
        .line();
}

std::string end(const item_result& result) {
    object o("end");
    o.number("seq", result.seq).string("status", app::name_of(result.state));
    if (result.exit_code >= 0)
        o.number("exit", static_cast<std::uint64_t>(result.exit_code));
    else
        o.null("exit");
    if (result.signal != 0)
        o.string("signal", signal_name(result.signal));
    else
        o.null("signal");
    o.boolean("timed_out", result.state == item_state::timed_out)
        .number("attempts", result.attempts)
        .string("started", rfc3339(result.started))
        .string("ended", rfc3339(result.ended))
        .milliseconds("wall_ms", result.wall)
        .milliseconds("cpu_ms", result.cpu);
    if (result.term_late) o.milliseconds("term_late_ms", *result.term_late);
    if (const std::string reason = why_failed(result); !reason.empty()) o.bytes("reason", reason);
    if (!result.detail.empty()) o.bytes("detail", result.detail);
    return o.line();
}

std::string summary(const run_counts& counts, run_ending ending, std::chrono::nanoseconds wall,
                    std::chrono::nanoseconds cpu) {
    object o("summary");
    o.string("ending", name_of(ending))
        .number("exit_status", static_cast<std::uint64_t>(exit_status(counts, ending)))
        .number("done", counts.done)
        .number("failed", counts.failed)
        .number("timed_out", counts.timed_out)
        .number("stopped", counts.stopped)
        .number("retried", counts.retried);
    if (counts.not_started)
        o.number("not_started", *counts.not_started);
    else
        o.null("not_started");
    return o.milliseconds("wall_ms", wall).milliseconds("cpu_ms", cpu).line();
}

std::string audit(const audit_counts& counts) {
    object o("audit");
    o.number("tasks", counts.tasks)
        .number("timers", counts.timers)
        .number("processes", counts.processes)
        .number("descriptors", counts.descriptors);
    if (!counts.where.empty()) {
        o.key("where");
        std::string list;
        for (const std::string& place : counts.where)
            list += (list.empty() ? "" : ",") + json_string(place);
        o.raw("[" + list + "]");
    }
    return o.line();
}

} // namespace events

std::string output_events::next() {
    for (; stream_ < 2; ++stream_, done_ = 0) {
        const stream s = stream_ == 0 ? stream::out : stream::err;
        const std::uint64_t left = output_->size(s) - done_;
        if (left == 0) continue;
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece_bytes));
        std::string_view piece;
        if (output_->file(s) < 0) {
            piece = output_->in_memory(s).substr(static_cast<std::size_t>(done_), size);
        } else {
            chunk_.resize(size);
            ssize_t n = 0;
            do {
                n = ::pread(output_->file(s), chunk_.data(), size, static_cast<off_t>(done_));
            } while (n < 0 && errno == EINTR);
            if (n <= 0) continue;
            piece = std::string_view(chunk_).substr(0, static_cast<std::size_t>(n));
        }
        if (piece.size() < left && piece.size() > 3) piece.remove_suffix(unfinished_tail(piece));
        done_ += piece.size();
        return events::output(seq_, s, piece);
    }
    return {};
}

} // namespace tenure::inline v0::app
