#include <tenure/parallel/progress.hpp>

#include <unistd.h>
#include <utility>

namespace tenure::inline v0::parallel {

std::string to_string(const map_progress& p) {
    std::string line = std::to_string(p.ended());
    if (p.total) line += " of " + std::to_string(*p.total);
    const auto tell = [&line](std::size_t n, const char* what) {
        if (n != 0) line += ", " + std::to_string(n) + what;
    };
    tell(p.failed, " failed");
    tell(p.timed_out, " timed out");
    tell(p.cancelled, " cancelled");
    tell(p.running, " running");
    tell(p.retries, p.retries == 1 ? " retry" : " retries");
    return line;
}

progress_line::progress_line(std::string what, std::FILE* to)
    : what_(std::move(what)), to_(to), repaints_(isatty(fileno(to)) == 1) {}

void progress_line::operator()(const map_progress& p) const {
    if (!p.last && !repaints_) return;
    const char* const clear = repaints_ ? "\x1b[K" : ""; // to the end of the line, which was longer before
    const char* const end = p.last ? "\n" : "\r";        // what is printed next stands where this line does
    std::fprintf(to_, "%s: %s%s%s", what_.c_str(), to_string(p).c_str(), clear, end);
    std::fflush(to_);
}

} // namespace tenure::inline v0::parallel
