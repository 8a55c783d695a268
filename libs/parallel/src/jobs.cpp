#include <tenure/base/error.hpp>
#include <tenure/core/run_blocking.hpp>
#include <tenure/core/sleep.hpp>
#include <tenure/core/this_task.hpp>
#include <tenure/parallel/detail/jobs.hpp>

#include <algorithm>
#include <vector>

namespace tenure::inline v0::parallel::detail {

using namespace std::chrono_literals;

namespace {
constexpr base::duration worth_a_batch = 1ms; // starting one costs some 0.2 us, so 1 in 5,000
constexpr base::duration look = 1ms;          // how late the watch may see that an item has begun

std::string told(base::duration d) {
    const auto whole = [d](base::duration unit) { return d % unit == base::duration::zero(); };
    if (whole(1s)) return std::to_string(d / 1s) + " s";
    if (whole(1ms)) return std::to_string(d / 1ms) + " ms";
    return std::to_string(d.count()) + " ns";
}
} // namespace

jobs::jobs(map_owner in, map_plan&& p)
    : plan(std::move(p)),
      in_(std::move(in)),
      timed_(plan.timeout != no_limit && !plan.elsewhere), // the runner looks at the time of its own
      batch_size_(plan.batch_size ? plan.most_in_batch : 1),
      began_(in_.now()) {}

// ---- the dispatcher

// Down to which the window is emptied before it is filled again: neither is the dispatcher woken for each item, nor are what it
// reads then small batches. Every job has one all the same.
std::size_t jobs::low_water() const noexcept {
    const std::size_t for_all = plan.jobs * batch_size_.load(std::memory_order_relaxed);
    return std::min(plan.window - 1, std::max(plan.window - plan.window / 4, for_all));
}
std::size_t jobs::room_now() const noexcept {
    const std::size_t ahead = std::min(
        read_.load(std::memory_order_relaxed) - delivered_.load(std::memory_order_seq_cst), plan.window);
    const std::size_t whole = batch_size_.load(std::memory_order_relaxed);
    const std::size_t room = plan.window - ahead;
    if (room >= whole) return whole;
    return ahead <= low_water() ? room : 0;
}
core::task<std::size_t> jobs::room() {
    for (;;) {
        room_.reset(); // before the look: whoever delivers afterwards sets it
        waits_for_room_.store(true, std::memory_order_seq_cst);
        if (const std::size_t n = room_now()) {
            waits_for_room_.store(false, std::memory_order_relaxed);
            co_return n;
        }
        co_await room_.wait();
    }
}
std::shared_ptr<batch> jobs::offer(std::shared_ptr<batch> b) {
    read_.store(read_.load(std::memory_order_relaxed) + b->count(), std::memory_order_relaxed);
    std::shared_ptr<batch> spent;
    bool starts = false;
    {
        base::mutex_lock l(m_);
        ready_.push_back(std::move(b));
        ++batches_;
        spent = spent_.pop_front();
        starts = one_may_start();
    }
    if (starts) pump();
    return spent;
}
void jobs::end_of_items(std::exception_ptr error) noexcept {
    source_error_ = std::move(error);
    {
        base::mutex_lock l(m_);
        items_ended_ = true;
    }
    something_done_.set();
}
bool jobs::one_may_start() const noexcept {
    return !stopped() && !owner_is_cancelled_ && starting_ < ready_.size() && active_ < plan.jobs;
}
// One job for each batch that waits, as far as they may run.
void jobs::pump() noexcept {
    for (;;) {
        std::shared_ptr<job> j;
        {
            base::mutex_lock l(m_);
            if (!one_may_start()) return;
        }
        try {
            j = std::make_shared<job>();
            base::mutex_lock l(m_);
            if (!one_may_start()) return;
            j->place_ = running_.insert(running_.end(), j);
            ++active_;
            ++starting_;
        } catch (const std::bad_alloc&) {
            return; // the jobs that run go on with what waits, and the next offer tries again
        }
        try {
            core::future<void> task = start(in_, job_ticket(shared_from_this(), j));
            base::mutex_lock l(m_);
            j->task_ = task;
            j->launched_ = true;
            if (j->ended_) take_off(*j);
            if (!stopped() && !j->given_up_) continue;
        } catch (...) { // the owner accepts no more
            {
                base::mutex_lock l(m_);
                take_off(*j);
                failure_ = std::current_exception();
            }
            return something_done_.set();
        }
        j->task_->cancel("the map has stopped");
    }
}
job_ticket::~job_ticket() {
    if (of_) of_->left(*me_);
}

// ---- a job

bool jobs::take(job& me) {
    base::mutex_lock l(m_);
    me.doing = nullptr;
    if (!std::exchange(me.began_, true) && !me.given_up_) --starting_;
    if (stopped() || ready_.empty()) return false;
    me.doing = std::move(ready_.front());
    ready_.pop_front();
    me.seen_ = me.doing->turn.look();
    me.turn = me.seen_.turn();
    me.from = me.seen_.index();
    return true;
}
void jobs::finished(job& me, base::duration took) {
    const std::size_t n = me.doing->count();
    if (plan.batch_size == 0 && me.doing->attempt == 1 && n >= batch_size_.load(std::memory_order_relaxed)) {
        // As many as would have taken the right time, but at most twice as many: one measurement is little.
        const auto ns = static_cast<double>(std::max<base::duration>(took, 1ns).count());
        const double right = static_cast<double>(n) * static_cast<double>(worth_a_batch.count()) / ns;
        const double next = std::clamp(right, static_cast<double>(n) / 2, static_cast<double>(n) * 2);
        batch_size_.store(std::clamp<std::size_t>(static_cast<std::size_t>(next), 1, plan.most_in_batch),
                          std::memory_order_relaxed);
    }
    done(std::move(me.doing));
}
bool jobs::try_again(batch& b, std::size_t k, std::exception_ptr& error, bool timed_out) noexcept {
    if (!has_retries(b) || stopped() || (timed_out && !plan.retry_if)) return false;
    try {
        if (plan.retry_if && !plan.retry_if(error)) return false;
    } catch (...) {
        error = std::current_exception();
        return false;
    }
    {
        base::mutex_lock l(m_);
        ++batches_; // before it can be done
        ++progress_.retries;
    }
    try {
        std::shared_ptr<batch> next = b.again(k);
        const base::duration wait = plan.pause_before(next->attempt);
        if (wait == base::duration::zero())
            go_on_with(std::move(next));
        else
            (void)pauses_->spawn({.name = plan.name + ": a pause", .site = plan.site}, pause,
                                 shared_from_this(), std::move(next), wait);
        return true;
    } catch (...) { // no memory, or the map has ended
        base::mutex_lock l(m_);
        --batches_;
        --progress_.retries;
        return false;
    }
}
core::task<> jobs::pause(std::shared_ptr<jobs> self, std::shared_ptr<batch> b, base::duration how_long) {
    co_await core::sleep_for(how_long);
    self->go_on_with(std::move(b));
}
// Before all that waits: its items came first.
void jobs::go_on_with(std::shared_ptr<batch> b) {
    {
        base::mutex_lock l(m_);
        if (!stopped()) ready_.push_front(std::move(b));
    }
    pump();
}
void jobs::left(job& me) noexcept {
    {
        base::mutex_lock l(m_);
        me.ended_ = true;
        if (!me.began_) owner_is_cancelled_ = true; // so is the collector
        if (!me.launched_) return;                  // who launches it goes on
        take_off(me);
    }
    pump();
}
void jobs::take_off(job& j) noexcept {
    if (std::exchange(j.given_up_, true)) return;
    if (!j.began_) --starting_;
    running_.erase(j.place_);
    --active_;
    if (stopped()) nothing_runs_.notify_all();
}

// ---- the collector

void jobs::done(std::shared_ptr<batch>&& b) noexcept {
    bool wakes = false;
    {
        base::mutex_lock l(m_);
        if (plan.progress) b->count_results(progress_);
        done_.push_back(std::move(b));
        wakes = std::exchange(waits_for_done_, false);
    }
    if (wakes) something_done_.set();
}
std::shared_ptr<batch> jobs::done_now(batch_list& spent) {
    base::mutex_lock l(m_);
    while (auto one = spent.pop_front())
        spent_.push_front(std::move(one));
    return take_done();
}
std::shared_ptr<batch> jobs::take_done() {
    if (failure_) std::rethrow_exception(failure_);
    std::shared_ptr<batch> b = done_.pop_front();
    if (b) ++arrived_;
    return b;
}
bool jobs::something_to_take(std::shared_ptr<batch>& b) {
    base::mutex_lock l(m_);
    b = take_done();
    waits_for_done_ = !b && !(items_ended_ && arrived_ == batches_);
    return !waits_for_done_;
}
core::task<std::shared_ptr<batch>> jobs::next_done() {
    for (;;) {
        something_done_.reset(); // before the look: what comes afterwards sets it
        std::shared_ptr<batch> b;
        if (something_to_take(b)) co_return b;
        co_await something_done_.wait();
    }
}
void jobs::delivered(std::size_t n) noexcept {
    const std::size_t all = delivered_.fetch_add(n, std::memory_order_seq_cst) + n;
    if (!waits_for_room_.load(std::memory_order_seq_cst)) return;
    if (read_.load(std::memory_order_relaxed) - all > low_water()) return;
    waits_for_room_.store(false, std::memory_order_relaxed); // before set(): who is woken may wait again
    room_.set();
}
void jobs::stop() noexcept {
    std::list<std::shared_ptr<job>> running;
    std::deque<std::shared_ptr<batch>> unread; // their items go without the lock
    {
        base::mutex_lock l(m_);
        stopped_.store(true, std::memory_order_relaxed);
        nothing_runs_.notify_all();
        unread.swap(ready_);
        try {
            running = running_;
        } catch (const std::bad_alloc&) { // they end by themselves, after the item that they are at
        }
    }
    for (const auto& j : running) {
        std::optional<core::future<void>> task;
        {
            base::mutex_lock l(m_);
            task = j->task_;
        }
        if (task) task->cancel("the map has stopped"); // else who starts it sees stopped_
    }
}

// ---- progress

void jobs::tell(bool last) {
    map_progress p;
    {
        base::mutex_lock l(m_);
        p = progress_;
        for (const auto& j : running_)
            p.running += j->doing != nullptr;
        p.running =
            std::min<std::size_t>(p.running, plan.jobs / plan.calls_a_job); // others wait for their worker
    }
    p.total = plan.total;
    p.last = last;
    has_told_ = false;
    plan.progress(p);
    has_told_ = true;
}
core::task<> jobs::tell_progress(std::shared_ptr<jobs> self) {
    for (;;) {
        co_await core::sleep_for(self->plan.progress_every);
        self->tell(false);
    }
}
void jobs::tell_end() {
    if (plan.progress && has_told_) tell(true);
}

// ---- the watch

void jobs::start_watch() {
    if (!timed_ && plan.deadline == no_limit) return;
    map_owner in = in_;
    in.spawn_beside({.name = plan.name + ": the watch", .site = plan.site}, watch, shared_from_this());
}
core::task<> jobs::watch(std::shared_ptr<jobs> self) {
    if (self->in_.has_workers()) {
        const auto here = [&self] { self->watch_on_this_thread(); };
        co_await core::run_blocking(here);
    } else { // one thread, and a test's clock: then a task will do
        while (!self->nothing_to_watch()) {
            co_await core::sleep_for(look);
            self->look_at_the_time();
        }
    }
}
void jobs::watch_on_this_thread() {
    while (!nothing_to_watch() && !core::this_task::cancel_requested()) {
        {
            base::mutex_lock l(m_);
            nothing_runs_.wait_until(m_, std::chrono::steady_clock::now() + look);
        }
        look_at_the_time();
    }
}
bool jobs::nothing_to_watch() {
    base::mutex_lock l(m_);
    return stopped() && running_.empty();
}
void jobs::look_at_the_time() {
    const base::time_point now = in_.now();
    if (plan.deadline != no_limit && now - began_ >= plan.deadline) expire();
    if (!timed_) return;
    std::vector<late_item> late;
    {
        base::mutex_lock l(m_);
        late.reserve(running_.size());
        for (const auto& j : running_) {
            if (!j->doing) continue;
            const item_turn::seen s = j->doing->turn.look();
            if (s != j->seen_) {
                j->seen_ = s;
                j->since_ = now;
            } else if (s.running() && now - j->since_ >= plan.timeout && j->doing->turn.give_up(s)) {
                late.push_back({j, s});
            }
        }
        for (const late_item& each : late)
            take_off(*each.of);
    }
    for (const late_item& each : late)
        give_up(each);
}
// The item is nobody's now. The job keeps what it runs with; the rest of its batch goes on elsewhere.
void jobs::give_up(const late_item& late) {
    std::optional<core::future<void>> task;
    {
        base::mutex_lock l(m_);
        task = late.of->task_;
    }
    std::shared_ptr<batch> b = late.of->doing; // the job does not write it any more
    const std::size_t k = late.item.index();
    const std::string what = taken_too_long(*b, k);
    auto error = std::make_exception_ptr(base::timeout_error(what));
    if (!try_again(*b, k, error, true)) b->time_out(k, std::move(error));
    if (task) task->cancel(what); // else who starts it sees given_up_
    late.of->worker.call();
    if (k + 1 < b->count()) return go_on_with(b);
    done(std::move(b));
    pump();
}
std::string jobs::taken_too_long(const batch& b, std::size_t k) const {
    std::string what =
        plan.name + ": item " + std::to_string(b.first + k) + " has taken more than " + told(plan.timeout);
    if (b.attempt > 1) what += ", in attempt " + std::to_string(b.attempt);
    return what;
}
std::exception_ptr no_results(const runner::runner& on) {
    return std::make_exception_ptr(base::usage_error("map: a runner (" + std::string(on.kind()) +
                                                     ") returned without a result of any item"));
}
void jobs::expire() {
    std::list<std::shared_ptr<job>> running;
    {
        base::mutex_lock l(m_);
        if (failure_) return;
        failure_ = std::make_exception_ptr(
            base::timeout_error(plan.name + ": not done within " + told(plan.deadline)));
        running = running_;
    }
    stop();
    {
        base::mutex_lock l(m_);
        for (const auto& j : running)
            take_off(*j); // nobody waits for it
    }
    for (const auto& j : running)
        j->worker.call(); // so that somebody can tell
    something_done_.set();
}

} // namespace tenure::inline v0::parallel::detail
