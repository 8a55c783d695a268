#include <tenure/core/detail/group_state.hpp>
#include <tenure/core/detail/overdue_watch.hpp>
#include <tenure/core/detail/owned_timers.hpp>
#include <tenure/core/this_task.hpp>

#include <utility>

namespace tenure::inline v0::core::detail {
namespace {

/// Below a group that has been cancelled.
class late_tasks {
public:
    late_tasks(group_state& g, const group_options& o)
        : group_(g), options_(o), cancelled_at_(g.sched.now()), wait_(o.overdue_after()) {}

    /// The group cannot end meanwhile. Its timers end with it, so they may refer to it.
    void look_later() const {
        (void)start_timer(group_.own_timers(), wait_, base::duration::zero(), at_end::drop,
                          base::duration::zero(),
                          {group_.sched.next_id(), "report of overdue tasks", group_.opened_at}, *this);
    }
    void operator()() {
        const auto elapsed = group_.sched.now() - cancelled_at_;
        wait_ = base::saturating_add(base::time_point(wait_), wait_).time_since_epoch();
        try {
            look_later();
        } catch (const base::closed_error&) {
            return; // they have ended
        }
        const base::task_id me = this_task::label().id;
        for (auto& e : group_.sched.dump(*group_.context, base::duration::zero()).entries)
            if (e.kind == tree_entry::kind_of::task && e.why && e.task.id != 0 && e.task.id != me)
                options_.on_overdue()({std::move(e.task), elapsed, e.doing, std::move(e.awaits)});
    }

private:
    group_state& group_;
    const group_options& options_; // the group's
    base::time_point cancelled_at_;
    base::duration wait_;
};

struct listed_on {
    base::ref<context_node> node;
    bool unlist(listener& l) const noexcept { return node->unlisten(l); }
};

} // namespace

void overdue_watch::begin(group_state& g, const group_options& o) {
    auto call = [group = base::ref<group_state>::share(&g), &o] {
        if (!group->try_count_up()) return; // it has ended
        try {
            late_tasks(*group, o).look_later();
        } catch (...) {
            group->count_down();
            throw;
        }
        group->count_down();
    };
    using made = callback<listed_on, decltype(call)>;
    auto c = base::ref<callback_state>::adopt(
        new made("report of overdue tasks", g.opened_at, listed_on{g.context}, std::move(call)));
    c->registered(g.sched, g.sched.epoch());
    if (!g.context->listen(*c)) c->launch();
    when_cancelled_ = std::move(c);
}
void overdue_watch::end() noexcept {
    if (const auto c = std::exchange(when_cancelled_, nullptr)) c->stop();
}

} // namespace tenure::inline v0::core::detail
