// Scopes that bring a context to a coroutine: with_value, with_context, with_stop_token, without_cancel.
#pragma once
#include <tenure/core/context.hpp>
#include <tenure/core/group.hpp>

#include <stop_token>
#include <tuple>

namespace tenure::inline v0::core {
namespace detail {

template <class T, class F, class... A>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] value_scope final : public link {
public:
    using value = task_value_t<F&, A&...>;
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    template <class V, class... X>
    value_scope(const context_key<T>& key, V&& v, X&&... x)
        : key_(&key), value_(std::forward<V>(v)), call_(std::forward<X>(x)...) {}

    bool ready() const noexcept { return false; }
    void start(strand& s, frame& f) {
        caller_ = &f;
        result_ = {};
        auto bound = base::ref<binding>::adopt(new bound_value<T>(key_, key_->carrier(), s.values, value_));
        outer_ = std::exchange(s.values, std::move(bound));
        enter_body(s, *this, result_,
                   [&] { return std::apply([](F& g, A&... a) { return std::invoke(g, a...); }, call_); });
    }
    bool child_ended(strand& s, ending how) noexcept override {
        s.values = std::move(outer_);
        s.leaf = caller_;
        s.next = how == ending::returned ? step::resume : step::unwind;
        return true;
    }
    value result() { return result_.take(); }

private:
    const context_key<T>* key_;
    T value_;
    std::tuple<F, A...> call_;
    frame* caller_ = nullptr;
    base::ref<binding> outer_;
    detail::result<value> result_;
};

/// Where a scope's cancellation comes from, besides its task. leave() returns when the source will not touch the node.
class token_source {
public:
    explicit token_source(std::stop_token t) noexcept : token_(std::move(t)) {}
    token_source(token_source&& o) noexcept : token_(std::move(o.token_)) {} // before enter()
    base::time_point deadline() const noexcept { return base::never; }
    bool cancelled() const noexcept { return token_.stop_requested(); }
    base::cause_ptr why() const { return nullptr; }
    void enter(strand&, base::ref<context_node> node) { callback_.emplace(token_, on_stop{std::move(node)}); }
    void leave(strand&) noexcept { callback_.reset(); }

private:
    struct on_stop {
        base::ref<context_node> node;
        // On the requester's stack, in the token's own callback: runs no code of tasks and takes no lock that they hold.
        void operator()() const noexcept {
            node->cancel(make_cause(base::reason::cancelled, "the stop token was requested"));
        }
    };
    std::stop_token token_;
    std::optional<std::stop_callback<on_stop>> callback_;
};
class context_source {
public:
    explicit context_source(const context& c) noexcept : context_(c) {}
    base::time_point deadline() const noexcept { return context_.deadline(); }
    bool cancelled() const noexcept { return context_.cancel_requested(); }
    base::cause_ptr why() const { return context_.cause(); }
    void enter(strand& s, base::ref<context_node> node) {
        node_ = std::move(node);
        relay_ = listener(node_.get());
        if (!context_.node().listen(relay_)) node_->cancel(context_.cause());
        outer_ = std::exchange(s.values, context_.values());
    }
    void leave(strand& s) noexcept {
        context_.node().unlisten(relay_);
        s.values = std::move(outer_);
    }

private:
    context context_;
    base::ref<context_node> node_;
    listener relay_;
    base::ref<binding> outer_;
};

template <class Source, class F, class... A>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] joined_scope final : public link {
public:
    using value = task_value_t<F&, A&...>;
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    template <class... X>
    explicit joined_scope(Source source, X&&... x)
        : source_(std::move(source)), call_(std::forward<X>(x)...) {}

    bool ready() const noexcept { return false; }
    void start(strand& s, frame& f) {
        caller_ = &f;
        outer_ = s.context;
        result_ = {};
        s.next = step::resume;
        cut_ = source_.cancelled();
        if (cut_) { // cancelled before it began: the body is never entered
            why_ = source_.why();
            return;
        }
        const auto node = base::ref<context_node>::adopt(new context_node(&s));
        node->link(*outer_, false, source_.deadline());
        s.context = node.get();
        own_ = node;
        enter_body(s, *this, result_, [&] {
            source_.enter(s, node);
            entered_ = true;
            return std::apply([](F& g, A&... a) { return std::invoke(g, a...); }, call_);
        });
    }
    bool child_ended(strand& s, ending how) noexcept override {
        if (std::exchange(entered_, false)) source_.leave(s);
        s.context = outer_;
        why_ = own_->why();
        std::exchange(own_, nullptr)->unlink();
        s.leaf = caller_;
        s.next = step::resume;
        if (how == ending::returned) return true;
        if (s.cancelled())
            s.next = step::unwind;
        else
            cut_ = true;
        return true;
    }
    value result() {
        if (!cut_) return result_.take();
        if constexpr (!std::is_void_v<value>)
            throw base::task_cancelled(why_ && !why_->message.empty()
                                           ? "the scope was cancelled and has no value: " + why_->message
                                           : "the scope was cancelled and has no value");
    }

private:
    Source source_;
    std::tuple<F, A...> call_;
    frame* caller_ = nullptr;
    context_node* outer_ = nullptr;
    base::ref<context_node> own_;
    base::cause_ptr why_;
    bool cut_ = false;
    bool entered_ = false;
    detail::result<value> result_;
};

