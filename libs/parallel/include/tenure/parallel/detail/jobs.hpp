// The jobs of one map: which batches wait, which job runs which one, and what becomes of an item that takes too long.
//
// Three parts share it: the dispatcher reads items and offers batches, the collector takes finished ones, the watch gives items
// up that have had their time. A job is a task of the map's owner; it runs batch after batch while there are any, and ends. Nobody
// waits for a job: what counts is its batch. So a job that does not come back holds up nothing but its worker, for which another
// thread is called (stand_in.hpp), and its owner.
//
// INVARIANTS
//  1. A batch is ready, or a job runs it, or it is done; never two of them. Every offered one gets done unless the map is
//     stopped.
//  2. active_ jobs run, at most `jobs`; one that was given up does not count. While a batch is ready, `jobs` of them run, or one that
//     starts will take it.
//  3. No code of the user runs under the lock.
//  4. An item that gets another attempt leaves its batch for one of its own. Nobody else has it while it waits.
#pragma once
#include <tenure/base/mutex.hpp>
#include <tenure/core/event.hpp>
#include <tenure/core/future.hpp>
#include <tenure/core/group.hpp>
#include <tenure/core/runtime.hpp>
#include <tenure/core/stand_in.hpp>
#include <tenure/core/stream.hpp>
#include <tenure/parallel/options.hpp>
#include <tenure/runner/item_turn.hpp>

#include <deque>
#include <exception>
#include <list>
#include <memory>
#include <optional>

namespace tenure::inline v0::parallel {

/// Where a map's tasks live: a group, or a runtime.
class map_owner {
public:
    map_owner(core::group g) : group_(std::move(g)) {}
    map_owner(core::runtime& rt) noexcept : runtime_(&rt) {}

    template <class F, class... A>
    auto spawn(core::spawn_options o, F&& f, A&&... a) {
        return group_ ? group_->spawn(std::move(o), std::forward<F>(f), std::forward<A>(a)...)
                      : runtime_->submit(std::move(o), std::forward<F>(f), std::forward<A>(a)...);
    }
    /// A task that takes no slot, and that the end of everything else in a group cancels.
    template <class F, class... A>
    void spawn_beside(core::spawn_options o, F&& f, A&&... a) {
        if (group_)
            (void)group_->spawn_background(std::move(o), std::forward<F>(f), std::forward<A>(a)...);
        else
            (void)runtime_->submit(std::move(o), std::forward<F>(f), std::forward<A>(a)...);
    }
    base::time_point now() const noexcept { return sched().now(); }
    bool has_workers() const noexcept { return sched().has_workers(); }
    core::stream_owner for_stream(base::spawn_site at) const {
        return group_ ? core::stream_owner(*group_, at) : core::stream_owner(*runtime_, at);
    }

private:
    core::detail::scheduler& sched() const noexcept {
        return group_ ? group_->state().sched : runtime_->sched();
    }
    std::optional<core::group> group_;
    core::runtime* runtime_ = nullptr;
};

namespace detail {

using runner::item_turn;

/// Items that a job takes at once, with their results.
class batch {
public:
    explicit batch(std::size_t first_item, unsigned which_attempt = 1) noexcept
        : first(first_item), attempt(which_attempt) {}
    batch(const batch&) = delete;
    batch& operator=(const batch&) = delete;
    virtual ~batch() = default;
    virtual std::size_t count() const noexcept = 0;
    /// Item k has had its time. Called once it is nobody's.
    virtual void time_out(std::size_t k, std::exception_ptr e) = 0;
    /// Item k for another attempt: it has no result here. Called once it is nobody's.
    virtual std::shared_ptr<batch> again(std::size_t k) = 0;
    /// Adds its results to those that are counted.
    virtual void count_results(map_progress& p) const noexcept = 0;

    /// For other items; nobody else has it.
    void restart(std::size_t first_item) noexcept {
        first = first_item;
        attempt = 1;
        turn.restart();
    }

