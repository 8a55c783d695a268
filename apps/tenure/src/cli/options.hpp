#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tenure::inline v0::app {

enum class item_order { done, input };
enum class progress_style { automatic, bar, plain, none };
enum class item_origin { list, file, standard_input };

inline constexpr unsigned max_jobs = 4096;

/// What `tenure map` was asked to do. Checked: no two options contradict each other.
struct map_options {
    std::vector<std::string> command; ///< COMMAND and its words; never empty
    item_origin origin = item_origin::standard_input;
    std::vector<std::string> items; ///< of `:::`, when origin is list
    std::string from;               ///< file name, when origin is file
    bool nul_separated = false;

    unsigned jobs = 1;
    std::optional<std::chrono::nanoseconds> timeout;  ///< of each attempt
    std::optional<std::chrono::nanoseconds> deadline; ///< of the whole run
    std::chrono::nanoseconds grace = std::chrono::seconds(5);
    unsigned retries = 0; ///< further attempts after the first

    item_order order = item_order::done;
    std::optional<std::string> results; ///< directory
    bool fail_fast = false;
    progress_style progress = progress_style::automatic;
    bool json = false;
    bool dry_run = false;
    bool shell = false;
    bool isolate = false;
    bool tty = false;
};

struct run_map {
    map_options options;
};

/// Nothing is to be run: write the texts and exit.
struct exit_with {
    int status = 0;
    std::string out;
    std::string err;
};

using parsed = std::variant<run_map, exit_with>;

/// Reads the command line of `tenure`. Words are taken as bytes; argv[0] is not looked at.
/// Options of tenure end at the first word of COMMAND: what follows belongs to the command, up to `:::`.
/// `cpus` is the default of --jobs.
parsed parse(int argc, const char* const* argv, unsigned cpus);

/// The same with available_cpus() as the default, asked for only when --jobs is not given.
parsed parse(int argc, const char* const* argv);

} // namespace tenure::inline v0::app
