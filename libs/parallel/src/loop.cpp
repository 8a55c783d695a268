#include <tenure/base/error.hpp>
#include <tenure/core/this_task.hpp>
#include <tenure/parallel/detail/item_place.hpp>
#include <tenure/parallel/detail/loop.hpp>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>
#include <vector>

namespace tenure::inline v0::parallel::detail {

/// Shared with the helpers: one that starts when all is done finds nothing left, and looks at nothing else.
class chunked::state {
public:
    state(std::size_t n, unsigned jobs, std::size_t grain, work_fn call, void* context)
        : n_(n), share_(std::size_t{jobs} * 8), grain_(grain), work_(call), context_(context) {}

    /// Works until nothing is left, or somebody has failed or was cancelled.
    void work() noexcept {
        chunk c{};
        std::size_t piece = 1; // so many take some 50 us: then we look whether to stop
        auto then = std::chrono::steady_clock::now();
        while (take(c)) {
            while (c.begin < c.end) {
                if (core::this_task::cancel_requested()) return stop(nullptr);
                if (next_.load(std::memory_order_relaxed) == stopped) return;
                const std::size_t end = c.begin + std::min(piece, c.end - c.begin);
                try {
                    work_(context_, {c.begin, end});
                } catch (const base::cancelled&) {
                    return stop(nullptr);
                } catch (...) {
                    return stop(std::current_exception());
                }
                c.begin = end;
                const auto now = std::chrono::steady_clock::now();
                const auto took = now - std::exchange(then, now);
                if (took < std::chrono::microseconds(30) && piece < n_)
                    piece *= 2;
                else if (took > std::chrono::microseconds(100) && piece > 1)
                    piece /= 2;
            }
        }
    }
    /// After everybody's end, for the caller. Throws: the first failure.
    void check() {
        base::mutex_lock l(m_);
        if (failure_) std::rethrow_exception(failure_);
        if (!cancelled_) return;
        if (core::this_task::cancel_requested()) throw base::cancelled();
        throw base::task_cancelled("parallel_for: the runtime closes, and its workers have been cancelled");
    }

private:
    bool take(chunk& c) noexcept {
        // Relaxed: an index says nothing of the data; those were there before the helper was spawned.
        std::size_t at = next_.load(std::memory_order_relaxed);
        do {
            if (at >= n_) return false; // also when it is `stopped`
            c = {at, at + std::min(n_ - at, std::max(grain_, (n_ - at) / share_))};
        } while (!next_.compare_exchange_weak(at, c.end, std::memory_order_relaxed));
        return true;
    }
    /// Null: somebody was cancelled.
    void stop(std::exception_ptr e) noexcept {
        next_.store(stopped, std::memory_order_relaxed);
        base::mutex_lock l(m_);
        if (!e) cancelled_ = true;
        if (!failure_) failure_ = std::move(e);
    }
    static constexpr std::size_t stopped = std::numeric_limits<std::size_t>::max();
    const std::size_t n_, share_, grain_;
    const work_fn work_;
    void* const context_;
    alignas(64) std::atomic<std::size_t> next_{0};
    base::mutex m_;
    std::exception_ptr failure_ TENURE_GUARDED_BY(m_);
    bool cancelled_ TENURE_GUARDED_BY(m_) = false;
};

namespace {
/// A helper that has not begun when the caller is done is not waited for.
class helper_start {
public:
    bool claim() noexcept { return !claimed_.exchange(true, std::memory_order_acq_rel); }

private:
    std::atomic<bool> claimed_{false};
};
} // namespace

chunked::chunked(std::size_t n, const loop_options& o, const base::spawn_site& at)
    : n_(n),
      jobs_(count_of_jobs(o.jobs)),
      grain_(std::max<std::size_t>(1, o.grain)),
      name_(o.name),
      site_(at) {}

void chunked::run_erased(core::runtime& rt, work_fn work, void* context) {
    if (!core::this_task::may_block())
        throw base::usage_error(
            "parallel_for inside a coroutine would stop its worker: co_await a plain function that calls it, "
            "g.spawn([&] { parallel_for(rt, n, body); })",
            core::this_task::label());
    const auto s = std::make_shared<state>(n_, jobs_, grain_, work, context);
    struct helper {
        std::shared_ptr<helper_start> start;
        core::future<void> task;
    };
    const auto item = item_place::index();
    std::vector<helper> helpers;
    const std::size_t wanted = std::min<std::size_t>(jobs_, n_ / grain_ + (n_ % grain_ != 0));
    helpers.reserve(wanted);
    try {
        while (helpers.size() + 1 < wanted) {
            auto start = std::make_shared<helper_start>();
            core::spawn_options o{.name = name_, .site = site_};
            auto task = rt.submit(std::move(o), [s, start, item] {
                if (!start->claim()) return;
                const item_place here(running_task(), item);
                s->work();
            });
            helpers.push_back({std::move(start), std::move(task)});
        }
    } catch (const base::closed_error&) { // no more help: the caller does the rest
    }
    s->work();
    for (const helper& h : helpers)
        if (!h.start->claim()) (void)h.task.get();
    s->check();
}

fixed_chunks::fixed_chunks(std::size_t n, const loop_options& o)
    : n_(n), size_(o.grain ? o.grain : std::max<std::size_t>(1, n / 1024)), options_(o) {}

std::vector<chunk> fixed_chunks::all() const {
    std::vector<chunk> v;
    v.reserve(count());
    for (std::size_t k = 0; k < count(); ++k)
        v.push_back((*this)[k]);
    return v;
}
loop_options fixed_chunks::each_alone() const {
    return {.jobs = options_.jobs, .grain = 1, .name = options_.name};
}

} // namespace tenure::inline v0::parallel::detail