template <class Source, class F, class... A>
auto make_joined_scope(Source source, F&& f, A&&... a) {
    static_assert(returns_task<std::decay_t<F>&, std::decay_t<A>&...>,
                  "the scope takes a coroutine function and its arguments: with_context(ctx, f, args...)");
    return joined_scope<Source, std::decay_t<F>, std::decay_t<A>...>(std::move(source), std::forward<F>(f),
                                                                     std::forward<A>(a)...);
}

/// A group, and where it was named.
struct named_owner {
    // NOLINTNEXTLINE(google-explicit-constructor): so that it knows the caller's place
    named_owner(group g, base::spawn_site s = base::spawn_site::current()) : owner(std::move(g)), at(s) {}
    group owner;
    base::spawn_site at;
};

template <class F, class... A>
auto await_under(named_owner by, F f, A... a) -> task<task_value_t<F&, A&...>> {
    auto ended = by.owner.spawn({.name = {}, .site = by.at}, std::move(f), std::move(a)...);
    co_return co_await std::move(ended);
}

} // namespace detail

/// `co_await with_value(key, v, f, args...)`: inside f and in all that is spawned there, the key is bound to v.
/// Owner: the calling task. Arguments are copied; references only by std::ref. Cancel: passed to f. Throws: what f throws.
template <class T, class V, class F, class... A>
auto with_value(const context_key<T>& key, V&& value, F&& f, A&&... a) {
    TENURE_CHECK_CLOSURE(F);
    static_assert(detail::returns_task<std::decay_t<F>&, std::decay_t<A>&...>,
                  "with_value takes a coroutine function and its arguments: with_value(key, v, f, args...)");
    return detail::value_scope<T, std::decay_t<F>, std::decay_t<A>...>(
        key, std::forward<V>(value), std::forward<F>(f), std::forward<A>(a)...);
}

/// `co_await with_context(ctx, f, args...)`: runs f(args...) with the values of ctx, until it ends or is cancelled, by its
/// own task or by ctx. This is how work that its owner spawns obeys a context from elsewhere: spawn a task that awaits it.
/// Owner: the calling task, so spawning takes no context: a task has one owner, and hears others only inside such a scope.
/// Cancel: by ctx, f ends and the caller goes on; from outside, as everywhere. Timeout: that of ctx.
/// Throws: what f throws; task_cancelled if ctx cancelled it and f has a value to give.
template <class F, class... A>
auto with_context(const context& c, F&& f, A&&... a) {
    TENURE_CHECK_CLOSURE(F);
    return detail::make_joined_scope(detail::context_source(c), std::forward<F>(f), std::forward<A>(a)...);
}

/// `co_await with_stop_token(token, f, args...)`: the same for a std::stop_token; values stay those of the caller.
template <class F, class... A>
auto with_stop_token(std::stop_token token, F&& f, A&&... a) {
    TENURE_CHECK_CLOSURE(F);
    return detail::make_joined_scope(detail::token_source(std::move(token)), std::forward<F>(f),
                                     std::forward<A>(a)...);
}

/// `co_await without_cancel(owner, f, args...)`: spawns f(args...) in the group `owner`, with the values of this task, and
/// awaits it. Cancelled meanwhile, the caller leaves; f goes on, owned by the group.
/// Owner: the group, which must outlive the caller's own scope to be of use. Cancel: f hears the group only.
/// Throws: what f throws, which fails the group, too; closed_error if the group has ended.
template <class F, class... A>
auto without_cancel(detail::named_owner owner, F&& f, A&&... a) {
    TENURE_CHECK_CLOSURE(F);
    return detail::await_under<std::decay_t<F>, std::decay_t<A>...>(std::move(owner), std::forward<F>(f),
                                                                    std::forward<A>(a)...);
}

} // namespace tenure::inline v0::core
