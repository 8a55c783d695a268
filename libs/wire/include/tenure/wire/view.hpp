// Elements of a message where they lie.
#pragma once
#include <tenure/wire/codec.hpp>

#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <string_view>
#include <vector>

namespace tenure::inline v0::wire {

/// What a vector of T is to the sender, without a copy for the receiver: points into the message, or into one of its
/// segments. Elements that lie misaligned in the message are copied after all; those of a segment that begins at a
/// multiple of alignof(T) never are.
/// Owner: the message, which outlives the view; or, for a view made from a range, that range.
template <class T>
    requires detail::bulk<T>
class view {
public:
    using value_type = T;

    view() noexcept = default;
    template <std::ranges::contiguous_range Range>
        requires(!std::same_as<std::remove_cvref_t<Range>, view> &&
                 std::same_as<std::ranges::range_value_t<Range>, T> && std::ranges::sized_range<Range>)
    view(const Range& elements) noexcept
        : elements_(std::ranges::data(elements), std::ranges::size(elements)) {}
    /// Keeps the elements itself.
    explicit view(std::vector<T>&& elements) noexcept : own_(std::move(elements)), elements_(own_) {}

    view(const view& o) : own_(o.own_), elements_(o.is_own() ? std::span<const T>(own_) : o.elements_) {}
    view(view&& o) noexcept : view() { swap(o); }
    view& operator=(view o) noexcept {
        swap(o);
        return *this;
    }
    ~view() = default;

    const T* data() const noexcept { return elements_.data(); }
    std::size_t size() const noexcept { return elements_.size(); }
    bool empty() const noexcept { return elements_.empty(); }
    const T& operator[](std::size_t i) const noexcept { return elements_[i]; }
    auto begin() const noexcept { return elements_.begin(); }
    auto end() const noexcept { return elements_.end(); }
    operator std::span<const T>() const noexcept { return elements_; }
    operator std::string_view() const noexcept
        requires std::same_as<T, char>
    {
        return {elements_.data(), elements_.size()};
    }

private:
    bool is_own() const noexcept { return !own_.empty(); }
    void swap(view& o) noexcept {
        own_.swap(o.own_); // the elements stay where they are
        std::swap(elements_, o.elements_);
    }

    std::vector<T> own_;
    std::span<const T> elements_;
};

template <class T>
struct codec<view<T>> {
    static constexpr std::size_t min_size = 8;
    static constexpr bool writes_in_place = true;
    static void write(writer& w, const view<T>& v) { w.block(v.size(), v.data(), v.size() * sizeof(T)); }
    static view<T> read(reader& r) {
        const auto found = r.block(sizeof(T), false, detail::name_of<view<T>>);
        const auto n = static_cast<std::size_t>(found.count);
        const auto* first = reinterpret_cast<const T*>(found.from);
        if (reinterpret_cast<std::uintptr_t>(first) % alignof(T) == 0)
            return view<T>(std::span<const T>(first, n));
        std::vector<T> copy(n);
        if (n != 0) std::memcpy(static_cast<void*>(copy.data()), found.from, n * sizeof(T));
        return view<T>(std::move(copy));
    }
};

} // namespace tenure::inline v0::wire
