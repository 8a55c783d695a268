// The object behind a spawned task: its context, its strand, its result, and who waits for it.
//
// References: one held by the strand until finish(), one by each future, and those of walks over the tree of contexts.
// Its group is not referenced: it lives as long as the task is counted in it.
// ORDER OF THE END: frame is gone -> timers have ended -> arguments are gone -> context unlinked, nobody can poke us -> group told of a
// failure -> end published, waiters completed -> references dropped -> group counted down. After that nothing is touched:
// the group's frame may go on, and with it everything that the task could borrow.
#pragma once
#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/detail/task_end.hpp>
#include <tenure/core/detail/task_extras.hpp>
#include <tenure/core/task.hpp>

#include <memory>
#include <optional>
#include <string>
#include <tuple>

namespace tenure::inline v0::core {

const char* to_string(task_status s) noexcept;

/// Name and spawn site of a task: g.spawn({.name = "fetch"}, f, args...).
struct spawn_options {
    std::string name{};
    base::spawn_site site = base::spawn_site::current();
};

namespace detail {

class group_state;

/// Its size is what a flood of tasks moves through memory: 320 bytes, five lines, if f and the result are small. So what
/// few tasks have is behind a pointer, and small fields fill the gaps that a base leaves.
class task_object : public context_node, public link, public strand {
public:
    task_object(scheduler& to, group_state* group, spawn_options&& options);

    /// Before launch().
    void add_extras(std::unique_ptr<task_extras> x) noexcept { extras_ = std::move(x); }
    /// Puts it under `parent` and queues it, or ends it at once if it is born cancelled. Call once.
    void launch(context_node& parent) noexcept;
    /// Instead of launch(), when nobody else has a reference: it goes away without having been a task.
    void discard() noexcept { release(2); } // the creator's, and the strand's

    context_node& own_context() noexcept { return *this; }
    using strand::cancelled; // what runs now: its innermost scope
    task_status status() const noexcept { return end_.status(); }
    base::task_label label() const final { return {id_, name_ ? *name_ : std::string(), site_}; }

    /// Foreign threads: returns when the task has ended, or at `until` (false).
    bool wait_until(base::time_point until);
    /// True: listed, complete() will come. False: it has ended.
    bool add_waiter(end_waiter& w) noexcept { return end_.add(w); }
    /// False: it has ended, and complete() has come or is coming.
    bool remove_waiter(end_waiter& w) noexcept { return end_.remove(w); }
    /// Lists a new callback, or launches it if the task has ended. Throws: closed_error if the runtime has closed by then.
    void add(callback_state& c);
    bool unlist(listener& l) noexcept { return end_.unlisten(l); }

    /// What get() throws for a task that did not end with a value; marks the outcome as read.
    void throw_unless_done();
    [[noreturn]] void throw_taken() const;
    [[noreturn]] void throw_held() const;
    [[noreturn]] void throw_awaits_itself() const;
    void mark_read() noexcept { read_.store(true, std::memory_order_relaxed); } // only a report depends on it
    virtual std::exception_ptr failure() noexcept = 0;

    bool is_child() const noexcept final { return group_ != nullptr; }
    bool start_root() noexcept final;
    bool child_ended(strand&, ending how) noexcept final;
    void woken(strand&) noexcept final;
    owned_timers* own_timers() final;

protected:
    enum class entry : std::uint8_t { entered, done, failed, cancelled, waiting }; // waiting: asked again
    /// Makes the coroutine and enters it, or runs a plain function to its end.
    virtual entry enter() noexcept = 0;
    virtual void drop_arguments() noexcept = 0;

    /// True: its group has a slot for it. False: the strand waits for one.
    bool take_slot() noexcept;

private:
    /// The body has ended. True: the strand waits for what the task still owns.
    bool end(task_status how) noexcept;
    void finish(task_status how) noexcept;
    void tell(task_status how) noexcept;
    void dispose() noexcept override {
        if (report_to_) report_if_unread();
        delete this;
    }
    void report_if_unread() noexcept;

    task_status how_ = task_status::pending; // how the body ended, once it has; confined to the strand
    std::atomic<bool> read_{false};
    const std::uint32_t epoch_;           // of the runtime, which may be gone when the task has ended
    group_state* const group_;            // null: the runtime's; it has counted us until finish() counts down
    std::unique_ptr<task_extras> extras_; // null: a plain task. Confined to the strand, as the next one
    owned_timers* timers_ = nullptr;      // null: it has armed none
    base::task_id id_;
    const std::unique_ptr<const std::string> name_; // null: it has none
    base::spawn_site site_;
    // Set when it fails without a group: who hears of it if nobody read it. The runtime may be gone by then.
    base::ref<shared_hook> report_to_;
    [[no_unique_address]] task_end end_; // publishes the result
};

template <class T>
class task_result : public task_object {
public:
    using task_object::task_object;
    std::exception_ptr failure() noexcept final { return result_.error; }
    // After the task has ended with a value.
    auto& lend()
        requires(!std::is_void_v<T>)
    {
        if (claims_.load(std::memory_order_acquire) & taken) this->throw_taken();
        return *result_.value;
    }
    T take()
        requires(!std::is_void_v<T>)
    {
        std::uint32_t claims = 0;
        if (!claims_.compare_exchange_strong(claims, taken, std::memory_order_acq_rel))
            claims& taken ? this->throw_taken() : this->throw_held();
        T out = std::move(*result_.value);
        result_.value.reset();
        return out;
    }
    /// A child that has been given the value, or will be: nobody takes it meanwhile.
    void hold() noexcept {
        claims_.fetch_add(1, std::memory_order_relaxed);
    } // lend() comes later and acquires
    void let_go() noexcept {
        claims_.fetch_sub(1, std::memory_order_release);
    } // what it read is before a take()

private:
    static constexpr std::uint32_t taken = 1u << 31;
    // How many children hold it, and whether it was taken. Writers: take() (acq_rel), so that one of two takers on
    // different threads gets the value; hold(), let_go(). Readers: lend(), take() (acquire).
    std::atomic<std::uint32_t> claims_{0};

protected:
    result<T> result_;
};

} // namespace detail
} // namespace tenure::inline v0::core
