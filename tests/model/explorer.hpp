// A model checker for small protocols: runs two to five threads in every order, over a memory that may answer with old
// values, and finds the order in which an invariant breaks.
//
// How: the threads of a scenario are fibers. Each operation on model::atomic, model::mutex and model::condition is a point
// where any other thread may go on; each load may read any value that the C++ memory model still allows the thread to see.
// Every choice is recorded; the explorer replays a prefix of choices and goes on with the next untried one, depth first.
// A state that was reached before, by whatever order, is not explored again.
//
// Memory: a location is the list of all values written to it, in modification order. Each value carries the view of the
// thread that released it: for each location the oldest value that may still be read, and for each thread how far it had
// come with its plain accesses. A load picks any value from the thread's view on; acquire joins the value's view; a read-modify-write takes the
// newest, and keeps the release sequence. seq_cst operations also join one view common to all. (A little stronger than
// C++ for seq_cst; a store is always put at the end of the modification order.)
//
// A scenario is a class, made anew for every run: its constructor takes the world and calls thread(name, f) for each
// thread; at_end() is called when all have ended. What outlives a thread's function is model::atomic, model::plain or
// model::shared: the explorer tells states apart by those and by what each thread that has not ended has read.
#pragma once
#include <tenure/base/mutex.hpp> // the annotations

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <ucontext.h>
#include <unordered_set>
#include <vector>

namespace model {

inline constexpr std::size_t max_locations = 16;
inline constexpr std::size_t max_threads = 6;

/// By location: the oldest value still readable; behind them, by thread: how many plain accesses it had made.
using view = std::array<std::uint16_t, max_locations + max_threads>;

/// Collects what tells one state from another. What no thread can read any more is no part of the state: positions count
/// from the oldest that somebody can.
class signer {
public:
    struct signature {
        std::uint64_t a = 1, b = 2;
        bool operator==(const signature&) const = default;
    };
    void add(std::uint64_t v) noexcept;
    void add(const view& v) noexcept;
    /// How far a thread had come with its plain accesses.
    void add_clock(std::size_t thread, std::uint16_t clock) noexcept;

private:
    friend class world;
    signature sum_;
    view oldest_{};
    std::size_t locations_ = 0, threads_ = 0;
};
/// A part of the scenario that is part of the state.
class tracked {
public:
    virtual void sign(signer& s) const = 0;

protected:
    tracked();
    ~tracked() = default;
    tracked(const tracked&) = delete;
    tracked& operator=(const tracked&) = delete;
};

struct result {
    std::string violation; // empty: every run kept the invariants
    std::vector<std::string> trace;
    std::uint64_t runs = 0;
    std::uint64_t states = 0;
    bool complete = false; // false: gave up at the limit of runs
};

/// Explores all runs of a scenario, up to max_runs.
template <class Scenario>
result explore(std::uint64_t max_runs = 20'000'000);

class world {
public:
    /// Called by the scenario's constructor.
    void thread(std::string name, std::function<void()> body);

    // Everything below is for model::atomic and its like, and runs on a fiber.

    /// Lets any thread go on; returns when this one is chosen, which needs enabled() (if given) to hold.
    void point(std::function<bool()> enabled = {});
    /// One of n, each tried in some run.
    unsigned choose(unsigned n);
    /// Ends this run as a violation; does not return to the fiber. From at_end() it only says so.
    void fail(std::string why);
    /// what() tells the step, when a violation is being told.
    template <class What>
    void note(What&& what) {
        if (tracing_) trace_.push_back(threads_[running_].name + ": " + what());
    }
    void track(const tracked& part) { tracked_.push_back(&part); }
    /// The same for an object without padding that lives in the scenario.
    template <class T>
    void track_object(const T& object) {
        static_assert(sizeof(T) % sizeof(std::uint64_t) == 0);
        bytes_.push_back({reinterpret_cast<const unsigned char*>(&object), sizeof(T)});
    }
    /// The running thread has learnt something that its next steps depend on.
    void learnt(std::uint64_t what) noexcept;

    std::size_t new_location(std::uint64_t initial);
    std::uint64_t load(std::size_t at, std::memory_order order);
    void store(std::size_t at, std::uint64_t value, std::memory_order order);
    /// f maps the newest value to the new one.
    std::uint64_t modify(std::size_t at, const std::function<std::uint64_t(std::uint64_t)>& f,
                         std::memory_order order);
    bool compare_exchange(std::size_t at, std::uint64_t& expected, std::uint64_t desired,
                          std::memory_order success, std::memory_order failure, bool weak);
    std::uint64_t newest(std::size_t at) const { return locations_[at].history.back().value; }
    /// From now on any access is a violation. Does nothing outside of a run.
    void retire(std::size_t at);

