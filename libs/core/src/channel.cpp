#include <tenure/core/channel.hpp>

#include <string>
#include <thread>

namespace tenure::inline v0::core::detail {

void channel_base::wake_one(side who) noexcept {
    wait_node* taken = nullptr;
    {
        base::mutex_lock l(m_);
        taken = list_of(who).take_first(chosen::notified);
    }
    if (taken) taken->who->wake();
}
void channel_base::wake_all() noexcept {
    for (const side who : {side::send, side::receive}) {
        for (;;) {
            wait_node* taken = nullptr;
            {
                base::mutex_lock l(m_);
                taken = list_of(who).take_first(chosen::notified);
            }
            if (!taken) break;
            taken->who->wake();
        }
    }
}

void throw_channel_closed() {
    throw base::closed_error("send: the channel is closed; nothing more can be sent through it");
}
void throw_item_spent() {
    throw base::usage_error(
        "send: the operation was awaited before, and its item has gone: call send() for each item");
}
void throw_bad_capacity(std::size_t capacity, std::size_t most) {
    throw base::usage_error("channel: a capacity of " + std::to_string(capacity) + " is more than " +
                            std::to_string(most) + "; a bound that is never reached is none");
}
void let_others_finish(unsigned looks) noexcept {
    constexpr unsigned before_it_yields = 64;
    if (looks < before_it_yields)
        base::detail::futex::pause();
    else
        std::this_thread::yield();
}

} // namespace tenure::inline v0::core::detail
