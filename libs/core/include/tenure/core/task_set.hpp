// task_set<T>: children of a group whose results are wanted, as they come or in the order of their spawning.
#pragma once
#include <tenure/core/group.hpp>

#include <optional>
#include <vector>

namespace tenure::inline v0::core {
namespace detail {

/// Counts the children that run, and keeps those that have ended until somebody takes them.
///
/// INVARIANTS
///  1. A child counts as running until it has ended; from then on it is handed to a waiter for one, or kept.
///  2. A waiter for one is listed only while nothing is kept and a child runs; a waiter for all, while a child runs.
///  3. A listed waiter is completed once, by whoever unlists it; withdraw() unlists without completing.
class task_set_state final : public base::ref_counted {
public:
    /// A child of the set, and its place in it. Lets go of the set when the child ends: nothing refers in a circle.
    class member final : public end_observer {
    public:
        member(base::ref<task_set_state> s, std::uint64_t n) noexcept : set_(std::move(s)), number_(n) {}
        bool ending(task_object&, task_status) noexcept override { return false; }
        void ended(task_object& t) noexcept override;

    private:
        friend class task_set_state;
        base::ref<task_set_state> set_;
        const std::uint64_t number_;  // how many were spawned before it
        base::ref<task_object> task_; // once it has ended
        member* next_ = nullptr;      // guarded by the set's lock; it ended after this one
    };
    struct waiter {
        bool for_all = false;
        strand* waiting = nullptr;
        base::ref<task_object> got{};            // for one: null if no child is left
        waiter *next = nullptr, *prev = nullptr; // guarded by the set's lock while it is listed
        bool listed = false;
    };

    ~task_set_state() override;
    base::ref<member> expect();
    /// It was not launched after all.
    void forget() noexcept;

    /// True: there is one to be got, or none is left; for all: none runs. False: listed, complete() will come.
    bool wait(waiter& w) noexcept;
    /// True: it was listed, and is not any more.
    bool withdraw(waiter& w) noexcept;
    /// How many have not been taken.
    std::size_t size() noexcept;
    /// All that are kept, out of the set, in the order of spawning.
    /// Throws: unless each has a value: the failure that came first, or task_cancelled; then they stay.
    std::vector<base::ref<task_object>> take_all();

private:
    void has_ended(member& m) noexcept;
    void unlist(waiter& w) noexcept TENURE_REQUIRES(m_);
    waiter* unlist_all() noexcept TENURE_REQUIRES(m_);
    static void complete_all(waiter* chain) noexcept;
    static void release_all(member* chain) noexcept;

    base::mutex m_;
    std::uint64_t spawned_ TENURE_GUARDED_BY(m_) = 0;
    std::size_t running_ TENURE_GUARDED_BY(m_) = 0;
    std::size_t kept_ TENURE_GUARDED_BY(m_) = 0;
    member* first_ TENURE_GUARDED_BY(m_) = nullptr; // of those that are kept, one reference each
    member* last_ TENURE_GUARDED_BY(m_) = nullptr;
    waiter* waiters_ TENURE_GUARDED_BY(m_) = nullptr; // who has waited longest comes first
    waiter* last_waiter_ TENURE_GUARDED_BY(m_) = nullptr;
};

class task_set_wait : public operation {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    task_set_wait(base::ref<task_set_state> s, bool for_all) noexcept
        : set_(std::move(s)), waiter_{.for_all = for_all} {}
    bool ready() noexcept { return false; } // start() asks: it knows the strand to be woken
    void start(strand& s, frame&) {
        waiter_.waiting = &s;
        s.wait(this);
        if (set_->wait(waiter_)) s.next = step::resume;
    }
    bool try_cancel() noexcept final { return set_->withdraw(waiter_); }

protected:
    ~task_set_wait() = default;
    base::ref<task_set_state> set_;
    task_set_state::waiter waiter_;
};

template <class T>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] next_of_set final
    : public task_set_wait {
public:
    explicit next_of_set(base::ref<task_set_state> s) noexcept : task_set_wait(std::move(s), false) {}
    std::optional<future<T>> result() {
        if (!waiter_.got) return std::nullopt;
        return future<T>(
            base::ref<task_result<T>>::adopt(static_cast<task_result<T>*>(waiter_.got.detach())));
    }
};

template <class T>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] results_of_set final
    : public task_set_wait {
public:
    explicit results_of_set(base::ref<task_set_state> s) noexcept : task_set_wait(std::move(s), true) {}
    std::conditional_t<std::is_void_v<T>, void, std::vector<T>> result() {
        const auto all = set_->take_all();
        if constexpr (!std::is_void_v<T>) {
            std::vector<T> values;
            values.reserve(all.size());
            for (const auto& t : all)
                values.push_back(static_cast<task_result<T>&>(*t).take());
            return values;
        }
    }
};

} // namespace detail

/// Children of a group that give a T each, until their results are taken. Copies refer to the same set.
/// Whoever wants no results spawns in the group itself: there a child whose future is dropped is freed when it ends.
/// Owner: the group owns the children; dropping the set loses and cancels nothing. A failure is the group's, as always.
/// Threads: any.
template <class T = void>
class task_set {
public:
    explicit task_set(group g) : group_(std::move(g)), state_(base::ref<state>::adopt(new state)) {}

    /// spawn(f, args...): as group::spawn. f gives a T.
    TENURE_SPAWN_OVERLOADS(spawn, do_spawn)

    /// `while (auto ended = co_await set.next()) use(co_await std::move(*ended));`: the child that ended first among those
    /// that nobody has taken, whether it has a value or failed; empty when none is left.
    /// Cancel: nothing is lost; the child stays in the set. Threads: several may wait; each child goes to one of them.
    auto next() const { return detail::next_of_set<T>(state_); }
    /// `std::vector<T> all = co_await set.results()`: waits for all and moves their values out, in the order of spawning,
    /// without those that next() has given away.
    /// Cancel: nothing is lost. Throws: the failure that came first, or task_cancelled if a child was cancelled; then they
    ///   all stay in the set.
    auto results() const { return detail::results_of_set<T>(state_); }
    /// How many children have not been taken.
    std::size_t size() const noexcept { return state_->size(); }

private:
    using state = detail::task_set_state;
    template <class F, class... A>
    void do_spawn(spawn_options&& o, F&& f, A&&... a) {
        static_assert(std::is_same_v<detail::spawned_value_t<F, A...>, T>,
                      "task_set<T>::spawn(f, args...): f(args...) must give exactly a T");
        auto extras = std::make_unique<detail::task_extras>();
        extras->observer = state_->expect();
        try {
            (void)detail::launch_in_group(group_.state(), std::move(extras), std::move(o), std::forward<F>(f),
                                          std::forward<A>(a)...);
        } catch (...) {
            state_->forget();
            throw;
        }
    }
    group group_;
    base::ref<state> state_;
};

} // namespace tenure::inline v0::core