    view& seen() noexcept { return threads_[running_].seen; }
    std::size_t running() const noexcept { return running_; }
    std::uint16_t& clock_of(view& v, std::size_t thread) const noexcept { return v[max_locations + thread]; }
    static void join(view& into, const view& from) noexcept;

private:
    template <class Scenario>
    friend result explore(std::uint64_t max_runs);

    struct message {
        std::uint64_t value;
        view released; // what a reader that acquires learns; zero if the store was relaxed
    };
    struct location {
        std::vector<message> history;
        bool retired = false;
    };
    struct fiber {
        std::string name;
        std::function<void()> body;
        std::function<bool()> enabled;
        ucontext_t context{};
        std::vector<char> stack;
        view seen{};
        std::uint64_t learnt = 0;
        int spurious_left = 1; // a weak compare_exchange fails for no reason at most so often
        bool ended = false;
    };
    struct choice {
        unsigned taken, of;
    };
    using signature = signer::signature;
    struct signature_hash {
        std::size_t operator()(const signature& s) const noexcept { return s.a; }
    };

    void begin_run();
    void run_fibers();
    bool backtrack();
    [[noreturn]] void leave();
    void pick();
    void access(std::size_t at, const char* what);
    void append(std::size_t at, std::uint64_t value, view released, std::memory_order order);
    void take_view(std::size_t at, std::size_t index, std::memory_order order);
    void enter_sc(std::memory_order order) noexcept;
    void leave_sc(std::memory_order order) noexcept;
    signature state() const;
    static void enter_fiber();

    std::vector<fiber> threads_;
    std::vector<location> locations_;
    std::vector<const tracked*> tracked_;
    std::vector<std::pair<const unsigned char*, std::size_t>> bytes_;
    std::vector<choice> path_;
    std::unordered_set<signature, signature_hash> known_;
    view common_{}; // of all seq_cst operations
    ucontext_t home_{};
    std::size_t running_ = 0;
    std::size_t depth_ = 0;
    std::size_t replayed_ = 0; // choices at the front of path_ that were taken before
    bool cut_ = false;         // this run reached a known state
    bool tracing_ = false;
    std::string violation_;
    std::vector<std::string> trace_;
};

/// The world of the running scenario.
inline world* here = nullptr;
inline tracked::tracked() { here->track(*this); }

/// Ends the run as a violation unless it holds.
inline void check(bool holds, const char* what) {
    if (!holds) here->fail(what);
}

template <class Scenario>
result explore(std::uint64_t max_runs) {
    result r;
    world w;
    here = &w;
    auto run_once = [&] {
        w.begin_run();
        Scenario s(w);
        w.run_fibers();
        if (w.violation_.empty() && !w.cut_) s.at_end(); // on no fiber: running_ is nobody
    };
    do {
        run_once();
        ++r.runs;
        if (!w.violation_.empty()) { // once more, to tell how it came to it
            w.tracing_ = true;
            w.replayed_ = w.path_.size();
            run_once();
            break;
        }
    } while (r.runs < max_runs && w.backtrack());
    r.violation = w.violation_;
    r.trace = w.trace_;
    r.states = w.known_.size();
    r.complete = r.violation.empty() && w.path_.empty();
    here = nullptr;
    return r;
}

/// std::atomic as the model has it.
template <class T>
class atomic {
public:
    atomic(T initial = T()) : at_(here->new_location(static_cast<std::uint64_t>(initial))) {}
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;
    /// Destroyed by a thread of the scenario: whoever touches it afterwards breaks the protocol.
    ~atomic() { here->retire(at_); }

