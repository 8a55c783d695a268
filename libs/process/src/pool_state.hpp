// The inside of a pool.
//
// STATES  open -close()-> closing -no worker left, supervisor reaped or given up-> closed.        There is no way back.
// WHO RUNS IT  Nobody of its own. A call publishes itself under the lock, from its task. While calls wait there is one task of the
//   runtime, the pump, that turns the pool: takes results, hears of deaths, gives out what is queued, looks at the clock.
//   While nothing waits there is none. close() turns it on its own thread.
//   If the workers' output is read, another task, the reader, is launched when the pump, or a call that ends, sees that there
//   is some. It ends when it has delivered it; what comes while no call waits stays in its pipe until the next one, or the close.
// INVARIANTS
//  1. A record that is queued or published is alive: its call waits, or its destructor takes it back.
//  2. A call waits only while the pump runs: whoever makes one wait looks that it does, under the lock; the pump ends when
//     it sees, under the lock, that none waits.
//  3. A task of a ring is given to another worker only after it was revoked in that ring: it runs at most once, whether its
//     worker is dead, dying or well.
//  4. Each ended record is completed once, after the lock was let go of; it may be gone then.
//  5. A worker is in the table from the moment its memory exists until its end was heard, or it was given up.
//  6. A block of the store is not given to anybody else while a process that was given it may still write to it. Of a worker
//     that was given up, or whose supervisor was lost, nobody has said that it has ended: it waits for that in limbo.
// The lock is a leaf but for allocation, the store's lock included: no user code, no completion, no launch of a task under it.
#pragma once
#include "control.hpp"
#include "output.hpp"

#include <tenure/base/mutex.hpp>
#include <tenure/io/descriptor.hpp>
#include <tenure/process/detail/adaptive_spin.hpp>
#include <tenure/process/detail/channel.hpp>
#include <tenure/process/pool.hpp>

#include <memory>
#include <sys/epoll.h>
#include <vector>

namespace tenure::inline v0::process::detail {

struct ring_wakes {
    static void worker(const std::atomic<std::uint32_t>& word) noexcept { wake_sleeper(word); }
};

/// What a pool's epoll instance names what it watches: these, or the number of a worker.
enum watched : std::uint64_t { // NOLINT(cppcoreguidelines-use-enum-class): a number among others
    watched_event,
    watched_timer,
    watched_socket,
    watched_supervisor,
    watched_output,
    first_worker_id,
};

/// One worker as the parent sees it. Guarded by the pool's lock, but for the memory itself.
struct pool_worker : base::ref_counted {
    explicit pool_worker(std::uint64_t number, std::uint64_t arena_bytes)
        : id(number), memory(arena_bytes), ring(memory->ring), arena(memory.calls()) {}

    const std::uint64_t id;
    channel_memory memory;
    basic_ring_parent<ring_words, ring_wakes> ring;
    block_queue arena;
    struct task {
        call_record* call = nullptr;   // null: revoked, or the initializer
        std::uint64_t arena_end = 0;   // of its block; 0: it has none
        base::ref<call_blocks> blocks; // that the worker may look at
        /// It was revoked: the worker never looks at it.
        void withdraw() noexcept {
            call = nullptr;
            blocks = nullptr;
        }
    };
    std::array<task, slot_count> tasks;
    task& task_at(std::uint64_t number) noexcept { return tasks[number % slot_count]; }
    /// Takes a task back, for another worker. False: this one has it, or was asked to end it; then it was seen to have begun,
    /// and one that says now that it has not breaks the protocol.
    bool revoke(std::uint64_t number) noexcept { return number != pressed_for && ring.revoke(number); }

