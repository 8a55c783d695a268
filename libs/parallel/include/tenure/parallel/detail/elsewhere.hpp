// A batch of items as a job of several parts, which a runner carries to another process; and what runs it there.
//
// THE CALL  name of the function that runs the items · the user's function object, if it has members · index of the first item,
//   uint64 · number of items, uint32 · the items, as values of the function's parameter type
#pragma once
#include <tenure/base/error.hpp>
#include <tenure/parallel/detail/item_place.hpp>
#include <tenure/runner/parts.hpp>
#include <tenure/wire/function.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace tenure::inline v0::parallel::detail {

inline constexpr std::size_t enough_bytes = std::size_t{1} << 18; // for one call, if it has several items

template <class F>
using parameters_of = typename wire::detail::signature_of_callable<F>::values::type;

/// Compiles if F can be called with an Item in another process; otherwise the compiler says what to do.
template <class F, class Item>
consteval bool can_be_mapped_elsewhere() {
    if constexpr (wire::detail::can_be_called_elsewhere<F>() && wire::detail::callable<F>) {
        constexpr bool takes_one = std::tuple_size_v<parameters_of<F>> == 1;
        static_assert(takes_one, "map: the function takes one argument, an item");
        if constexpr (takes_one) {
            using parameter = std::tuple_element_t<0, parameters_of<F>>;
            constexpr bool fits =
                std::is_same_v<Item, parameter> || std::is_convertible_v<const Item&, parameter>;
            static_assert(fits, "map: an item cannot become the type of the function's parameter");
            return fits;
        }
    }
    return false;
}

/// Runs the items of a call, where it was carried to.
template <class F>
void run_items(wire::reader& r, wire::writer&, wire::result_written) {
    using parameter = std::tuple_element_t<0, parameters_of<F>>;
    F f = [&] {
        if constexpr (wire::detail::stateless<F>)
            return F();
        else
            return wire::read<F>(r);
    }();
    const auto first = r.fixed<std::uint64_t>("index of an item");
    const auto n = r.fixed<std::uint32_t>("number of items");
    runner::part_results& out = runner::part_results::here();
    item_place at(running_task());
    for (std::uint64_t index = first; index != first + n; ++index) {
        out.begin();
        at.is(index);
        bool was_read = false;
        try {
            auto one = wire::read<parameter>(r);
            was_read = true;
            if constexpr (std::is_void_v<std::invoke_result_t<F&, parameter>>)
                std::invoke(f, std::move(one));
            else
                wire::write(out.value(), std::invoke(f, std::move(one)));
        } catch (...) {
            if (!out.end_failed() || !was_read) return; // without it nobody knows where the next one begins
            continue;
        }
        if (!out.end()) return;
    }
}
/// How it is found there: as a function of F's type, and one that takes items.
template <class F>
struct described_items {
    static const wire::function_descriptor value;
};
template <class F>
constinit const wire::function_descriptor described_items<F>::value{
    wire::function_descriptor::magic_value, &described_items<F>::value, &run_items<F>,
    wire::detail::hash_of("items", wire::detail::signature_hash<F>()), wire::detail::name_of<F>};

/// Items [from, …) of a batch; as many as fit into a call. State is the map's (map_state.hpp).
template <class State>
class items_elsewhere final : public runner::job, public runner::parts {
    using function = typename State::function;
    using items = typename State::items;
    using value_type = typename State::value;

public:
    items_elsewhere(State& st, items& b, std::size_t from, std::uint64_t most_bytes) noexcept
        : st_(st), batch_(b), next_(from), end_(from), most_bytes_(most_bytes) {}

    /// The first item that has not been settled.
    std::size_t next() const noexcept { return next_; }
    /// The call was not made because of its first item.
    bool blames_first() const noexcept { return blames_first_; }

    void write_call(wire::writer& w) override {
        static const wire::function_name name =
            wire::function_table().name_of(described_items<function>::value);
        w.fixed(name);
        if constexpr (!wire::detail::stateless<function>) wire::write(w, st_.function_object());
        w.fixed(std::uint64_t{batch_.first + next_});
        const std::size_t count_at = w.size();
        w.fixed(std::uint32_t{0});
        while (end_ < batch_.count() && (end_ == next_ || w.size() < enough_bytes) && add(w))
            ++end_;
        w.fixed_at(count_at, static_cast<std::uint32_t>(end_ - next_));
    }
    void run_here() override {
        for (; next_ < batch_.count(); ++next_)
            st_.run_one(batch_, next_);
    }
    void read_result(wire::reader&) override {} // it has parts
    runner::parts* several() noexcept override { return this; }
    std::string_view name() const noexcept override { return described_items<function>::value.name; }

    std::size_t count() const noexcept override { return end_ - next_; }
    base::duration timeout() const noexcept override { return st_.plan.timeout; }
    void read_value(wire::reader& r) override {
        if constexpr (std::is_void_v<value_type>)
            batch_.put(next_, base::outcome<value_type>::success());
        else
            batch_.put(next_, base::outcome<value_type>::success(wire::read<value_type>(r)));
        ++next_;
    }
    void failed(std::exception_ptr e, runner::part_failure how) override {
        st_.settle_failure(batch_, next_++, std::move(e), how);
    }

private:
    /// False: it does not fit any more.
    bool add(wire::writer& w) {
        const std::size_t before = w.size();
        try {
            wire::detail::write_argument<std::tuple_element_t<0, parameters_of<function>>>(
                w, std::as_const(batch_.in[end_]));
            if (w.size() > most_bytes_)
                throw base::usage_error("map: item " + std::to_string(batch_.first + end_) + " takes " +
                                        std::to_string(w.size() - before) +
                                        " bytes in a call, and the runner takes calls of at most " +
                                        std::to_string(most_bytes_) + " bytes");
            return true;
        } catch (...) { // the others do not pay for it
            if (end_ == next_) {
                blames_first_ = true;
                throw;
            }
            w.shrink_to(before);
            return false;
        }
    }

    State& st_;
    items& batch_;
    std::size_t next_;
    std::size_t end_; // of those in the call
    const std::uint64_t most_bytes_;
    bool blames_first_ = false;
};

} // namespace tenure::inline v0::parallel::detail
