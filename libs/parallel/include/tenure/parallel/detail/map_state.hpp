// The typed part of a map: its items, its function, its results; and how a job runs a batch of them.
#pragma once
#include <tenure/core/observe.hpp>
#include <tenure/core/this_task.hpp>
#include <tenure/parallel/detail/dispatcher.hpp>
#include <tenure/parallel/detail/elsewhere.hpp>
#include <tenure/parallel/detail/item_place.hpp>

#include <ranges>
#include <vector>

namespace tenure::inline v0::parallel {

/// Whether an item of this type is copied, for another attempt. Specialize it as false for a type of which the compiler only
/// believes that it can be copied: one with a member std::vector<std::unique_ptr<…>>.
template <class T>
inline constexpr bool can_be_tried_again = std::is_copy_constructible_v<T>;
template <std::ranges::range T>
    requires(!std::is_same_v<std::ranges::range_value_t<T>, T>) // as std::filesystem::path
inline constexpr bool can_be_tried_again<T> =
    std::is_copy_constructible_v<T> && can_be_tried_again<std::ranges::range_value_t<T>>;

namespace detail {

/// How long a job keeps its worker before other tasks have their turn.
inline constexpr base::duration worker_share = std::chrono::milliseconds(2);

/// While a plain job is on its worker.
class in_place {
public:
    explicit in_place(core::stand_in& s) noexcept : worker_(s) { worker_.begin(); }
    in_place(const in_place&) = delete;
    in_place& operator=(const in_place&) = delete;
    ~in_place() { worker_.end(); }

private:
    core::stand_in& worker_;
};

template <class R>
struct value_of_call : std::type_identity<R> {
    static constexpr bool is_coroutine = false;
};
template <class R>
struct value_of_call<core::task<R>> : std::type_identity<R> {
    static constexpr bool is_coroutine = true;
};

template <class F, class Item>
using call_of = value_of_call<std::remove_cvref_t<std::invoke_result_t<F&, Item>>>;
/// What a map of these gives for each item.
template <class F, class Item>
using value_of_mapped = typename call_of<F, Item>::type;

/// The typed part of a map: its items, its function, its results. Anywhere: on a runner, perhaps in other processes.
template <class Source, class F, bool Anywhere>
class map_state final : public map_of_items<Source, value_of_mapped<F, typename Source::value_type>> {
    using base_type = map_of_items<Source, value_of_mapped<F, typename Source::value_type>>;

public:
    using base_type::begin, base_type::end, base_type::finished, base_type::has_retries, base_type::now,
        base_type::plan, base_type::stopped, base_type::take, base_type::taken_too_long, base_type::try_again;
    using function = F;
    using item = typename base_type::item;
    using items = typename base_type::items;
    using call = call_of<F, item>;
    using value = typename call::type;

    map_state(map_owner in, map_plan&& p, Source&& s, F&& f)
        : base_type(std::move(in), std::move(p), std::move(s)), f_(std::move(f)) {
        if (!can_be_tried_again<item> && plan.retries > 0 && !plan.elsewhere)
            throw base::usage_error(
                "map: retries needs items that can be copied, for each attempt is called with a copy: "
                "give it pointers that share, or indices");
    }