    pid_t pid = 0; // 0: it has not started
    io::unique_fd pidfd;
    base::time_point asked_for_at{}; // when its supervisor was told to start it
    std::size_t outstanding = 0;     // published, neither ended nor revoked
    std::uint64_t counted = 0;       // calls that it was given
    std::uint64_t ended_calls = 0;   // calls and initializers that it has ended
    bool accepts = true;
    bool idled = false; // it was let go of because it had nothing to do
    bool initializing = false;
    bool broken = false; // what it wrote makes no sense
    std::exception_ptr initializer_error;
    // When its oldest task became that, by a clock that costs little; says nothing while it has none.
    base::time_point head_since = base::never;
    base::time_point not_taken_since = base::never; // the oldest call, whose time was over before it began
    // When the oldest call became that, or its running part began; kept for calls with a timeout.
    base::time_point oldest_since = base::never;
    runner::item_turn::seen part_seen; // of the oldest call, if it has parts
    base::time_point part_looked_at{};

    /// How far it has been pressed to end what it runs, or itself.
    enum class pressure : std::uint8_t { none, asked, terminated, killed };
    pressure pressed = pressure::none;
    std::uint64_t pressed_for = 0; // the task; 0: the worker itself is to end
    base::duration grace{};
    base::time_point press_at = base::never; // the next step
    base::time_point killed_at = base::never;
    /// When it was asked for, until it has started; when its pidfd said that it has ended. The supervisor owes us a word.
    base::time_point word_due = base::never;

    // What it says of its tasks, for dumps (worker_tasks.hpp). A lock of their own: a leaf, too.
    base::mutex tree_m;
    basic_tree_asker<decltype(channel::tree), ring_wakes> tree{
        memory->tree};                               // guarded by tree_m, but for seen()
    std::string tree_text TENURE_GUARDED_BY(tree_m); // that was read last
};

/// Calls that have ended and whose tasks are to be woken, when no lock is held: in the order of their ends.
class ended_calls {
public:
    void add(call_record& r) noexcept {
        r.next = nullptr;
        (last_ ? last_->next : first_) = &r;
        last_ = &r;
    }
    /// To be let go of before that: the system may have to take back the memory of large ones.
    void add(base::ref<call_blocks> b) noexcept {
        if (!b) return;
        b->next = std::move(blocks_);
        blocks_ = std::move(b);
    }
    /// Each record may be gone as soon as its task is woken.
    void complete() noexcept {
        while (const auto gone = std::move(blocks_)) // first: whoever is woken may want their room
            blocks_ = std::move(gone->next);
        for (call_record* r = std::exchange(first_, nullptr); r;) {
            call_record* const following = r->next;
            std::exchange(r->waiter, nullptr)->complete();
            r = following;
        }
        last_ = nullptr;
    }

private:
    call_record* first_ = nullptr;
    call_record* last_ = nullptr;
    base::ref<call_blocks> blocks_; // linked by next
};

/// What a call fails with that the close has met.
std::exception_ptr was_closed(const char* when) noexcept;

class pool_state final : public call_taker {
public:
    pool_state(core::detail::scheduler& home, pool_options o);
    ~pool_state() override;

    bool submit(call_record& r, core::detail::strand& s) override;
    bool cancel(call_record& r, const base::cause_ptr& why) noexcept override;
    void forget(call_record& r) noexcept override;
    bool show(const call_record& r, core::tree_entry& e,
              base::ref<core::detail::tasks_elsewhere>& tasks) override;

    base::ref<shared_block> new_block(std::size_t n, std::size_t each);
    void close() noexcept;
    pool_status status();
    bool belongs_to_this_process() const noexcept;
    unsigned width() const noexcept { return options_.workers; }
    std::uint64_t most_bytes() const noexcept { return options_.max_message; }

private:
    enum class next : std::uint8_t { again, wait, over };
    using worker_ref = base::ref<pool_worker>;

