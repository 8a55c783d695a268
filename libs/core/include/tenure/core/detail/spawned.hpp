// The task object of f(args...): owns f and the arguments, waits for those that are futures.
#pragma once
#include <tenure/core/detail/dependencies.hpp>

namespace tenure::inline v0::core::detail {

/// F and A as they are stored (stored_t).
template <class F, class... A>
class spawned final : public task_result<typename call_of<F, A...>::value> {
    using call = call_of<F, A...>;

public:
    static constexpr bool has_parents = (is_anchor<A> || ...);
    template <class... X>
    spawned(scheduler& to, group_state* g, spawn_options&& o, X&&... x)
        : spawned::task_result(to, g, std::move(o)), stored(std::forward<X>(x)...) {}
    spawned(const spawned&) = delete;
    spawned& operator=(const spawned&) = delete;
    ~spawned() override { drop(); }

private:
    using entry = task_object::entry;
    entry enter() noexcept override {
        if constexpr (has_parents) {
            if (!parents_have_ended()) return entry::waiting;
            if (const auto e = failure_of_parents()) {
                this->result_.error = e;
                return entry::failed;
            }
            if (!this->take_slot()) return entry::waiting;
        }
        auto run = [this]() -> decltype(auto) {
            return std::apply(
                [](F& f, A&... a) -> decltype(auto) {
                    if constexpr (has_parents)
                        return std::apply(f, std::tuple_cat(lend(a)...));
                    else
                        return std::invoke(f, a...);
                },
                stored);
        };
        try {
            if constexpr (call::gives_task) {
                auto t = run();
                t.enter(*this, *this, this->result_);
                return entry::entered;
            } else if constexpr (std::is_void_v<typename call::result>) {
                run();
                return entry::done;
            } else {
                this->result_.value.emplace(run());
                return entry::done;
            }
        } catch (...) {
            if (this->cancelled() && is_cancelled_exception()) return entry::cancelled;
            this->result_.error = std::current_exception();
            return entry::failed;
        }
    }
    void drop_arguments() noexcept override { drop(); }
    void drop() noexcept {
        if (std::exchange(has_call_, false)) stored.~tuple();
    }

    bool parents_have_ended() noexcept {
        return std::apply([this](F&, A&... a) { return (has_ended(a) && ...); }, stored);
    }
    template <class X>
    bool has_ended(X& argument) noexcept {
        if constexpr (is_anchor<X>)
            return !wait_.for_end_of(argument.task(), *this, *this);
        else
            return true;
    }
    /// Of the first one that has no value.
    std::exception_ptr failure_of_parents() noexcept {
        std::exception_ptr e;
        std::apply([&e](F&, A&... a) { (void)((e = failure_of_argument(a)) || ...); }, stored);
        return e;
    }

    union { // not an optional, which looks at every way in which the call might be copied: costs a compiler much
        std::tuple<F, A...> stored;
    };
    bool has_call_ = true;
    [[no_unique_address]] std::conditional_t<has_parents, parent_wait, std::tuple<>> wait_;
};

} // namespace tenure::inline v0::core::detail
