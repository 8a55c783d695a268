#include <tenure/core/detail/chooser.hpp>

#include <algorithm>
#include <functional>

namespace tenure::inline v0::core::detail {
namespace {

/// Holds the locks of all arms that have one, each once, taken in the order of their addresses.
class all_locks {
public:
    explicit all_locks(std::span<choice_arm* const> arms) noexcept TENURE_NO_ANALYSIS : arms_(arms) {
        for (base::mutex* m = after(nullptr); m; m = after(m))
            m->lock();
    }
    all_locks(const all_locks&) = delete;
    all_locks& operator=(const all_locks&) = delete;
    ~all_locks() TENURE_NO_ANALYSIS {
        for (base::mutex* m = after(nullptr); m; m = after(m))
            m->unlock();
    }

private:
    // The arms are few: looked through again for each, in place of a sorted copy.
    base::mutex* after(const base::mutex* last) const noexcept {
        base::mutex* following = nullptr;
        for (choice_arm* a : arms_) {
            base::mutex* const m = a->lock();
            if (m && std::less<>()(last, m) && (!following || std::less<>()(m, following))) following = m;
        }
        return following;
    }
    std::span<choice_arm* const> arms_;
};

} // namespace

std::size_t chooser::try_and_list(std::span<choice_arm* const> arms) noexcept {
    for (;;) {
        std::size_t taken = none;
        {
            const all_locks held(arms);
            for (std::size_t i = 0; i < arms.size() && taken == none; ++i)
                if (arms[i]->try_take()) taken = i;
            for (std::size_t i = 0; i < arms.size() && taken == none; ++i)
                arms[i]->list(*this);
        }
        if (taken != none) {
            arms[taken]->settle();
            return taken;
        }
        if (std::none_of(arms.begin(), arms.end(), [](choice_arm* a) { return a->may_be_ready(); }) ||
            !word.take(chosen::left)) // whoever took it wakes us
            return none;
        unlist(arms);
        word.wait_again();
    }
}
std::size_t chooser::woken(std::span<choice_arm* const> arms) noexcept {
    if (const std::size_t given = unlist(arms); given != none) return given;
    word.wait_again();
    const std::size_t i = try_and_list(arms);
    if (i != none) pass_on(arms);
    return i;
}
std::size_t chooser::leave(std::span<choice_arm* const> arms) noexcept {
    const std::size_t given = unlist(arms);
    if (given == none) pass_on(arms);
    return given;
}
bool chooser::withdraw(std::span<choice_arm* const> arms) noexcept {
    if (!word.take(chosen::left)) return false;
    unlist(arms);
    return true;
}
// The number of the arm that was given, if one was.
std::size_t chooser::unlist(std::span<choice_arm* const> arms) noexcept {
    std::size_t given = none;
    for (std::size_t i = 0; i < arms.size(); ++i) {
        arms[i]->unlist();
        if (arms[i]->was_given()) given = i;
    }
    return given;
}
void chooser::pass_on(std::span<choice_arm* const> arms) noexcept {
    for (choice_arm* a : arms)
        a->pass_on();
}

void choice_operation::woken(strand& s) noexcept {
    std::size_t i = chooser::none;
    if (s.cancelled()) { // whoever woke us was faster than try_cancel(); what is there to take stays there
        i = chooser_.leave(arms());
        if (i == chooser::none) s.next = step::unwind;
    } else {
        s.wait(this, this);
        i = chooser_.woken(arms());
    }
    if (i != chooser::none) take(s, i);
}

std::size_t choose_blocking(std::span<choice_arm* const> arms, const std::function<void()>& listed) {
    const blocking_wait waiting(nullptr);
    chooser c;
    for (bool first = true;; first = false) {
        wake_up woken;
        c.wakes(woken);
        const std::size_t i = first ? c.begin(arms) : c.woken(arms);
        if (i != chooser::none) return i;
        if (first && listed) listed();
        woken.wait(base::never);
    }
}

} // namespace tenure::inline v0::core::detail
