// How many children of a group have not ended, and who waits for the last one.
//
// Background children are counted apart: when only they are left and the body has ended, the joiner is woken to cancel them,
// once, and then waits for every child.
#pragma once
#include <tenure/base/mutex.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace tenure::inline v0::core::detail {

class strand;

enum class child_kind : std::uint8_t { ordinary, background };

enum class join_result : std::uint8_t {
    ended, // no child is left, and the group has ended
    wait,  // down() will return the joiner
    drain  // only background children are left: cancel them, then join again
};

/// `Mutex`, `Lock` and `Strand` are parameters so that the model checker in tests/model runs this very code.
/// INVARIANTS
///  1. The group ends once. A listed joiner is returned by exactly one down(), which takes it off.
///  2. Once it has ended no child is counted any more; while a child lives, more may be.
///  3. A joiner that has to cancel the background children is told so before it waits for them.
template <class Mutex, class Lock, class Strand>
class basic_child_count {
public:
    /// False: the group has ended; nothing was counted.
    bool try_up(child_kind kind = child_kind::ordinary) noexcept {
        Lock l(m_);
        if (ended_) return false;
        ++children_;
        if (kind == child_kind::background) ++background_;
        return true;
    }
    /// The joiner, if this was the last child it waits for: the caller completes it, and it joins again.
    Strand* down(child_kind kind = child_kind::ordinary) noexcept {
        Lock l(m_);
        --children_;
        if (kind == child_kind::background) --background_;
        if (!joiner_) return nullptr;
        if (children_ == 0)
            ended_ = true;
        else if (drained_ || children_ != background_)
            return nullptr;
        return std::exchange(joiner_, nullptr);
    }
    join_result join(Strand& s) noexcept {
        Lock l(m_);
        if (children_ == 0) {
            ended_ = true;
            return join_result::ended;
        }
        if (!drained_ && children_ == background_) {
            drained_ = true;
            return join_result::drain;
        }
        joiner_ = &s;
        return join_result::wait;
    }

private:
    Mutex m_;
    std::size_t children_ TENURE_GUARDED_BY(m_) = 0;
    std::size_t background_ TENURE_GUARDED_BY(m_) = 0; // of these
    bool ended_ TENURE_GUARDED_BY(m_) = false;
    bool drained_ TENURE_GUARDED_BY(m_) = false; // the joiner was told to cancel the background children
    Strand* joiner_ TENURE_GUARDED_BY(m_) = nullptr;
};

using child_count = basic_child_count<base::mutex, base::mutex_lock, strand>;

} // namespace tenure::inline v0::core::detail
