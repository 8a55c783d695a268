#include <tenure/core/detail/callback_state.hpp>
#include <tenure/core/detail/frame.hpp>
#include <tenure/core/detail/scheduler.hpp>

namespace tenure::inline v0::core::detail {

callback_state* listener_list::take_callbacks() noexcept {
    callback_state* chain = nullptr;
    for (listener* l = first_; l;) { // the last one added comes first
        listener* following = l->next_;
        if (!l->relay_to_) {
            remove(*l);
            auto* c = static_cast<callback_state*>(l);
            c->chained = chain;
            chain = c;
        }
        l = following;
    }
    return chain;
}

void callback_state::registered(scheduler& home, std::uint32_t epoch) noexcept {
    sched = &home;
    epoch_ = epoch;
    id_ = home.next_id();
    context = &own_;
    home.callback_added();
    add_ref(); // the source's or the queue's
    add_ref(); // the context node's
}

void callback_state::launch() noexcept {
    sched->count_root_up();
    launch_counted();
}
void callback_state::launch_counted() noexcept {
    own_.link(sched->root()); // a callback that does not return is named by close()
    sched->push(*this);
}

callback_state* callback_state::take(listener_list& from) noexcept {
    callback_state* const chain = from.take_callbacks();
    if (chain) chain->sched->count_root_up();
    return chain;
}

bool callback_state::stop() noexcept {
    if (!call_.stop()) return false;
    drop_callable();
    {
        const runtime_pin pin({sched, epoch_}); // so that close() does not count it as left
        if (!unlist()) return true;             // fired: the worker that finds it stopped lets go of it
        if (pin) pin->callback_removed();
    }
    own_.release();
    release();
    return true;
}

bool callback_state::start_root() noexcept {
    scheduler& home = *sched;
    if (call_.begin(std::this_thread::get_id())) {
        try {
            call();
        } catch (...) {
            // `cancelled`, thrown by checkpoint() because the runtime closes, is no failure.
            if (!(own_.cancelled() && is_cancelled_exception())) {
                try {
                    (*home.hook())({label(), std::current_exception()});
                } catch (...) {
                    // A hook that throws has nobody above it to tell.
                }
            }
        }
        drop_callable();
        call_.end();
    }
    own_.unlink();
    if (chained) chained->launch();
    home.callback_removed();
    own_.release();
    release();
    home.count_root_down();
    return false;
}

} // namespace tenure::inline v0::core::detail
