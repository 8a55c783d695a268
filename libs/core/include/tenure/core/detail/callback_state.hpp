// A registered callback: on a context (after_func) or on a task's end (on_done). It never runs on the stack of whoever
// cancels or ends its source, but as a strand of its own, on a worker.
//
// OWNER  listed: its source -> taken: whoever ends or cancels the source -> queued: the run queue, one callback of a source
// after the other, in the order of registration.
// A chain that was taken counts as a task of the runtime, which does not close before it has ended. It is counted under the
// lock of the list: close() finds a callback listed, and takes it, or counted (tests/model/close_model_test.cpp).
// References: one of the handle, one of the source or the queue, one of its context node (which is embedded).
#pragma once
#include <tenure/core/detail/call_once.hpp>
#include <tenure/core/detail/runtime_pin.hpp>
#include <tenure/core/detail/strand.hpp>

#include <functional>
#include <optional>

namespace tenure::inline v0::core::detail {

class callback_state : public base::ref_counted, public strand, public listener {
public:
    callback_state(const char* kind, base::spawn_site site) : own_(*this), kind_(kind), site_(site) {}

    /// It is about to be listed or launched; the runtime cannot go meanwhile. Call once.
    void registered(scheduler& home, std::uint32_t epoch) noexcept;
    /// Queues the first of a chain; each queues its `chained`. The caller counts as a task of the runtime meanwhile.
    void launch() noexcept;
    /// Takes the callbacks out of a list, under its lock; the chain counts as a task of the runtime from here on.
    static callback_state* take(listener_list& from) noexcept;
    /// Queues the first of a chain that take() returned. Hold no node's lock.
    void launch_counted() noexcept;

    /// True iff the call was prevented. Does not wait. The callable is gone then.
    bool stop() noexcept;
    /// Returns when the call is not running on another thread.
    void wait() noexcept { call_.wait(std::this_thread::get_id()); }

    bool start_root() noexcept final;
    base::task_label label() const final { return {id_, kind_, site_}; }

    callback_state* chained = nullptr; // owned by whoever took the chain from its source

private:
    virtual void call() = 0;
    virtual void drop_callable() noexcept = 0;
    /// True: the source had it listed, and has let go of it.
    virtual bool unlist() noexcept = 0;

    class own_context_node final : public context_node {
    public:
        explicit own_context_node(callback_state& c) noexcept
            : context_node(&c, node_kind::task), callback_(c) {}

    private:
        void dispose() noexcept override { callback_.release(); }
        callback_state& callback_;
    };
    own_context_node own_;
    call_once call_;
    const char* const kind_;
    const base::spawn_site site_;
    base::task_id id_ = 0; // constant after registered(), as the epoch
    std::uint32_t epoch_ = 0;
};

/// `Source` knows where it is listed: bool unlist(listener&). It is kept until the handle and the call have gone.
template <class Source, class F>
class callback final : public callback_state {
public:
    template <class S, class G>
    callback(const char* kind, base::spawn_site site, S&& source, G&& f)
        : callback_state(kind, site), source_(std::forward<S>(source)), f_(std::forward<G>(f)) {}

private:
    void call() override { (*f_)(); }
    void drop_callable() noexcept override { f_.reset(); }
    bool unlist() noexcept override { return source_.unlist(*this); }
    Source source_;
    std::optional<F> f_; // owned by whoever won in call_once
};

/// Calls f(args...), or f() if it does not take them.
template <class F, class... A>
void call_with_or_without(F& f, A&&... a) {
    static_assert(std::is_invocable_v<F&, A...> || std::is_invocable_v<F&>,
                  "a callback is called with what it is bound to, or without arguments");
    if constexpr (std::is_invocable_v<F&, A...>)
        std::invoke(f, std::forward<A>(a)...);
    else
        std::invoke(f);
}

/// Skips the call once the owner has died; keeps it alive during the call only.
template <class O, class F>
struct weakly_bound {
    std::weak_ptr<O> owner;
    F f;
    template <class... A>
    void operator()(A&&... a) {
        if (const auto alive = owner.lock()) {
            if constexpr (std::is_invocable_v<F&, O&, A...>)
                std::invoke(f, *alive, std::forward<A>(a)...);
            else
                call_with_or_without(f, *alive);
        }
    }
};

} // namespace tenure::inline v0::core::detail
