// Where a map's items come from: a range, or a stream. next(into) gives one; empty: there are no more.
#pragma once
#include <tenure/core/stream.hpp>

#include <functional>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

namespace tenure::inline v0::parallel::detail {

template <class T>
inline constexpr bool is_reference = false;
template <class T>
inline constexpr bool is_reference<std::reference_wrapper<T>> = true;

/// Owns the range, unless it was given as std::ref(range).
template <class Range>
class range_source {
    using range = std::unwrap_reference_t<Range>;
    static_assert(std::ranges::input_range<range>, "map: the items are a range, or a stream<T>");

public:
    using value_type = std::ranges::range_value_t<range>;
    static constexpr bool awaits = false;
    explicit range_source(Range&& r) : range_(std::move(r)) {}
    std::optional<std::size_t> count() {
        if constexpr (std::ranges::sized_range<range>)
            return static_cast<std::size_t>(std::ranges::size(get()));
        return std::nullopt;
    }

    void next(std::optional<value_type>& into) {
        if (!at_)
            at_.emplace(std::ranges::begin(get()));
        else
            ++*at_;
        if (*at_ == std::ranges::end(get())) return;
        // What a container of ours holds is ours; a view's elements are somebody else's.
        constexpr bool ours = !is_reference<Range> && !std::ranges::view<range>;
        if constexpr (ours)
            into.emplace(std::ranges::iter_move(*at_));
        else
            into.emplace(**at_);
    }

private:
    range& get() noexcept { return range_; }
    Range range_;
    std::optional<std::ranges::iterator_t<range>> at_;
};
template <class T>
class stream_source {
public:
    using value_type = T;
    static constexpr bool awaits = true;
    explicit stream_source(core::stream<T>&& s) noexcept : stream_(std::move(s)) {}
    std::optional<std::size_t> count() const noexcept { return std::nullopt; }
    auto next() { return stream_.next(); }

private:
    core::stream<T> stream_;
};
template <class Items>
struct source_of : std::type_identity<range_source<Items>> {};
template <class T>
struct source_of<core::stream<T>> : std::type_identity<stream_source<T>> {};

} // namespace tenure::inline v0::parallel::detail