    // ---- for items_elsewhere
    const F& function_object() const noexcept { return f_; }
    void settle_failure(items& b, std::size_t k, std::exception_ptr e, runner::part_failure how) {
        using runner::part_failure;
        const bool timed_out = how == part_failure::timed_out;
        if (timed_out) e = std::make_exception_ptr(base::timeout_error(taken_too_long(b, k)));
        if (try_again(b, k, e, timed_out)) return;
        b.put(k, items::failure(std::move(e)),
              timed_out                          ? item_status::timed_out
              : how == part_failure::worker_died ? item_status::worker_died
                                                 : item_status::failed);
    }
    /// Item k, in this process.
    void run_one(items& b, std::size_t k) {
        const item_place at(running_task(), b.first + k);
        settle(b, k, call_with(b.in[k]));
    }

private:
    core::future<void> start(map_owner in, job_ticket t) override {
        core::spawn_options o{.name = plan.name, .site = plan.site};
        if constexpr (Anywhere) {
            if (plan.elsewhere) return in.spawn(std::move(o), run_elsewhere, std::move(t));
        }
        if constexpr (call::is_coroutine)
            return in.spawn(std::move(o), run_awaiting, std::move(t));
        else
            return in.spawn(std::move(o), run_plain, std::move(t));
    }
    static core::task<> run_elsewhere(const job_ticket& t) {
        auto& self = static_cast<map_state&>(t.of());
        job& me = t.me();
        runner::runner& on = *self.plan.elsewhere;
        const bool chooses_size = self.plan.batch_size == 0; // else nobody asks how long it took
        while (self.take(me)) {
            auto& b = static_cast<items&>(*me.doing);
            const base::time_point began = chooses_size ? self.now() : base::time_point();
            for (std::size_t k = me.from; k < b.count();) {
                items_elsewhere<map_state> some(self, b, k, on.most_bytes());
                std::exception_ptr error;
                try {
                    co_await on.run(some);
                } catch (...) {
                    error = std::current_exception();
                }
                if (self.stopped()) co_return;
                if (!error && some.next() == k) error = no_results(on);
                k = some.next();
                for (const std::size_t end = some.blames_first() ? k + 1 : b.count(); error && k < end; ++k)
                    self.settle(b, k, items::failure(error));
            }
            self.finished(me, chooses_size ? (self.now() - began) / self.plan.calls_a_job : base::duration());
        }
    }
    static core::task<> run_awaiting(const job_ticket& t) {
        auto& self = static_cast<map_state&>(t.of());
        job& me = t.me();
        const base::task_id task = running_task();
        while (self.take(me)) {
            auto& b = static_cast<items&>(*me.doing);
            const base::time_point began = self.now();
            for (std::size_t k = me.from; k < b.count(); ++k) {
                std::optional<item> one; // a body that is given up keeps its own
                std::optional<core::task<value>> body;
                std::exception_ptr not_called = self.copy_for_retry(b, k, one);
                self.begin(me, k);
                if (!not_called)
                    not_called = self.make_body(b.in[k], one, body, item_place(task, b.first + k));
                std::optional<base::outcome<value>> how;
                if (body)
                    how.emplace(co_await core::as_outcome(std::move(*body)));
                else
                    how.emplace(items::failure(std::move(not_called)));
                if (!self.end(me, k)) co_return;
                self.settle(b, k, std::move(*how));
                if (self.stopped()) co_return;
            }
            self.finished(me, self.now() - began);
        }
    }
    std::exception_ptr make_body(item& from, std::optional<item>& one, std::optional<core::task<value>>& body,
                                 const item_place&) {
        try {
            if (!one) one.emplace(std::move(from));
            body.emplace(std::invoke(f_, std::move(*one)));
        } catch (...) { // before there was a coroutine
            return std::current_exception();
        }
        return nullptr;
    }
    // On a worker of its own. It ends after a while, so that other tasks have their turn.
    static void run_plain(const job_ticket& t) {
        auto& self = static_cast<map_state&>(t.of());
        job& me = t.me();
        const in_place here(me.worker);
        item_place at(running_task());
        const base::time_point began = self.now();
        base::time_point now = began;
        while (now - began < worker_share && self.take(me)) {
            if (!self.run_batch(me, at)) return;
            const base::time_point then = std::exchange(now, self.now());
            self.finished(me, now - then);
        }
    }
    bool run_batch(job& me, item_place& at) {
        auto& b = static_cast<items&>(*me.doing);
        const bool copies = has_retries(b);
        for (std::size_t k = me.from; k < b.count(); ++k) {
            at.is(b.first + k);
            auto how = copies ? attempt_with_copy(me, b, k) : attempt(me, k, b.in[k]);
            if (!end(me, k)) return false;
            settle(b, k, std::move(how));
            if (stopped()) return false;
        }
        return true;
    }
    // Before the item begins: who gives it up takes it for its next attempt. What copying throws.
    std::exception_ptr copy_for_retry(items& b, std::size_t k, std::optional<item>& into) const noexcept {
        if constexpr (can_be_tried_again<item>) {
            try {
                if (has_retries(b)) into.emplace(std::as_const(b.in[k]));
            } catch (...) {
                return std::current_exception();
            }
        }
        return nullptr;
    }
    void settle(items& b, std::size_t k, base::outcome<value>&& how) {
        if (how.has_failed() && has_retries(b)) {
            std::exception_ptr error = how.error();
            if (try_again(b, k, error, false)) return;
            b.put(k, items::failure(std::move(error)));
        } else {
            b.put(k, std::move(how));
        }
    }
    base::outcome<value> attempt_with_copy(job& me, items& b, std::size_t k) {
        std::optional<item> copy;
        std::exception_ptr not_copied = copy_for_retry(b, k, copy);
        if (copy) return attempt(me, k, *copy);
        begin(me, k);
        return items::failure(std::move(not_copied));
    }
    base::outcome<value> attempt(job& me, std::size_t k, item& from) {
        begin(me, k);
        return call_with(from);
    }
    base::outcome<value> call_with(item& from) {
        try {
            item one = std::move(from); // a function that is given up keeps its own
            if constexpr (std::is_void_v<value>) {
                std::invoke(f_, std::move(one));
                return base::outcome<value>::success();
            } else {
                return base::outcome<value>::success(std::invoke(f_, std::move(one)));
            }
        } catch (const base::cancelled&) {
            return base::outcome<value>::cancelled(core::this_task::why());
        } catch (...) {
            return items::failure(std::current_exception());
        }
    }
    F f_;
};

} // namespace detail
} // namespace tenure::inline v0::parallel
