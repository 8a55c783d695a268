// How many items are worked on, for how long, and what becomes of those that fail.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/spawn_site.hpp>
#include <tenure/parallel/progress.hpp>
#include <tenure/runner/runner.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace tenure::inline v0::parallel {

/// In which order results come: that of their items, or as they are done.
enum class order : std::uint8_t { input, completion };

/// How long an item that has failed waits for its next attempt: `first`, then each time `factor` times as long, at most `most`.
struct backoff {
    base::duration first = std::chrono::milliseconds(100);
    double factor = 2;
    base::duration most = std::chrono::seconds(10);
};

/// map(rt, items, f, {.jobs = 8, .timeout = 3s, .retries = 2})
struct map_options {
    /// How many items are worked on at once; a negative number counts from the processors: -1 all, -2 all but one.
    /// A plain function has a worker of the runtime to itself, so that of those at most the runtime's threads run at once.
    int jobs = -1;
    /// Of each item, from the start of each of its attempts; none if empty.
    std::optional<base::duration> timeout{};
    /// Of the whole call, from its start; none if empty.
    std::optional<base::duration> deadline{};
    /// How many more attempts an item gets that has failed. Each is called with a copy of the item.
    int retries = 0;
    /// The pauses between them. An item that waits takes no job and no worker, and counts for pre_dispatch.
    parallel::backoff backoff{};
    /// Whether this failure is worth another attempt. Without it every failure is, but not a timeout; with it timeouts are asked
    /// for as well (as timeout_error, by the thread that watches the time: it must not wait). What it throws is the item's failure.
    std::function<bool(const std::exception_ptr&)> retry_if{};
    /// How many items a job takes at once; fewer when a stream of items has no more at that moment. Empty: as many as take about
    /// a millisecond.
    std::optional<std::size_t> batch_size{};
    /// How many items may have been read whose results the consumer's buffer has not taken yet: bounds the memory. That buffer
    /// holds half as many, at most 1024. Empty: 256 for each job, for each worker process 2048 if batch_size is empty, too; at
    /// most 65,536; but a batch of batch_size for each job, and for each of the calls that a worker process is given: 16, or 32
    /// if they have fewer than 16 items.
    std::optional<std::size_t> pre_dispatch{};
    parallel::order order = parallel::order::input;
    /// A failure does not end the others: what it throws comes after the last result.
    bool keep_going = false;
    std::string name = "map";
    /// Told every `progress_every` how far the map is, and once more when it has ended by itself, before next() says so. Never
    /// afterwards, and not when the map was dropped or cancelled.
    /// A task of the map calls it: one call at a time, on any thread that works for the runtime, as soon as one has time.
    /// What it throws ends the map, and next() throws it.
    std::function<void(const map_progress&)> progress{};
    base::duration progress_every = std::chrono::milliseconds(100);
};

namespace detail {

/// map_options after a look at each.
struct map_plan {
    unsigned jobs;
    base::duration timeout;  // never: none
    base::duration deadline; // the same
    unsigned retries;
    parallel::backoff backoff;
    std::function<bool(const std::exception_ptr&)> retry_if;
    std::size_t batch_size; // 0: chosen
    std::size_t window;
    std::size_t most_in_batch;
    std::size_t buffer; // of the results, before the consumer
    bool in_order;
    bool keep_going;
    std::string name;
    std::function<void(const map_progress&)> progress;
    base::duration progress_every;
    std::optional<std::size_t> total; // items
    base::spawn_site site;
    std::shared_ptr<runner::runner>
        elsewhere;        // that carries the items to other processes; null: they are called here
    unsigned calls_a_job; // there: that its worker has at once

    /// Before attempt n, which is the second or a later one.
    base::duration pause_before(unsigned n) const noexcept;
};
/// Throws: usage_error that names the option and what it may be.
map_plan plan_of(map_options&& o, const base::spawn_site& site, runner::runner* on);
inline constexpr base::duration no_limit = base::duration::max();

/// jobs as a number of at least one; a negative one counts from `most`, or from the processors if that is 0. Throws: usage_error.
unsigned count_of_jobs(int jobs, unsigned most = 0);

} // namespace detail
} // namespace tenure::inline v0::parallel
