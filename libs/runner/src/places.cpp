#include <tenure/runner/detail/places.hpp>

#include <algorithm>

namespace tenure::inline v0::runner::detail {

call_turn::call_turn(const places& of, const std::shared_ptr<call_turn>& above) : of_(of) {
    if (!above) return;
    above_.reserve(above->above_.size() + 1);
    above_.push_back(above);
    for (const auto& each : above->above_)
        if (!each.expired()) above_.push_back(each);
}

bool places::may_have(const call_turn& t, const call_turn& lender) noexcept {
    return std::any_of(t.above_.begin(), t.above_.end(),
                       [&](const auto& each) { return each.lock().get() == &lender; });
}
// It cannot go away: its job waits, and needs our lock to go on.
call_turn* places::lender_for(const call_turn& t) const noexcept {
    for (const auto& each : t.above_)
        if (const auto one = each.lock(); one && &one->of_ == this && one->unused_) return one.get();
    return nullptr;
}
// Who gets a place that nobody uses; null: nobody.
std::shared_ptr<call_turn> places::next_for(call_turn* lender) noexcept {
    queue& from = nested_.empty() && !lender ? outer_ : nested_;
    const auto found =
        lender ? std::find_if(from.begin(), from.end(), [&](const auto& t) { return may_have(*t, *lender); })
               : from.begin();
    if (found == from.end()) return nullptr;
    std::shared_ptr<call_turn> t = std::move(*found);
    from.erase(found);
    t->state_ = state::has;
    t->lent_by_ = lender;
    return t;
}
std::shared_ptr<call_turn> places::give_back(call_turn* lender) noexcept {
    if (lender && lender->state_ == state::wants_back) {
        lender->state_ = state::has;
        lender->back_.notify_one();
        return nullptr;
    }
    auto next = next_for(lender);
    if (next) return next;
    if (lender)
        lender->unused_ = true;
    else
        ++free_;
    return nullptr;
}

void places::enter(const std::shared_ptr<call_turn>& t) {
    {
        base::mutex_lock l(m_);
        call_turn* lender = nullptr;
        if (free_ > 0) {
            --free_;
        } else if (lender = lender_for(*t); lender) {
            lender->unused_ = false;
        } else {
            queue& q = queue_of(*t);
            t->position_ = q.insert(q.end(), t);
            return;
        }
        t->state_ = state::has;
        t->lent_by_ = lender;
    }
    t->granted.set();
}
void places::leave(call_turn& t) noexcept {
    std::shared_ptr<call_turn> next;
    {
        base::mutex_lock l(m_);
        if (t.state_ == state::waits)
            queue_of(t).erase(t.position_);
        else
            next = give_back(t.lent_by_);
        t.state_ = state::over;
    }
    if (next) next->granted.set();
}
void places::lend(call_turn& t) noexcept {
    std::shared_ptr<call_turn> next;
    {
        base::mutex_lock l(m_);
        t.state_ = state::lends;
        next = next_for(&t);
        t.unused_ = !next;
    }
    if (next) next->granted.set();
}
void places::take_back(call_turn& t) noexcept {
    base::mutex_lock l(m_);
    if (t.unused_) {
        t.unused_ = false;
        t.state_ = state::has;
        return;
    }
    t.state_ = state::wants_back;
    while (t.state_ == state::wants_back)
        t.back_.wait(m_);
}

} // namespace tenure::inline v0::runner::detail
