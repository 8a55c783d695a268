#include <tenure/base/error.hpp>
#include <tenure/parallel/options.hpp>

#include <algorithm>
#include <cmath>
#include <thread>

namespace tenure::inline v0::parallel::detail {

namespace {
constexpr unsigned calls_ahead = 4;        // of about a millisecond each
constexpr unsigned fixed_calls_ahead = 16; // which may be much shorter
constexpr unsigned small_calls_ahead = 32; // still shorter, and they hold little
constexpr std::size_t small_batch = 16;

base::duration limit_of(const std::optional<base::duration>& d, const char* name) {
    if (!d) return no_limit;
    if (*d < base::duration::zero())
        throw base::usage_error(std::string("map: ") + name +
                                " is negative; leave it out if there is to be no limit");
    return *d;
}
} // namespace

unsigned count_of_jobs(int jobs, unsigned most) {
    if (jobs == 0)
        throw base::usage_error("jobs is 0: give how many are to run at once, or -1 for one a processor");
    if (jobs > 0)
        return most == 0 ? static_cast<unsigned>(jobs) : std::min(most, static_cast<unsigned>(jobs));
    const std::int64_t all = most == 0 ? std::max(1u, std::thread::hardware_concurrency()) : most;
    return static_cast<unsigned>(std::max<std::int64_t>(1, all + 1 + jobs));
}

base::duration map_plan::pause_before(unsigned n) const noexcept {
    const double ns = static_cast<double>(backoff.first.count()) * std::pow(backoff.factor, n - 2.0);
    const bool less = ns < static_cast<double>(backoff.most.count());
    if (backoff.first == base::duration::zero()) return backoff.first;
    return less ? base::duration(static_cast<base::duration::rep>(ns)) : backoff.most;
}

map_plan plan_of(map_options&& o, const base::spawn_site& site, runner::runner* on) {
    map_plan p{};
    p.jobs = count_of_jobs(o.jobs, on ? on->width() : 0);
    p.calls_a_job = 1;
    if (on && !on->is_here()) {
        p.elsewhere = on->share();
        // So that none of its workers waits for us. With fewer jobs than those, a second call might meet a worker of its own.
        if (p.jobs == on->width())
            p.calls_a_job = !o.batch_size                  ? calls_ahead
                            : *o.batch_size >= small_batch ? fixed_calls_ahead
                                                           : small_calls_ahead;
        p.jobs = std::min(p.jobs, 1u << 16) * p.calls_a_job;
    }
    p.timeout = limit_of(o.timeout, "timeout");
    p.deadline = limit_of(o.deadline, "deadline");
    if (o.retries < 0)
        throw base::usage_error("map: retries is negative; 0 if an item is to have one attempt");
    p.retries = static_cast<unsigned>(o.retries);
    (void)limit_of(o.backoff.first, "backoff.first");
    (void)limit_of(o.backoff.most, "backoff.most");
    if (!(o.backoff.factor >= 1)) // nor a number that is none
        throw base::usage_error("map: backoff.factor is " + std::to_string(o.backoff.factor) +
                                "; it is 1 if all pauses are to be the same, or more");
    p.backoff = o.backoff;
    p.retry_if = std::move(o.retry_if);
    constexpr std::size_t most = 1u << 24; // each of them may be in memory
    if (o.batch_size && (*o.batch_size == 0 || *o.batch_size > most))
        throw base::usage_error("map: batch_size is " + std::to_string(*o.batch_size) +
                                "; it is from 1 to 16,777,216, or left out to be chosen");
    if (o.pre_dispatch && (*o.pre_dispatch == 0 || *o.pre_dispatch > most))
        throw base::usage_error("map: pre_dispatch is " + std::to_string(*o.pre_dispatch) +
                                "; it is from 1 to 16,777,216, or left out to be chosen");
    p.batch_size = o.batch_size.value_or(0);
    // More than what a core keeps near it costs more than it brings: each item is touched by three tasks, one after the other.
    const std::size_t for_each_worker = p.elsewhere && !o.batch_size ? 2048 : 256;
    const std::size_t for_each_job = std::max(for_each_worker / p.calls_a_job, p.batch_size);
    constexpr std::size_t enough = 1u << 16;
    const std::size_t chosen =
        p.jobs < enough / for_each_job ? for_each_job * p.jobs : std::max<std::size_t>(enough, p.jobs);
    p.window = o.pre_dispatch.value_or(std::max(chosen, std::min(most, p.batch_size * p.jobs)));
    // Two for each job: one that it does, and one that waits for it.
    p.most_in_batch = p.batch_size ? std::min(p.batch_size, p.window)
                                   : std::max<std::size_t>(1, p.window / (std::size_t{2} * p.jobs));
    p.buffer = std::clamp<std::size_t>(p.window / 2, 1, 1024);
    p.in_order = o.order == order::input;
    p.keep_going = o.keep_going;
    p.name = std::move(o.name);
    p.progress = std::move(o.progress);
    if (o.progress_every <= base::duration::zero())
        throw base::usage_error("map: progress_every is 0 or negative; give the time between two calls");
    p.progress_every = o.progress_every;
    p.site = site;
    return p;
}

} // namespace tenure::inline v0::parallel::detail
