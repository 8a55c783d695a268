// The node behind a public context, shared by its handles.
//
// OWNER  the handles together: the last one takes out the deadline's timer, unlinks the node and lets go of the parent's
// handle. A child holds a handle on its parent, so a parent whose handles were dropped still passes a cancellation on.
// When the scope below which the whole tree hangs ends, every node in it is cancelled, taken apart, and its timer removed.
#pragma once
#include <tenure/core/detail/callback_state.hpp>
#include <tenure/core/detail/runtime_pin.hpp>
#include <tenure/core/detail/timer_queue.hpp>

#include <stop_token>
#include <string>

namespace tenure::inline v0::core::detail {

class shared_context;

/// Counts as a handle; null only before it is assigned. Copied, never moved from: a public handle is never empty.
class context_handle {
public:
    context_handle() = default;
    context_handle(const context_handle& o) noexcept;
    context_handle& operator=(const context_handle& o) noexcept {
        context_handle copy(o);
        std::swap(node_, copy.node_);
        return *this;
    }
    ~context_handle();
    shared_context* operator->() const noexcept { return node_; }
    shared_context& operator*() const noexcept { return *node_; }
    explicit operator bool() const noexcept { return node_ != nullptr; }

private:
    friend shared_context;
    explicit context_handle(shared_context* adopted) noexcept : node_(adopted) {}
    shared_context* node_ = nullptr;
};

class shared_context final : public context_node {
public:
    /// Below a scope of the runtime. Throws: closed_error if the scope has ended.
    static context_handle below(context_node& scope, runtime_name home,
                                base::time_point deadline = base::never, std::string why = {});
    /// Below another context.
    static context_handle below(const context_handle& parent, base::time_point deadline, std::string why);

    runtime_name home() const noexcept { return home_; }
    std::stop_token stop_token();
    /// Lists or launches a new callback. Throws: closed_error if the runtime has closed.
    void add(callback_state& c);
    bool unlist(listener& l) noexcept { return unlisten(l); }
    /// cancelled(), having looked at the clock.
    bool asked_to_stop() noexcept;

    void add_handle() noexcept { handles_.fetch_add(1, std::memory_order_relaxed); } // the caller holds one
    static void drop_handle(shared_context* c) noexcept;

private:
    shared_context(runtime_name home, const context_handle& parent, base::time_point deadline,
                   std::string why)
        : home_(home), parent_handle_(parent), alarm_(*this, deadline, std::move(why)) {}
    void arm();
    void disarm() noexcept;
    void orphaned() noexcept override { disarm(); }

    class deadline_alarm final : public timer {
    public:
        deadline_alarm(shared_context& c, base::time_point when, std::string why)
            : of_(c), why_(std::move(why)) {
            at = when; // also if an ancestor's comes first: that one may be moved
        }
        void fire(held_nodes& visited) noexcept override;

    private:
        shared_context& of_; // disarmed before it goes
        std::string why_;
    };
    class token_callback;

    const runtime_name home_;
    context_handle parent_handle_; // null below a scope; confined to the last handle's end
    deadline_alarm alarm_;
    // Writer: drop_handle() (acq_rel): what other handles did is behind the last one.
    std::atomic<std::uint32_t> handles_{1};
    base::mutex token_m_;
    std::optional<std::stop_source> token_ TENURE_GUARDED_BY(token_m_);
    base::ref<callback_state> token_callback_ TENURE_GUARDED_BY(token_m_);
};

inline context_handle::context_handle(const context_handle& o) noexcept : node_(o.node_) {
    if (node_) node_->add_handle();
}
inline context_handle::~context_handle() {
    if (node_) shared_context::drop_handle(node_);
}

} // namespace tenure::inline v0::core::detail