    class new_service;
    static core::task<> pump(pool_state* it);
    static core::task<> reader(pool_state* it);
    /// True: a pump is to be launched, without the lock.
    bool let_wait(call_record& r, core::detail::strand& s) noexcept TENURE_REQUIRES(m_);
    /// True: launch_reader() is to be called, without the lock, in a task of the runtime. `look`: ask the pipes.
    bool wants_reader(bool look) noexcept TENURE_REQUIRES(m_);
    void launch_reader() noexcept;
    next after_reading(unsigned& rounds) noexcept;
    void look() noexcept;
    /// So that it looks at everything anew.
    void wake_pump() noexcept TENURE_REQUIRES(m_);
    void turn_until_empty() noexcept;
    /// One round. What ended is added to `woken`.
    next turn(ended_calls& woken, bool& read);
    void work_once(ended_calls& woken) TENURE_REQUIRES(m_);
    next decide() TENURE_REQUIRES(m_);

    void start_supervisor() TENURE_REQUIRES(m_);
    /// False, with errno: the supervisor was not told.
    bool start_worker() TENURE_REQUIRES(m_);
    void start_missing_workers(base::time_point now, ended_calls& woken) TENURE_REQUIRES(m_);
    void read_descriptors(base::time_point now, ended_calls& woken) TENURE_REQUIRES(m_);
    void read_messages(base::time_point now, ended_calls& woken) TENURE_REQUIRES(m_);
    void watch(int fd, std::uint64_t tag, std::uint32_t how, int operation = EPOLL_CTL_ADD) noexcept;
    void supervisor_is_lost(base::time_point now, ended_calls& woken) TENURE_REQUIRES(m_);
    void start_failed(base::time_point now, const std::string& why, bool for_good, ended_calls& woken)
        TENURE_REQUIRES(m_);

    void give_out(ended_calls& woken) TENURE_REQUIRES(m_);
    static bool takes_calls(const pool_worker& w) noexcept;
    pool_worker* least_busy() noexcept TENURE_REQUIRES(m_);
    /// It says that it leaves because it has had nothing to do, and may have had nothing for so long.
    bool has_idled(const pool_worker& w) const noexcept TENURE_REQUIRES(m_);
    /// What such a one has not begun runs elsewhere (worker_ring.hpp, invariant 6), and it gets nothing more.
    void let_go_if_idled(pool_worker& w, ended_calls& woken) noexcept TENURE_REQUIRES(m_);
    std::size_t workers_wanted() const noexcept TENURE_REQUIRES(m_);
    bool publish(pool_worker& w, std::span<const std::byte> message, call_record* r) TENURE_REQUIRES(m_);
    void steal_for_idle(ended_calls& woken) TENURE_REQUIRES(m_);
    /// Takes what has ended. True: something had.
    bool harvest(pool_worker& w, ended_calls& woken) noexcept TENURE_REQUIRES(m_);
    void take_result(pool_worker& w, std::uint64_t number, ended_calls& woken) noexcept TENURE_REQUIRES(m_);
    /// What a call of several parts has done so far, before it fails.
    static void take_parts(const pool_worker& w, call_record& r, runner::item_turn::seen seen) noexcept;
    void ended(pool_worker& gone, int code, int status, base::time_point now, ended_calls& woken)
        TENURE_REQUIRES(m_);
    void retire_worker(pool_worker& w) noexcept TENURE_REQUIRES(m_);
    void end(call_record& r, call_record::ending how, ended_calls& woken) noexcept TENURE_REQUIRES(m_);
    void fail(call_record& r, std::exception_ptr e, ended_calls& woken) noexcept TENURE_REQUIRES(m_);
    void fail_queued(const std::exception_ptr& e, ended_calls& woken) noexcept TENURE_REQUIRES(m_);

    void look_at_the_clock(base::time_point now, ended_calls& woken) TENURE_REQUIRES(m_);
    void ask_to_stop(pool_worker& w, std::uint64_t task, base::duration grace,
                     const base::cause& why) noexcept TENURE_REQUIRES(m_);
    /// Revokes what the worker has not begun: it runs elsewhere, or fails if the pool closes.
    void take_back_unbegun(pool_worker& w, ended_calls& woken) noexcept TENURE_REQUIRES(m_);
    void look_whether_late(pool_worker& w, base::time_point now, ended_calls& woken) noexcept
        TENURE_REQUIRES(m_);
    void give_up_part(pool_worker& w, call_record& r, base::time_point now, ended_calls& woken) noexcept
        TENURE_REQUIRES(m_);
    void press_on(pool_worker& w, base::time_point now, ended_calls& woken) TENURE_REQUIRES(m_);
    base::time_point next_time() const noexcept TENURE_REQUIRES(m_);
    void set_timer(base::time_point at) noexcept TENURE_REQUIRES(m_);

