#include <tenure/core/detail/run_order.hpp>
#include <tenure/core/sleep.hpp>
#include <tenure/core/testing.hpp>

#include <memory>

namespace tenure::inline v0::core::testing {

void virtual_driver::park(base::time_point until) {
    if (until == base::never)
        throw base::deadlock_error(
            "deadlock: every task waits, no timer is armed, and nothing else can wake one");
    if (until > now()) now_.store(until, std::memory_order_relaxed);
}

runtime_options virtual_time(unread_failure_hook hook) {
    return {.threads = 0, .io = std::make_unique<virtual_driver>(), .on_unread_failure = std::move(hook)};
}

namespace {

/// SplitMix64 (Steele, Lea, Flood 2014).
class random_bits {
public:
    explicit random_bits(std::uint64_t seed) noexcept : state_(seed) {}
    std::uint64_t next() noexcept {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    std::size_t below(std::size_t n) noexcept { return next() % n; }

private:
    std::uint64_t state_;
};

class seeded_order final : public core::detail::run_order {
public:
    explicit seeded_order(std::uint64_t seed) noexcept : bits_(seed) {}
    std::size_t pick(std::size_t n) noexcept override { return n == 1 ? 0 : bits_.below(n); }
    int budget() noexcept override { // mostly short, so that tasks that are always ready take turns
        return bits_.below(8) == 0 ? core::detail::await_budget : 1 + static_cast<int>(bits_.below(4));
    }
    bool pause() noexcept override { return bits_.below(2) == 0; }
    void suspended() noexcept override {}

private:
    random_bits bits_;
};

/// Every await suspends, in the order of arrival; calls back at one of the suspensions.
class stopping_order final : public core::detail::run_order {
public:
    std::size_t pick(std::size_t) noexcept override { return 0; }
    int budget() noexcept override { return 1; }
    bool pause() noexcept override { return false; }
    void suspended() noexcept override {
        if (++seen == stop_at && at_stop) at_stop();
    }
    std::size_t seen = 0;
    std::size_t stop_at = 0;
    std::function<void()> at_stop;
};

template <class Order>
class ordered_driver final : public virtual_driver {
public:
    template <class... A>
    explicit ordered_driver(A... a) : order_(a...) {}
    core::detail::run_order* order() noexcept override { return &order_; }
    Order& own_order() noexcept { return order_; }

private:
    Order order_;
};

/// What a test must leave behind: nothing.
class trial {
public:
    explicit trial(std::unique_ptr<driver> d)
        : rt({.threads = 0, .io = std::move(d), .on_unread_failure = [this](const unread_failure& f) {
                  unread_.push_back(f);
              }}) {}

    /// Lets what was spawned beside the test end, closes, and throws if that was not enough.
    void finish() {
        rt.block_on({.name = "the end of the test"},
                    []() -> task<> { co_await sleep_for(std::chrono::seconds(1)); });
        const task_tree left = rt.dump();
        const audit_report audit = rt.audit();
        const close_report closed = rt.close();
        if (audit.tasks > 0) throw test_failure("a task outlived the test: " + to_string(left));
        if (audit.timers > 0) throw test_failure(std::to_string(audit.timers) + " timers outlived the test");
        if (!audit.clean()) throw test_failure("a descriptor or a process outlived the test");
        if (!closed.abandoned.empty())
            throw test_failure("the runtime could not be closed: " + to_string(closed.tree));
        if (!unread_.empty())
            throw test_failure("nobody read the failure of " + to_string(unread_[0].task) + ": " +
                               base::describe(unread_[0].error));
    }

private:
    std::vector<unread_failure> unread_; // before the runtime, whose end may still report

public:
    runtime rt;
};

} // namespace

runtime_options seeded(std::uint64_t seed, unread_failure_hook hook) {
    return {.threads = 0,
            .io = std::make_unique<ordered_driver<seeded_order>>(seed),
            .on_unread_failure = std::move(hook)};
}

void require(bool holds, std::string_view what, base::spawn_site at) {
    if (!holds) throw test_failure(std::string(what) + " (" + base::to_string(at) + ")");
}

namespace detail {

void run(std::uint64_t seed, const test_case& test) {
    try {
        trial t(std::make_unique<ordered_driver<seeded_order>>(seed));
        t.rt.block_on({.name = "test", .site = test.at}, test.body, std::ref(t.rt));
        t.finish();
    } catch (const std::exception& e) {
        throw test_failure("with seed " + std::to_string(seed) + ": " + e.what());
    }
}

void explore(std::uint64_t first, std::uint64_t seeds, const test_case& test) {
    for (std::uint64_t i = 0; i < seeds; ++i)
        run(first + i, test);
}

namespace {

/// The task that waits for the test is the first one, and owns nothing.
task_tree without_watcher(task_tree t) {
    t.entries.erase(t.entries.begin() + 1);
    for (tree_entry& e : t.entries)
        if (e.parent > 1) --e.parent;
    return t;
}

/// One run with the test cancelled at the given suspension; 0: before it starts. False: it ended before.
bool run_cancelled(const test_case& test, const std::function<void()>& after, std::size_t point) {
    std::string where, tree;
    bool reached = false;
    try {
        auto own = std::make_unique<ordered_driver<stopping_order>>();
        stopping_order& order = own->own_order();
        trial t(std::move(own));
        auto watched = [&]() -> task<> {
            auto running = t.rt.submit({.name = "test", .site = test.at}, test.body, std::ref(t.rt));
            order.seen = SIZE_MAX; // this task's own suspension, the next one, is not counted
            order.stop_at = point;
            order.at_stop = [&] {
                if (running.status() != task_status::pending) return;
                reached = true;
                where = point == 0 ? "before it started" : "at suspension " + std::to_string(point);
                const std::string message = "cancelled " + where;
                tree = "\nat that point " + to_string(without_watcher(t.rt.dump()));
                running.cancel(message);
            };
            // Before the future goes, on whatever way.
            const std::shared_ptr<void> no_more(nullptr, [&order](void*) { order.at_stop = {}; });
            co_await running;
        };
        try {
            t.rt.block_on({.name = "who waits for the test"}, watched);
        } catch (const base::task_cancelled&) {
            if (!reached) throw;
        }
        t.finish();
        if (after) after();
    } catch (const std::exception& e) {
        throw test_failure((reached ? "cancelled " + where : std::string("not cancelled")) + ": " + e.what() +
                           tree);
    }
    return reached;
}

} // namespace

std::size_t cancel_at_every_point(const test_case& test, const std::function<void()>& after) {
    (void)run_cancelled(test, after, SIZE_MAX); // uncancelled, it must pass
    std::size_t points = 0;
    while (run_cancelled(test, after, points))
        ++points;
    return points;
}

} // namespace detail
} // namespace tenure::inline v0::core::testing
