// How many items are worked on, for how long, and what becomes of those that fail.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/spawn_site.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace tenure::inline v0::parallel {

/// In which order results come: that of their items, or as they are done.
enum class order : std::uint8_t { input, completion };

/// map(rt, items, f, {.jobs = 8, .timeout = 3s})
struct map_options {
    /// How many items are worked on at once; a negative number counts from the processors: -1 all, -2 all but one.
    /// A plain function has a worker of the runtime to itself, so that of those at most the runtime's threads run at once.
    int jobs = -1;
    /// Of each item, from its start, with all its attempts; none if empty.
    std::optional<base::duration> timeout{};
    /// Of the whole call, from its start; none if empty.
    std::optional<base::duration> deadline{};
    /// How many items a job takes at once. Empty: as many as take about a millisecond.
    std::optional<std::size_t> batch_size{};
    /// How many items may have been read whose results the consumer's buffer has not taken yet: bounds the memory. That buffer
    /// holds half as many, at most 1024. Empty: 256 for each job, at most 65,536.
    std::optional<std::size_t> pre_dispatch{};
    parallel::order order = parallel::order::input;
    /// A failure does not end the others: what it throws comes after the last result.
    bool keep_going = false;
    std::string name = "map";
};

namespace detail {

/// map_options after a look at each.
struct map_plan {
    unsigned jobs;
    base::duration timeout;  // never: none
    base::duration deadline; // the same
    std::size_t batch_size;  // 0: chosen
    std::size_t window;
    std::size_t most_in_batch;
    std::size_t buffer; // of the results, before the consumer
    bool in_order;
    bool keep_going;
    std::string name;
    base::spawn_site site;
};
/// Throws: usage_error that names the option and what it may be.
map_plan plan_of(map_options&& o, const base::spawn_site& site);
inline constexpr base::duration no_limit = base::duration::max();

/// jobs as a number of at least one. Throws: usage_error.
unsigned count_of_jobs(int jobs);

} // namespace detail
} // namespace tenure::inline v0::parallel