    T load(std::memory_order order = std::memory_order_seq_cst) const {
        return static_cast<T>(here->load(at_, order));
    }
    void store(T v, std::memory_order order = std::memory_order_seq_cst) {
        here->store(at_, static_cast<std::uint64_t>(v), order);
    }
    T exchange(T v, std::memory_order order = std::memory_order_seq_cst) {
        return static_cast<T>(
            here->modify(at_, [v](std::uint64_t) { return static_cast<std::uint64_t>(v); }, order));
    }
    T fetch_add(T v, std::memory_order order = std::memory_order_seq_cst) {
        return static_cast<T>(
            here->modify(at_, [v](std::uint64_t x) { return x + static_cast<std::uint64_t>(v); }, order));
    }
    T fetch_sub(T v, std::memory_order order = std::memory_order_seq_cst) {
        return static_cast<T>(
            here->modify(at_, [v](std::uint64_t x) { return x - static_cast<std::uint64_t>(v); }, order));
    }
    T fetch_or(T v, std::memory_order order = std::memory_order_seq_cst) {
        return static_cast<T>(
            here->modify(at_, [v](std::uint64_t x) { return x | static_cast<std::uint64_t>(v); }, order));
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success, std::memory_order failure) {
        return compare_exchange(expected, desired, success, failure, true);
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order success,
                                 std::memory_order failure) {
        return compare_exchange(expected, desired, success, failure, false);
    }
    /// For at_end().
    T newest() const { return static_cast<T>(here->newest(at_)); }

private:
    bool compare_exchange(T& expected, T desired, std::memory_order success, std::memory_order failure,
                          bool weak) {
        auto e = static_cast<std::uint64_t>(expected);
        const bool done =
            here->compare_exchange(at_, e, static_cast<std::uint64_t>(desired), success, failure, weak);
        expected = static_cast<T>(e);
        return done;
    }
    std::size_t at_;
};

/// An ordinary variable: reads and writes that are not ordered by happens-before are a violation.
template <class T>
class plain final : tracked {
public:
    plain(T initial = T()) : value_(initial) {}
    T read() {
        see_writer("read");
        readers_[here->running()] = ++here->clock_of(here->seen(), here->running());
        here->learnt(static_cast<std::uint64_t>(value_));
        return value_;
    }
    void write(T v) {
        see_writer("write");
        for (std::size_t t = 0; t < max_threads; ++t)
            if (here->clock_of(here->seen(), t) < readers_[t])
                here->fail("data race: write after an unordered read");
        writer_ = here->running();
        written_ = ++here->clock_of(here->seen(), writer_);
        value_ = v;
    }

private:
    void sign(signer& s) const override {
        s.add(static_cast<std::uint64_t>(value_));
        s.add_clock(writer_, written_);
        for (std::size_t t = 0; t < max_threads; ++t)
            s.add_clock(t, readers_[t]);
    }
    void see_writer(const char* what) {
        if (written_ && here->clock_of(here->seen(), writer_) < written_)
            here->fail(std::string("data race: unordered ") + what);
    }
    T value_;
    std::size_t writer_ = 0;
    std::uint16_t written_ = 0;
    std::array<std::uint16_t, max_threads> readers_{};
};

/// Bookkeeping of the scenario that all threads may use at any time; no point of scheduling, no memory model.
class shared final : tracked {
public:
    shared(std::uint64_t v = 0) : value_(v) {}
    operator std::uint64_t() const { return value_; }
    void operator=(std::uint64_t v) { value_ = v; }
    void operator+=(std::uint64_t v) { value_ += v; }

private:
    void sign(signer& s) const override { s.add(value_); }
    std::uint64_t value_;
};

class TENURE_CAPABILITY("mutex") mutex final : tracked {
public:
    mutex() = default;
    ~mutex() { retired_ = true; }
    void lock() TENURE_ACQUIRE() TENURE_NO_ANALYSIS {
        here->point([this] { return held_ == 0; });
        take();
    }
    void unlock() TENURE_RELEASE()
        TENURE_NO_ANALYSIS { // no point before it: what an unlock does can be seen only by a later lock
        world::join(released_, here->seen());
        held_ = 0;
    }

private:
    friend class condition;
    void sign(signer& s) const override {
        s.add(held_);
        s.add(released_);
    }
    void take() {
        check(!retired_, "a mutex is locked after its end");
        held_ = 1;
        world::join(here->seen(), released_);
        here->note([] { return std::string("locks"); });
    }
    std::uint64_t held_ = 0;
    bool retired_ = false;
    view released_{};
};
class TENURE_SCOPED_CAPABILITY lock {
public:
    explicit lock(mutex& m) TENURE_ACQUIRE(m) : m_(m) { m_.lock(); }
    ~lock() TENURE_RELEASE() { m_.unlock(); }
    lock(const lock&) = delete;
    lock& operator=(const lock&) = delete;

private:
    mutex& m_;
};
class condition final : tracked {
public:
    void wait(mutex& m) TENURE_NO_ANALYSIS {
        here->point(); // whoever notifies without the lock slips in here
        const std::uint64_t me = 1u << here->running();
        waiting_ |= me;
        m.unlock();
        here->point([this, &m, me] { return (woken_ & me) && !m.held_; });
        woken_ &= ~me;
        m.take();
    }
    template <class Time>
    void wait_until(mutex& m, Time) TENURE_NO_ANALYSIS {
        wait(m);
    }
    void notify_all() {
        woken_ |= waiting_;
        waiting_ = 0;
    }

private:
    void sign(signer& s) const override {
        s.add(waiting_);
        s.add(woken_);
    }
    std::uint64_t waiting_ = 0, woken_ = 0;
};

} // namespace model
