// A parameter pack cannot be followed by a defaulted source_location, so each arity is spelled out.
// TENURE_SPAWN_OVERLOADS defines NAME(f, args…) for up to four arguments, and NAME({.name = …}, f, args…) for any number;
// TENURE_SPAWN_WITHOUT_OPTIONS only the first. All call IMPL.
#pragma once
#include <tenure/core/detail/group_state.hpp>
#include <tenure/core/detail/spawned.hpp>

#define TENURE_SPAWN_OVERLOADS(NAME, IMPL)                                                                   \
    template <class F, class... A>                                                                           \
    auto NAME(::tenure::core::spawn_options o, F&& f, A&&... a) {                                            \
        return IMPL(std::move(o), std::forward<F>(f), std::forward<A>(a)...);                                \
    }                                                                                                        \
    TENURE_SPAWN_WITHOUT_OPTIONS(NAME, IMPL)

#define TENURE_SPAWN_WITHOUT_OPTIONS(NAME, IMPL)                                                             \
    template <class F>                                                                                       \
    auto NAME(F&& f, ::tenure::base::spawn_site at = ::tenure::base::spawn_site::current()) {                \
        return IMPL({{}, at}, std::forward<F>(f));                                                           \
    }                                                                                                        \
    template <class F, class A1>                                                                             \
    auto NAME(F&& f, A1&& a1, ::tenure::base::spawn_site at = ::tenure::base::spawn_site::current()) {       \
        return IMPL({{}, at}, std::forward<F>(f), std::forward<A1>(a1));                                     \
    }                                                                                                        \
    template <class F, class A1, class A2>                                                                   \
        requires(!std::is_same_v<std::remove_cvref_t<F>, ::tenure::core::spawn_options>)                     \
    auto NAME(F&& f, A1&& a1, A2&& a2,                                                                       \
              ::tenure::base::spawn_site at = ::tenure::base::spawn_site::current()) {                       \
        return IMPL({{}, at}, std::forward<F>(f), std::forward<A1>(a1), std::forward<A2>(a2));               \
    }                                                                                                        \
    template <class F, class A1, class A2, class A3>                                                         \
        requires(!std::is_same_v<std::remove_cvref_t<F>, ::tenure::core::spawn_options>)                     \
    auto NAME(F&& f, A1&& a1, A2&& a2, A3&& a3,                                                              \
              ::tenure::base::spawn_site at = ::tenure::base::spawn_site::current()) {                       \
        return IMPL({{}, at}, std::forward<F>(f), std::forward<A1>(a1), std::forward<A2>(a2),                \
                    std::forward<A3>(a3));                                                                   \
    }                                                                                                        \
    template <class F, class A1, class A2, class A3, class A4>                                               \
        requires(!std::is_same_v<std::remove_cvref_t<F>, ::tenure::core::spawn_options>)                     \
    auto NAME(F&& f, A1&& a1, A2&& a2, A3&& a3, A4&& a4,                                                     \
              ::tenure::base::spawn_site at = ::tenure::base::spawn_site::current()) {                       \
        return IMPL({{}, at}, std::forward<F>(f), std::forward<A1>(a1), std::forward<A2>(a2),                \
                    std::forward<A3>(a3), std::forward<A4>(a4));                                             \
    }

namespace tenure::inline v0::core::detail {

/// T of the task that runs f(args...).
template <class F, class... A>
struct spawned_value {
    static_assert(!task_traits<std::decay_t<F>>::is_task,
                  "spawn takes a callable and its arguments, not a task: write spawn(f, args...), not "
                  "spawn(f(args...))");
    static_assert(task_traits<std::decay_t<F>>::is_task || call_of<std::decay_t<F>, stored_t<A>...>::possible,
                  "spawn(f, args...): f cannot be called with these arguments; they are copied, references "
                  "need std::ref");
    using type = typename call_of<std::decay_t<F>, stored_t<A>...>::value;
};
template <class F, class... A>
using spawned_value_t = typename spawned_value<F, A...>::type;

/// Counts a task down: in its group, or else in the runtime.
void uncount(scheduler& in, group_state* group, child_kind kind) noexcept;

/// Where a task begins. The caller has counted it, in its group or else in the runtime, and keeps the group alive meanwhile.
struct birthplace {
    scheduler& to;
    context_node& parent;
    group_state* group = nullptr;
    std::unique_ptr<task_extras> extras{};
};

/// Creates and launches a task.
/// Throws: what copying f or an argument throws; then nothing is counted.
template <class F, class... A>
auto launch(birthplace&& in, spawn_options&& o, F&& f, A&&... a) {
    using value = spawned_value_t<F, A...>;
    using object = spawned<std::decay_t<F>, stored_t<A>...>;
    base::ref<task_result<value>> t;
    try {
        t = base::ref<task_result<value>>::adopt(
            new object(in.to, in.group, std::move(o), std::forward<F>(f), std::forward<A>(a)...));
    } catch (...) {
        uncount(in.to, in.group, in.extras ? in.extras->kind : child_kind::ordinary);
        throw;
    }
    if (in.extras) [[unlikely]] {
        in.extras->slot_when_entered = object::has_parents;
        t->add_extras(std::move(in.extras));
    }
    t->launch(in.parent);
    return t;
}

} // namespace tenure::inline v0::core::detail
