// Who may run on a `threads` runner: at most as many jobs as it has places, not counting those that wait.
//
// A call takes a place for its job. A job that waits in the middle of it, for a future, lends its place to calls below it: those
// made inside of it, or inside one of those. It goes on when it has the place back.
//
// INVARIANTS, under the lock
//  1. Each place is free, or lent and unused, or one call has it whose job does not lend it.
//  2. A call waits only while no place is free, and none is lent that it may have.
//  So a job that waits for calls below it always has a place for one of them: none is stuck for want of a place.
#pragma once
#include <tenure/base/mutex.hpp>
#include <tenure/core/event.hpp>

#include <list>
#include <memory>
#include <vector>

namespace tenure::inline v0::runner::detail {

class places;

/// One call, and the place that it has. Owner: the call, and all that is spawned inside it.
class call_turn {
public:
    /// `above`: the call inside of which this one is made, perhaps on another runner; or null.
    call_turn(const places& of, const std::shared_ptr<call_turn>& above);
    core::event granted;

private:
    friend places;

    const places& of_;                            // its address says whose lock guards what follows
    std::vector<std::weak_ptr<call_turn>> above_; // constant: the nearest first; none is kept
    // Guarded by the places' lock:
    enum class state : std::uint8_t { waits, has, lends, wants_back, over };
    state state_ = state::waits;
    call_turn* lent_by_ = nullptr; // alive while this call has its place
    bool unused_ = false;          // lent, and nobody has it
    base::condition back_;
    std::list<std::shared_ptr<call_turn>>::iterator position_;
};

class places {
public:
    explicit places(unsigned n) noexcept : free_(n) {}

    /// `granted` is set when the call has a place.
    void enter(const std::shared_ptr<call_turn>& t);
    /// The call has ended, or does not wait any more.
    void leave(call_turn& t) noexcept;
    void lend(call_turn& t) noexcept;
    /// Blocks until the place is back.
    void take_back(call_turn& t) noexcept;

private:
    using queue = std::list<std::shared_ptr<call_turn>>;
    using state = call_turn::state;
    queue& queue_of(const call_turn& t) noexcept TENURE_REQUIRES(m_) {
        return t.above_.empty() ? outer_ : nested_;
    }
    std::shared_ptr<call_turn> give_back(call_turn* lender) noexcept TENURE_REQUIRES(m_);
    std::shared_ptr<call_turn> next_for(call_turn* lender) noexcept TENURE_REQUIRES(m_);
    call_turn* lender_for(const call_turn& t) const noexcept TENURE_REQUIRES(m_);
    static bool may_have(const call_turn& t, const call_turn& lender) noexcept;

    base::mutex m_;
    unsigned free_ TENURE_GUARDED_BY(m_);
    queue nested_ TENURE_GUARDED_BY(m_); // calls that wait for a place: those inside of others first
    queue outer_ TENURE_GUARDED_BY(m_);
};

} // namespace tenure::inline v0::runner::detail