    // Constant but for restart().
    std::size_t first; // the index of its first item
    unsigned attempt;  // of all its items
    item_turn turn;

private:
    friend class batch_list;
    std::shared_ptr<batch> next_;
};

/// Batches, in order. Nothing can fail: they are linked by what they have.
class batch_list {
public:
    batch_list() = default;
    batch_list(const batch_list&) = delete;
    batch_list& operator=(const batch_list&) = delete;
    ~batch_list() {
        while (pop_front()) {} // one by one: each would otherwise destroy the next one from within
    }
    void push_back(std::shared_ptr<batch> b) noexcept {
        batch* const last = b.get();
        (last_ ? last_->next_ : first_) = std::move(b);
        last_ = last;
    }
    void push_front(std::shared_ptr<batch> b) noexcept {
        if (!first_) last_ = b.get();
        b->next_ = std::move(first_);
        first_ = std::move(b);
    }
    /// Null: there are none.
    std::shared_ptr<batch> pop_front() noexcept {
        std::shared_ptr<batch> b = std::move(first_);
        if (!b) return b;
        first_ = std::move(b->next_);
        if (!first_) last_ = nullptr;
        return b;
    }

private:
    std::shared_ptr<batch> first_;
    batch* last_ = nullptr;
};

/// One job. Confined to it, but for what the watch reads under the lock.
class job {
public:
    std::shared_ptr<batch> doing; // written by the job under the lock
    std::uint32_t turn = 0;       // as `doing`, and the next one: the item that it begins with
    std::size_t from = 0;
    core::stand_in worker;

private:
    friend class jobs;
    std::optional<core::future<void>> task_; // guarded by the lock, as all below
    bool launched_ = false, began_ = false, ended_ = false;
    bool given_up_ = false; // it is not in running_ any more
    item_turn::seen seen_;
    base::time_point since_{};
    std::list<std::shared_ptr<job>>::iterator place_;
};

class jobs;

/// What a job's task owns, also while it waits for its turn: its end is the job's.
class job_ticket {
public:
    job_ticket(std::shared_ptr<jobs> of, std::shared_ptr<job> me) noexcept
        : of_(std::move(of)), me_(std::move(me)) {}
    job_ticket(job_ticket&&) noexcept = default;
    job_ticket& operator=(job_ticket&&) = delete;
    ~job_ticket();
    jobs& of() const noexcept { return *of_; }
    job& me() const noexcept { return *me_; }

private:
    std::shared_ptr<jobs> of_; // null: moved from
    std::shared_ptr<job> me_;
};

class jobs : public std::enable_shared_from_this<jobs> {
public:
    jobs(map_owner in, map_plan&& p);
    jobs(const jobs&) = delete;
    jobs& operator=(const jobs&) = delete;
    virtual ~jobs() = default;

    const map_plan plan;

    // ---- the dispatcher
    /// As a child of g.
    virtual void start_dispatcher(core::group g) = 0;
    /// How many items the next batch is to have; 0: the window has no room, or too little to be worth it.
    std::size_t room_now() const noexcept;
    /// The same, when there is room.
    core::task<std::size_t> room();
    /// Returns one that was spent, if there is one.
    std::shared_ptr<batch> offer(std::shared_ptr<batch> b);
    /// Where items wait for their next attempt: the group that the dispatcher is in.
    void pause_in(core::group g) { pauses_ = std::move(g); }
    /// There are no more items; `error` if that is because reading them failed.
    void end_of_items(std::exception_ptr error) noexcept;

    // ---- a job
    /// Its next batch; null: it ends.
    bool take(job& me);
    bool stopped() const noexcept { return stopped_.load(std::memory_order_relaxed); }
    void begin(job& me, std::size_t k) noexcept {
        if (timed_) me.doing->turn.begin(me.turn, k);
    }
    /// False: the item was given up; the job touches nothing more.
    bool end(job& me, std::size_t k) noexcept { return !timed_ || me.doing->turn.end(me.turn, k); }
    /// What an item fails with that was given up.
    std::string taken_too_long(const batch& b, std::size_t k) const;
    bool has_retries(const batch& b) const noexcept { return b.attempt <= plan.retries; }
    /// Item k, which is nobody's, has failed: it gets another attempt. False: it does not, and `error` is why.
    bool try_again(batch& b, std::size_t k, std::exception_ptr& error, bool timed_out) noexcept;
    void finished(job& me, base::duration took);
    void left(job& me) noexcept;
    base::time_point now() const noexcept { return in_.now(); }

