// What only some tasks need; a plain one has none of it and pays a pointer test.
#pragma once
#include <tenure/base/mutex.hpp>
#include <tenure/base/ref.hpp>
#include <tenure/core/detail/child_count.hpp>
#include <tenure/core/detail/strand.hpp>

#include <cstdint>
#include <exception>

namespace tenure::inline v0::core {

enum class task_status : std::uint8_t;

namespace detail {

class task_object;
class concurrency_limit;

/// Told of one task's end, on the worker that ends it. No lock is held.
class end_observer : public base::ref_counted {
public:
    /// The task's frame and arguments are gone, nobody can see its state yet.
    /// True: a failure has been taken over, and is not the group's.
    virtual bool ending(task_object& t, task_status how) noexcept = 0;
    /// Its state can be seen; the task is still counted.
    virtual void ended(task_object& t) noexcept = 0;
};

/// Owner: the task object; constant after launch, but for the slot.
struct task_extras final : operation {
    base::ref<end_observer> observer;
    child_kind kind = child_kind::ordinary;
    concurrency_limit* limit = nullptr; // its group's, which lives while the task is counted
    bool slot_when_entered = false;     // and not when it is spawned: it has to wait for others first
    bool has_slot = false;              // confined to the strand
    bool always_entered = false;        // also cancelled: its first await registers a cleanup that must run

    /// While it waits for a slot.
    bool try_cancel() noexcept override;

private:
    friend class concurrency_limit;
    strand* waiting_ = nullptr; // guarded by the limit's lock, as the next three
    bool listed_ = false;
    task_extras *next_ = nullptr, *prev_ = nullptr;
};

/// At most n tasks have a slot; the others wait for one in order. No thread and no timer.
class concurrency_limit {
public:
    explicit concurrency_limit(std::size_t n) noexcept : free_(n) {}
    /// True: it has a slot. False: it is listed, and complete() of `s` will come with the slot.
    bool take(task_extras& t, strand& s) noexcept;
    /// True: it was waiting and is not listed any more. False: it has been given a slot.
    bool withdraw(task_extras& t) noexcept;
    /// Hands the slot to who has waited longest.
    void give_back() noexcept;

private:
    void unlist(task_extras& t) noexcept TENURE_REQUIRES(m_);

    base::mutex m_;
    std::size_t free_ TENURE_GUARDED_BY(m_);
    task_extras* first_ TENURE_GUARDED_BY(m_) = nullptr;
    task_extras* last_ TENURE_GUARDED_BY(m_) = nullptr;
};

} // namespace detail
} // namespace tenure::inline v0::core
