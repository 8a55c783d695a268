// A pool: how it begins, what its calls ask of it, the pump, and what others see of it.
#include "pool_state.hpp"

#include "worker_tasks.hpp"

#include <tenure/core/dump.hpp>
#include <tenure/core/group.hpp>
#include <tenure/core/operation.hpp>
#include <tenure/core/sleep.hpp>
#include <tenure/io/epoll_driver.hpp>
#include <tenure/process/enter_worker.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <system_error>
#include <unistd.h>

namespace tenure::inline v0::process::detail {
namespace {

constexpr unsigned turns_before_wait = 64; // without news, each of which lets the other tasks run
constexpr unsigned turns_between_looks = 32;
constexpr base::duration between_looks_for_a_pid = std::chrono::milliseconds(1);

io::unique_fd checked(int fd, const char* what) {
    if (fd < 0) throw std::system_error(errno, std::system_category(), std::string("process pool: ") + what);
    return io::unique_fd(fd);
}

unsigned usable_cpus() {
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) return 1;
    return static_cast<unsigned>(std::max(1, CPU_COUNT(&cpus)));
}

pool_options checked(pool_options o) {
    if (!worker_entry_is_known())
        throw base::usage_error(
            "process pool: main() must begin with `if (auto status = tenure::process::enter_worker()) "
            "return *status;` (or use tenure::run(app)): the workers are this program, started again");
    if (o.workers == 0) o.workers = usable_cpus();
    if (o.workers > 4096)
        throw base::usage_error(
            "process pool: more than 4096 workers: pool_options::workers is a number of processes");
    if (o.on_output && o.output != worker_output::inherited)
        throw base::usage_error(
            "process pool: pool_options::on_output takes the workers' output: leave output as it is");
    if (o.idle_timeout <= base::duration::zero())
        throw base::usage_error("process pool: pool_options::idle_timeout must be more than nothing");
    if (o.grace < base::duration::zero())
        throw base::usage_error("process pool: pool_options::grace is negative");
    if (o.initializer.message().size() > o.max_message)
        throw base::usage_error("process pool: the initializer's arguments have " +
                                std::to_string(o.initializer.message().size()) +
                                " bytes: raise pool_options::max_message");
    if (o.max_message < inline_bytes || o.max_message > std::uint64_t{1} << 40)
        throw base::usage_error("process pool: pool_options::max_message must be from 480 bytes to 1 TiB");
    return o;
}

/// The context that the pump runs under: nobody cancels it, for it ends with the last call. The pump's task keeps it to its end.
class kept_context final : public core::detail::end_observer {
public:
    core::detail::context_node& node() noexcept { return *node_; }
    bool ending(core::detail::task_object&, core::task_status) noexcept override { return false; }
    void ended(core::detail::task_object&) noexcept override {}

private:
    base::ref<core::detail::context_node> node_ =
        base::ref<core::detail::context_node>::adopt(new core::detail::context_node);
};

} // namespace

std::exception_ptr was_closed(const char* when) noexcept {
    try {
        return std::make_exception_ptr(
            base::closed_error(std::string("the process pool was closed ") + when));
    } catch (...) {
        return std::current_exception();
    }
}

/// A pump or a reader that has all the memory that its beginning needs.
class pool_state::new_service {
public:
    explicit new_service(pool_state& pool, core::task<> (*what)(pool_state*)) {
        auto begin = [body = what(&pool)]() mutable { return std::move(body); };
        auto extras = std::make_unique<core::detail::task_extras>();
        auto context = base::ref<kept_context>::adopt(new kept_context);
        under_ = &context->node();
        extras->observer = std::move(context);
        task_ = new core::detail::spawned<decltype(begin)>(
            pool.home_, nullptr, core::spawn_options{.name = "process pool"}, std::move(begin));
        task_->add_extras(std::move(extras));
        task_->values = nullptr; // of the call in which it is made
    }
    new_service(const new_service&) = delete;
    new_service& operator=(const new_service&) = delete;
    ~new_service() {
        if (task_) task_->discard();
    }
    /// The caller has counted it.
    void launch() noexcept {
        core::detail::task_object* const t = std::exchange(task_, nullptr);
        t->launch(*under_);
        t->release();
    }

private:
    core::detail::task_object* task_;
    core::detail::context_node* under_;
};