    pool_status status_now() const TENURE_REQUIRES(m_);
    void enqueue(call_record& r, bool first) noexcept TENURE_REQUIRES(m_);
    void unlist(call_record& r) noexcept TENURE_REQUIRES(m_);
    /// True: it exited by itself.
    bool end_supervisor() noexcept TENURE_REQUIRES(m_);

    core::detail::scheduler& home_;
    const pool_options options_;
    const base::ref<worker_outputs> outputs_; // null: inherited
    const pid_t owner_;                       // a process that was forked from it has only a copy
    io::unique_fd event_;                     // workers signal it
    io::unique_fd timer_;
    io::unique_fd epoll_;   // of event, timer, the supervisor's socket and pidfd
    io::descriptor events_; // the same, as the runtime sees it

    base::mutex m_;
    base::condition closed_;
    enum class stage : std::uint8_t { open, closing, closed };
    stage stage_ TENURE_GUARDED_BY(m_) = stage::open;
    control_socket supervisor_ TENURE_GUARDED_BY(m_);
    io::unique_fd supervisor_pidfd_ TENURE_GUARDED_BY(m_);
    pid_t supervisor_pid_ TENURE_GUARDED_BY(m_) = 0;
    std::vector<worker_ref> workers_ TENURE_GUARDED_BY(m_);
    std::vector<worker_ref> limbo_ TENURE_GUARDED_BY(m_); // invariant 6
    call_record* first_ TENURE_GUARDED_BY(m_) = nullptr;  // queued
    call_record* last_ TENURE_GUARDED_BY(m_) = nullptr;
    std::size_t queued_ TENURE_GUARDED_BY(m_) = 0;
    std::size_t waiting_ TENURE_GUARDED_BY(m_) = 0; // records with a waiter that have not ended
    bool pumping_ TENURE_GUARDED_BY(m_) = false;
    bool reading_ TENURE_GUARDED_BY(m_) = false;      // there is a reader
    bool output_waits_ TENURE_GUARDED_BY(m_) = false; // for one
    std::unique_ptr<new_service> spare_pump_ TENURE_GUARDED_BY(m_);
    std::uint64_t next_id_ TENURE_GUARDED_BY(m_) = first_worker_id;
    std::size_t
        lost_ TENURE_GUARDED_BY(m_) = 0; // workers that had started, have ended, and were not replaced yet
    std::uint64_t replaced_ TENURE_GUARDED_BY(m_) = 0;
    std::uint64_t supervisors_ TENURE_GUARDED_BY(m_) = 0;
    std::uint64_t idled_ TENURE_GUARDED_BY(m_) = 0;
    unsigned failed_starts_ TENURE_GUARDED_BY(m_) = 0; // in a row
    base::time_point failing_since_ TENURE_GUARDED_BY(m_) = base::never;
    base::time_point start_again_at_ TENURE_GUARDED_BY(m_) = base::never; // never: nothing is put off
    base::time_point timer_at_ TENURE_GUARDED_BY(m_) = base::never;
    adaptive_spin spin_ TENURE_GUARDED_BY(m_); // of tasks that wait for a call at the head of an idle worker
    bool news_ TENURE_GUARDED_BY(m_) = false;  // the last turn found something on a ring
    bool look_around_ TENURE_GUARDED_BY(m_) = true;  // the next turn looks at descriptors and the clock
    unsigned quiet_turns_ TENURE_GUARDED_BY(m_) = 0; // without news, in a row
    unsigned turns_ TENURE_GUARDED_BY(m_) = 0;
};

} // namespace tenure::inline v0::process::detail
