// Tasks that a group owns: counted in the group, then launched under its context.
#pragma once
#include <tenure/core/detail/group_state.hpp>
#include <tenure/core/detail/spawn_overloads.hpp>

namespace tenure::inline v0::core::detail {

/// The limit is the group's, if it has one. Null: nothing beyond that is asked for.
inline std::unique_ptr<task_extras> with_limit_of(group_state& g, std::unique_ptr<task_extras> extras = {}) {
    if (concurrency_limit* const limit = g.limit()) {
        if (!extras) extras = std::make_unique<task_extras>();
        extras->limit = limit;
    }
    return extras;
}

/// The caller has counted it in the group.
template <class F, class... A>
auto launch_counted(group_state& g, std::unique_ptr<task_extras> extras, spawn_options&& o, F&& f, A&&... a) {
    return launch({g.sched, *g.context, &g, std::move(extras)}, std::move(o), std::forward<F>(f),
                  std::forward<A>(a)...);
}
/// Throws: closed_error if the group has ended.
template <class F, class... A>
auto launch_in_group(group_state& g, std::unique_ptr<task_extras> extras, spawn_options&& o, F&& f,
                     A&&... a) {
    auto with_limit = with_limit_of(g, std::move(extras)); // before the count: it may throw
    if (!g.try_count_up()) g.throw_ended(o.site, o.name);
    return launch_counted(g, std::move(with_limit), std::move(o), std::forward<F>(f), std::forward<A>(a)...);
}

} // namespace tenure::inline v0::core::detail
