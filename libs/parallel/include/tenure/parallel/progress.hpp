// How far a map is.
#pragma once
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>

namespace tenure::inline v0::parallel {

/// What map_options::progress is told. Items that have ended are counted when their batch has.
struct map_progress {
    std::size_t done = 0; ///< items that have a value; and those that ended otherwise, for good:
    std::size_t failed = 0, timed_out = 0, cancelled = 0;
    std::size_t running = 0;            ///< items that are worked on now
    std::size_t retries = 0;            ///< attempts that an item got after it had failed
    std::optional<std::size_t> total{}; ///< items, if their range knows
    bool last = false;                  ///< the map has ended by itself, perhaps by a failure

    std::size_t ended() const noexcept { return done + failed + timed_out + cancelled; }
};
/// "417 of 1000, 3 failed, 1 timed out, 2 running, 5 retries": what is 0 is left out.
std::string to_string(const map_progress& p);

/// `map(rt, urls, fetch, {.progress = progress_line("pages")})`: one line, which is painted again and again on a terminal;
/// elsewhere, once in the end.
class progress_line {
public:
    explicit progress_line(std::string what, std::FILE* to = stderr);
    void operator()(const map_progress& p) const;

private:
    std::string what_;
    std::FILE* to_;
    bool repaints_;
};

} // namespace tenure::inline v0::parallel