pool_state::pool_state(core::detail::scheduler& home, pool_options o)
    : home_(home),
      options_(checked(std::move(o))),
      outputs_(options_.on_output || options_.output == worker_output::tagged
                   ? base::ref<worker_outputs>::adopt(new worker_outputs(options_, home.hook()))
                   : base::ref<worker_outputs>()),
      owner_(getpid()),
      event_(checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")),
      timer_(checked(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create")),
      epoll_(checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      events_(home.io(), checked(fcntl(epoll_.get(), F_DUPFD_CLOEXEC, 0), "fcntl")) {
    watch(event_.get(), watched_event, EPOLLIN | EPOLLET); // and never read: a worker could make that block
    watch(timer_.get(), watched_timer, EPOLLIN);
    if (outputs_) watch(outputs_->fd(), watched_output, EPOLLIN | EPOLLONESHOT); // until its reader has ended
    if (options_.program.empty()) store_ = block_store::make(4 * options_.max_message);
    base::mutex_lock l(m_);
    start_supervisor();
    try {
        for (unsigned i = 0; i < options_.workers; ++i)
            if (!start_worker()) break; // the others when calls come
    } catch (...) {
        end_supervisor();
        throw;
    }
}

pool_state::~pool_state() = default;

bool pool_state::belongs_to_this_process() const noexcept { return getpid() == owner_; }

// ---- calls

bool pool_state::submit(call_record& r, core::detail::strand& s) {
    if (r.context.size() > max_context_bytes)
        throw base::usage_error("process pool: the context values that travel with the call have " +
                                std::to_string(r.context.size()) + " bytes, which is more than " +
                                std::to_string(max_context_bytes) + ": pass what is large as an argument");
    if (r.message.size() + r.context.size() > options_.max_message)
        throw base::usage_error("process pool: the call has " + std::to_string(r.message.size()) + " bytes" +
                                (r.context.empty() ? std::string()
                                                   : ", the context values that travel with it " +
                                                         std::to_string(r.context.size())) +
                                ", and the pool takes at most " + std::to_string(options_.max_message) +
                                ": raise pool_options::max_message");
    if (s.sched != &home_)
        throw base::usage_error("process pool: the call is awaited in a task of another runtime than the "
                                "pool was made for: make a "
                                "pool for each runtime",
                                s.label());
    ended_calls woken;
    worker_ref alone_on; // a worker that has nothing else to do
    std::uint64_t number = 0;
    std::optional<adaptive_spin> spin;
    std::unique_ptr<new_service> pump;
    bool launch = false;
    bool read = false;
    bool at_once = false;
    {
        base::mutex_lock l(m_);
        if (stage_ != stage::open)
            throw base::closed_error("the process pool is closed and takes no more calls");
        // Before anybody knows of the call: when it waits nothing can fail.
        pump = spare_pump_ ? std::move(spare_pump_) : std::make_unique<new_service>(*this, &pool_state::pump);
        enqueue(r, false);
        give_out(woken);
        if (pumping_) set_timer(next_time()); // for what was started just now
        if (r.at == call_record::place::ended) {
            at_once = true; // no worker can be started
        } else if (r.parts == 0 && r.at == call_record::place::published && r.by->outstanding == 1 &&
                   spin_.worth_trying()) {
            alone_on = worker_ref::share(r.by);
            number = r.number;
            spin = spin_;
        } else {
            launch = let_wait(r, s);
        }
        if (!launch && !spin) spare_pump_.swap(pump);
    }
    if (spin) {
        const bool moved = spin->spin([&] { return !is_unfinished(alone_on->ring.look(number)); });
        base::mutex_lock l(m_);
        spin_ = *spin;
        if (moved && r.at == call_record::place::published) harvest(*alone_on, woken);
        if (r.at != call_record::place::ended) {
            launch = let_wait(r, s);
            alone_on = nullptr;
        } else {
            read = wants_reader(true);
        }
        if (!launch) spare_pump_.swap(pump);
    }
    const bool ended = at_once || alone_on; // otherwise r, and its task, may be gone
    if (launch) pump->launch();
    if (read) launch_reader();
    woken.complete();
    return ended;
}

bool pool_state::let_wait(call_record& r, core::detail::strand& s) noexcept {
    r.waiter = &s;
    ++waiting_;
    if (std::exchange(pumping_, true)) return false;
    home_.count_root_up(); // now, for the task that waits is counted as long as it does
    add_ref();             // the pump takes it over
    return true;
}

bool pool_state::cancel(call_record& r, const base::cause_ptr& why) noexcept {
    ended_calls woken;
    {
        base::mutex_lock l(m_);
        switch (r.at) {
        case call_record::place::nowhere:
        case call_record::place::ended: return false;
        case call_record::place::queued: unlist(r); break;
        case call_record::place::published: {
            pool_worker& w = *r.by;
            if (!w.revoke(r.number)) {
                if (!is_unfinished(w.ring.look(r.number))) return false;
                static const base::cause unknown{base::reason::cancelled, "cancelled", {}};
                ask_to_stop(w, r.number, r.grace.value_or(options_.grace), why ? *why : unknown);
                set_timer(next_time());
                return false;
            }
            w.task_at(r.number).withdraw();
            --w.outstanding;
            harvest(w, woken); // it may have been the oldest: the time of the next one begins
            break;
        }
        }
        r.at = call_record::place::nowhere;
        if (std::exchange(r.waiter, nullptr) && --waiting_ == 0 && pumping_) wake_pump(); // to end
    }
    woken.complete();
    return true;
}

void pool_state::forget(call_record& r) noexcept {
    if (cancel(r, nullptr)) return;
    base::mutex_lock l(m_);
    if (r.at != call_record::place::published) return;
    r.by->task_at(r.number).call = nullptr;                                           // its result is dropped
    if (std::exchange(r.waiter, nullptr) && --waiting_ == 0 && pumping_) wake_pump(); // to end
}

bool pool_state::show(const call_record& r, core::tree_entry& e,
                      base::ref<core::detail::tasks_elsewhere>& tasks) {
    base::mutex_lock l(m_);
    if (r.at != call_record::place::queued && r.at != call_record::place::published) return false;
    e.doing = core::task_activity::ready;
    e.deadline = r.deadline;
    e.task.name = "call";
    if (r.at == call_record::place::queued) return true;
    const task_state state = r.by->ring.look(r.number);
    if (!is_unfinished(state)) return false;
    e.task.id = r.number;
    e.process = r.by->pid;
    e.parts = r.parts;
    if (state == task_state::ready) return true;
    e.doing = core::task_activity::running;
    tasks = tasks_of(*r.by, r.number);
    if (r.number == r.by->ring.oldest()) {
        e.since = r.by->head_since;
        // The timeout is that of the part that runs, if it has any.
        const base::time_point began = r.parts == 0 ? e.since : r.by->oldest_since;
        if (began != base::never) e.deadline = std::min(e.deadline, base::saturating_add(began, r.timeout));
    }
    if (const auto seen = r.by->memory->part.look(); r.parts != 0 && seen.turn() == turn_of(r.number))
        e.part = std::min<std::uint64_t>(seen.index(), r.parts - 1);
    return true;
}

// ---- the pump

core::task<> pool_state::pump(pool_state* it) {
    const auto self = base::ref<pool_state>::adopt(it); // of let_wait()
    ended_calls woken;
    for (;;) {
        next what = next::again;
        bool read = false;
        try {
            what = self->turn(woken, read);
        } catch (const std::exception&) {
            // There was no memory for a message. What has ended is woken all the same, and then it looks again.
        }
        woken.complete();
        if (read) self->launch_reader();
        if (what == next::over) co_return;
        if (what == next::again)
            co_await core::yield();
        else
            co_await self->events_.readable();
    }
}

core::task<> pool_state::reader(pool_state* it) {
    const auto self = base::ref<pool_state>::adopt(it); // of launch_reader()
    for (unsigned rounds = 0;;) {
        (void)self->outputs_->deliver();
        switch (self->after_reading(rounds)) {
        case next::again: co_await core::yield(); break;
        case next::wait: // for the supervisor's word; it has its time
            co_await core::sleep_for(between_looks_for_a_pid);
            self->look();
            break;
        case next::over: co_return;
        }
    }
}

bool pool_state::wants_reader(bool look) noexcept {
    return outputs_ && !reading_ && stage_ == stage::open && (output_waits_ || (look && outputs_->waits()));
}
void pool_state::launch_reader() noexcept {
    try {
        new_service made(*this, &pool_state::reader);
        {
            base::mutex_lock l(m_);
            if (reading_ || stage_ != stage::open) return;
            reading_ = true;
            output_waits_ = false;
            home_.count_root_up();
            add_ref(); // the reader takes it over
        }
        made.launch();
    } catch (const std::exception&) {
        // There was no memory for it. It is wanted again with the next call.
    }
}

// It must not keep the runtime from closing: when no call waits, a worker that still writes is left to itself after a pipe or two.
pool_state::next pool_state::after_reading(unsigned& rounds) noexcept {
    constexpr unsigned rounds_without_calls = 3;
    base::mutex_lock l(m_);
    if (stage_ == stage::open && outputs_->waits()) {
        if (outputs_->lacks_a_pid()) return next::wait;
        if (waiting_ != 0 || ++rounds < rounds_without_calls) return next::again;
    }
    reading_ = false;
    watch(outputs_->fd(), watched_output, EPOLLIN | EPOLLONESHOT, EPOLL_CTL_MOD);
    return next::over;
}

void pool_state::wake_pump() noexcept {
    look_around_ = true;
    const std::uint64_t one = 1;
    (void)!write(event_.get(), &one, sizeof one);
}

pool_state::next pool_state::turn(ended_calls& woken, bool& read) {
    base::mutex_lock l(m_);
    work_once(woken);
    const next what = decide();
    read = wants_reader(what == next::over); // what the last call has written
    return what;
}

void pool_state::work_once(ended_calls& woken) {
    news_ = false;
    for (const worker_ref& w : workers_)
        news_ |= harvest(*w, woken);
    if (look_around_ || ++turns_ % turns_between_looks == 0) { // each costs system calls
        look_around_ = false;
        const auto now = std::chrono::steady_clock::now();
        read_descriptors(now, woken);
        look_at_the_clock(now, woken);
    }
    give_out(woken);
    steal_for_idle(woken);
}

pool_state::next pool_state::decide() {
    // A part that was given up waits no more, but its worker is to be ended.
    const bool presses = std::any_of(workers_.begin(), workers_.end(), [](const worker_ref& w) {
        return w->pressed != pool_worker::pressure::none && w->pressed_for != 0;
    });
    if (waiting_ == 0 && !presses) {
        pumping_ = false;
        look_around_ = true;
        return next::over;
    }
    quiet_turns_ = news_ ? 0 : quiet_turns_ + 1;
    if (quiet_turns_ < turns_before_wait && (news_ || spin_.possible())) return next::again;
    for (const worker_ref& w : workers_)
        if (!w->ring.may_wait()) return next::again;
    set_timer(next_time());
    look_around_ = true;
    return next::wait;
}

// ---- looks

pool_status pool_state::status() {
    look();
    base::mutex_lock l(m_);
    return status_now();
}
// While no call waits nobody else does.
void pool_state::look() noexcept {
    ended_calls woken;
    {
        base::mutex_lock l(m_);
        if (stage_ != stage::open) return;
        look_around_ = true;
        try {
            work_once(woken);
        } catch (const std::exception&) {
            // There was no memory for a message: the next look finds it.
        }
        if (pumping_) wake_pump(); // what it would have been woken by was taken here
    }
    woken.complete();
}
pool_status pool_state::status_now() const {
    pool_status s;
    for (const worker_ref& w : workers_) {
        if (w->pid != 0) s.workers.push_back(w->pid);
        s.published += w->outstanding;
    }
    s.supervisor = supervisor_pid_;
    s.queued = queued_;
    s.replaced = replaced_;
    s.supervisors = supervisors_;
    s.idled = idled_;
    return s;
}

// ---- buffers

base::ref<shared_block> pool_state::new_block(std::size_t n, std::size_t each) {
    if (n > options_.max_message / each)
        throw base::usage_error("process pool: a buffer of " + std::to_string(n) + " elements of " +
                                std::to_string(each) + " bytes is larger than pool_options::max_message, " +
                                std::to_string(options_.max_message) + ": raise that");
    if (!store_) return new_private_block(n, each);
    if (auto b = store_->take(n * each)) return b;
    throw std::length_error("process pool: there is no room for a buffer of " + std::to_string(n * each) +
                            " bytes: calls and buffers have " + std::to_string(store_->bytes().size()) +
                            " together (four times pool_options::max_message)");
}

} // namespace tenure::inline v0::process::detail