    // ---- the collector
    /// Whether a batch that is done is nobody's but the collector's: a job that was given up may have it still.
    bool batches_come_back() const noexcept { return !timed_; }
    /// A batch that is done, in no order; null: none at this moment. `spent`: those that came back, and are empty; they are taken.
    std::shared_ptr<batch> done_now(batch_list& spent);
    /// The next one; null: all have been.
    core::task<std::shared_ptr<batch>> next_done();
    /// The consumer's buffer has taken the results of n items.
    void delivered(std::size_t n) noexcept;
    std::exception_ptr source_error() const noexcept { return source_error_; }
    /// Tells map_options::progress how far the map is, again and again.
    static core::task<> tell_progress(std::shared_ptr<jobs> self);
    /// For the last time, if there is to be one. Nobody tells any more.
    void tell_end();
    /// Cancels what runs. Nothing is begun any more.
    void stop() noexcept;

    /// Starts the watch, if there is anything to watch: until the map has been stopped and every job has ended or was given up.
    /// On a thread of its own: the workers may all be busy with what takes too long.
    void start_watch();

protected:
    /// Starts a job as a task of the owner.
    virtual core::future<void> start(map_owner in, job_ticket t) = 0;

private:
    struct late_item {
        std::shared_ptr<job> of;
        item_turn::seen item;
    };
    std::size_t low_water() const noexcept;
    /// False: the collector is to wait. True without a batch: all have been.
    bool something_to_take(std::shared_ptr<batch>& b);
    void pump() noexcept;
    bool one_may_start() const noexcept TENURE_REQUIRES(m_);
    void take_off(job& j) noexcept TENURE_REQUIRES(m_);
    void look_at_the_time();
    void give_up(const late_item& late);
    void expire();
    static core::task<> watch(std::shared_ptr<jobs> self);
    void watch_on_this_thread();
    bool nothing_to_watch();
    /// Taken under the lock.
    void done(std::shared_ptr<batch>&& b) noexcept;
    std::shared_ptr<batch> take_done() TENURE_REQUIRES(m_);
    void go_on_with(std::shared_ptr<batch> b);
    void tell(bool last);
    static core::task<> pause(std::shared_ptr<jobs> self, std::shared_ptr<batch> b, base::duration how_long);

    const map_owner in_;
    const bool timed_;
    base::mutex m_;
    std::deque<std::shared_ptr<batch>> ready_ TENURE_GUARDED_BY(m_);
    std::list<std::shared_ptr<job>> running_ TENURE_GUARDED_BY(m_);
    unsigned active_ TENURE_GUARDED_BY(m_) = 0;
    std::size_t starting_ TENURE_GUARDED_BY(m_) = 0;   // of them; they have not taken a batch yet
    std::exception_ptr failure_ TENURE_GUARDED_BY(m_); // of the map itself
    bool owner_is_cancelled_ TENURE_GUARDED_BY(m_) = false;
    base::condition nothing_runs_; // any more, and nothing will
    // Read by jobs between items, relaxed: that they stop soon is all.
    std::atomic<bool> stopped_{false};
    std::atomic<std::size_t> batch_size_; // writers: jobs, by what they measure; a lost update loses nothing

    std::atomic<std::size_t> read_{0}; // writer: the dispatcher, not while it waits
    // seq_cst, both: either the dispatcher sees what was delivered, or who delivers sees that it waits.
    std::atomic<std::size_t> delivered_{0};
    std::atomic<bool> waits_for_room_{false};
    core::event room_;

    batch_list done_ TENURE_GUARDED_BY(m_);
    batch_list
        spent_ TENURE_GUARDED_BY(m_); // to be used again: the last one first, which is still in the cache
    bool waits_for_done_ TENURE_GUARDED_BY(m_) = false; // the collector
    bool items_ended_ TENURE_GUARDED_BY(m_) = false;
    std::size_t batches_ TENURE_GUARDED_BY(m_) = 0; // that will be done; more, when an item is tried again
    std::exception_ptr source_error_;               // written before items_ended_
    core::event something_done_;
    std::size_t arrived_ = 0; // confined to the collector
    const base::time_point began_;
    map_progress progress_ TENURE_GUARDED_BY(m_);
    bool has_told_ = true; // the last time it was told, nothing was thrown; confined to who tells
    std::optional<core::group> pauses_; // constant from the first offer on
};

/// The runner has broken its contract.
std::exception_ptr no_results(const runner::runner& on);

/// However the collector ends, the jobs are stopped.
class stop_jobs {
public:
    explicit stop_jobs(jobs& of) noexcept : of_(of) {}
    stop_jobs(const stop_jobs&) = delete;
    stop_jobs& operator=(const stop_jobs&) = delete;
    ~stop_jobs() { of_.stop(); }

private:
    jobs& of_;
};

} // namespace detail
} // namespace tenure::inline v0::parallel
