// Tells of the tasks below a cancelled group that do not end.
//
// Until the group is cancelled this is one callback on its context. Then a timer of the group looks at the tree below it, and
// arms itself again with twice the time. The group's end takes both along: so it costs nothing unless somebody is late, and
// it keeps neither a group nor a clock of a test going.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/base/ref.hpp>
#include <tenure/core/detail/callback_state.hpp>

namespace tenure::inline v0::core {
class group_options;

namespace detail {

class group_state;

class overdue_watch {
public:
    /// Of a group that has no child yet. May throw std::bad_alloc.
    void begin(group_state& g, const group_options& o);
    /// The group has ended.
    void end() noexcept;

private:
    base::ref<callback_state> when_cancelled_;
};

} // namespace detail
} // namespace tenure::inline v0::core
