// select_any: waits for several things and takes one of them.
#pragma once
#include <tenure/core/channel.hpp>
#include <tenure/core/context.hpp>
#include <tenure/core/detail/select_arms.hpp>
#include <tenure/core/future.hpp>
#include <tenure/core/sleep.hpp>

#include <variant>

namespace tenure::inline v0::core {

/// `select_any(biased, a, b)`: of the arms that are ready the first one as they are written; without it any of them.
struct biased_t {};
inline constexpr biased_t biased{};

namespace detail {

template <class... Sources>
class [[nodiscard("nothing happens before it is awaited: write co_await")]] select_operation final {
    using values = std::variant<typename arm_of<Sources>::value_type...>;

public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = true;
    template <class... S>
    explicit select_operation(bool in_order, S&&... s)
        : sources_(std::forward<S>(s)...), in_order_(in_order) {}
    /// Before it is awaited.
    select_operation(select_operation&& o) noexcept
        : sources_(std::move(o.sources_)), in_order_(o.in_order_) {}
    select_operation& operator=(const select_operation&) = delete;
    ~select_operation() = default;

    bool ready() const noexcept { return false; } // start() tries the arms; it knows the strand
    void start(strand& s, frame& f) {
        std::apply([&](auto&... each) { wait_.emplace(each...); }, sources_);
        wait_->prepare(s, in_order_);
        wait_->start(s, f);
        if (s.next == step::park) wait_->waits();
    }
    values result() {
        struct leaves_nothing {
            std::optional<wait>& of;
            ~leaves_nothing() { of.reset(); }
        } const at_exit{wait_};
        return wait_->result(std::index_sequence_for<Sources...>());
    }

private:
    class wait final : public choice_operation {
    public:
        explicit wait(Sources&... s) : arms_(s...) {
            std::size_t n = 0;
            std::apply([&](auto&... a) { ((number_[n] = n, list_[n++] = a.arm()), ...); }, arms_);
        }
        void prepare(strand& s, bool in_order) {
            std::apply([&](auto&... a) { (a.prepare(s), ...); }, arms_);
            if (in_order) return;
            for (std::size_t n = sizeof...(Sources); n > 1; --n) { // Fisher and Yates
                const std::size_t other = s.sched->draw(n);
                std::swap(list_[n - 1], list_[other]);
                std::swap(number_[n - 1], number_[other]);
            }
        }
        /// All are listed: for the first time, or again, after it was woken for nothing.
        void waits() noexcept {
            std::apply([](auto&... a) { (a.waits(), ...); }, arms_);
        }
        void woken(strand& s) noexcept override {
            choice_operation::woken(s);
            if (s.next == step::park) waits();
        }
        template <std::size_t... I>
        values result(std::index_sequence<I...>) {
            using make = values (*)(wait&);
            static constexpr make each[] = {
                [](wait& w) { return values(std::in_place_index<I>, std::get<I>(w.arms_).value()); }...};
            return each[taken_](*this);
        }

    private:
        std::span<choice_arm* const> arms() noexcept override { return list_; }
        void taken(std::size_t i) noexcept override { taken_ = number_[i]; }
        std::tuple<arm_of<Sources>...> arms_;
        choice_arm* list_[sizeof...(Sources)];   // in the order in which they are tried
        std::size_t number_[sizeof...(Sources)]; // of each, as they were written
        std::size_t taken_ = 0;
    };
    std::tuple<Sources...> sources_;
    const bool in_order_;
    std::optional<wait> wait_;
};

template <class... Sources>
auto make_select(bool in_order, Sources&&... s) {
    static_assert(sizeof...(Sources) > 0, "select_any needs something to wait for");
    return select_operation<std::remove_cvref_t<Sources>...>(in_order, std::forward<Sources>(s)...);
}

} // namespace detail

/// Waits until one of the arms can be taken, takes exactly that one, and leaves the others as if they had not been asked:
///
///   auto r = co_await select_any(a.receive(), b.send(7), sleep_for(1s), f, ctx);
///   switch (r.index()) {
///   case 0: use(std::get<0>(r)); break;   // std::optional<A>: what receive() gives
///   …
///
/// An arm is     taken when                                  and gives
///   c.receive()   an item is there, or c has ended          std::optional<T>
///   c.send(v)     there is room, or a receiver that waits   std::monostate; closed_error if c is closed
///   s.next()      as next() would return                    std::optional<T>; throws what next() throws
///   sleep_for(d), sleep_until(t)   the time has come        std::monostate; d counts from the start of the select
///   a future      its task has ended, however               std::monostate: read the future then; no failure is lost
///   a context     it was cancelled                          its cause (base::cause_ptr)
///   an optional   the arm in it is                          the same; an empty one is never taken
/// Which of several that are ready: each is as likely as the others. select_any(biased, …) takes the first one written, so
/// that a stop or a more urgent channel goes before the rest; one that is always ready starves those behind it.
/// Cancel: of the awaiting task: as of any await; no arm is taken. Owner: the awaiting task; nothing is left behind: no timer,
///   no registration, no place in a queue.
/// Threads: in coroutines. A channel may stand in several arms, on both sides.
/// Errors: what an arm's result throws; usage_error if a task selects on its own future; std::bad_alloc, when a timer or a
///   context is registered, before anything was taken.
template <class... Sources>
auto select_any(Sources&&... s) {
    return detail::make_select(false, std::forward<Sources>(s)...);
}
template <class... Sources>
auto select_any(biased_t, Sources&&... s) {
    return detail::make_select(true, std::forward<Sources>(s)...);
}

} // namespace tenure::inline v0::core
