#include <tenure/core/stream_combine.hpp>

#include <algorithm>

namespace tenure::inline v0::core {
namespace detail {

task<void> tick_items(sink<std::uint64_t> out, base::duration interval) {
    scheduler& sched = *current_strand()->sched;
    const base::time_point start = sched.now();
    for (std::uint64_t n = 1;; ++n) {
        const auto due = static_cast<base::duration::rep>(n) <= base::duration::max() / interval
                             ? base::saturating_add(start, static_cast<base::duration::rep>(n) * interval)
                             : base::never;
        co_await sleep_until(due);
        n = std::max(n, static_cast<std::uint64_t>((sched.now() - start) / interval));
        (void)out.try_send(n); // no room: left out
    }
}

void tee_state::begin(stream<base::unit> reading) {
    const auto shared = reading.shared();
    shared->want();
    bool all_left = false;
    {
        base::mutex_lock l(m_);
        reading_.emplace(std::move(reading));
        all_left = branches_ == 0;
    }
    if (all_left) shared->stop();
}
task<void> tee_state::leave(std::shared_ptr<tee_state> all) {
    base::ref<stream_base> reading;
    {
        base::mutex_lock l(all->m_);
        if (--all->branches_ > 0 || !all->reading_) co_return;
        reading = all->reading_->shared();
    }
    co_await stop_stream(std::move(reading));
    if (all->failure_ && !all->told_.load(std::memory_order_relaxed)) std::rethrow_exception(all->failure_);
}

} // namespace detail

stream<std::uint64_t> ticks(stream_owner in, base::duration interval) {
    if (interval <= base::duration::zero())
        throw base::usage_error("ticks: the interval must be longer than zero");
    return detail::launch_stream(in, detail::produced_by::source,
                                 {.capacity = 1, .name = "ticks", .site = in.site()}, &detail::tick_items,
                                 std::move(interval));
}

} // namespace tenure::inline v0::core
