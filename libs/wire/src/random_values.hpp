// Types of every kind for the tests, and values of them drawn from a seed.
#pragma once
#include <tenure/wire/codec.hpp>

#include <array>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

namespace wire_test {

enum class color : std::uint8_t { red, green, blue };

struct padded {
    std::uint8_t a;
    std::uint32_t b;
    std::uint8_t c;
    bool operator==(const padded&) const = default;
};
struct point {
    float x;
    float y;
    bool operator==(const point&) const = default;
};
struct tree {
    int value;
    std::vector<tree> children;
    std::unique_ptr<tree> next;
};
struct everything {
    bool flag;
    std::int8_t tiny;
    std::uint64_t huge;
    color shade;
    std::string text;
    std::vector<point> points;
    std::vector<padded> holes;
    std::vector<bool> bits;
    std::list<std::string> lines;
    std::map<std::string, std::vector<std::int16_t>> index;
    std::unordered_map<std::int32_t, std::optional<std::string>> table;
    std::set<std::tuple<std::int32_t, bool>> pairs;
    std::array<std::deque<char>, 2> queues;
    std::variant<std::monostate, std::int32_t, std::string, std::vector<color>> choice;
    std::chrono::microseconds wait;
    std::pair<std::string, std::array<std::uint16_t, 3>> last;
    bool operator==(const everything&) const = default;
};

class source {
public:
    explicit source(std::uint32_t seed) : random_(seed) {}

    /// From 0 to less than n.
    std::size_t below(std::size_t n) { return random_() % n; }

    template <class T>
    T make() {
        namespace d = tenure::wire::detail;
        constexpr d::kind k = d::kind_of<T>();
        if constexpr (k == d::kind::boolean) {
            return below(2) == 1;
        } else if constexpr (k == d::kind::arithmetic) {
            return static_cast<T>(random_());
        } else if constexpr (k == d::kind::enumeration) {
            return static_cast<T>(below(3));
        } else if constexpr (k == d::kind::elements || k == d::kind::sequence) {
            T c;
            for (std::size_t n = below(5); n > 0; --n)
                c.push_back(make<typename T::value_type>());
            return c;
        } else if constexpr (k == d::kind::set) {
            T c;
            for (std::size_t n = below(5); n > 0; --n)
                c.insert(make<typename T::key_type>());
            return c;
        } else if constexpr (k == d::kind::map) {
            T c;
            for (std::size_t n = below(5); n > 0; --n)
                c.insert_or_assign(make<typename T::key_type>(), make<typename T::mapped_type>());
            return c;
        } else if constexpr (k == d::kind::array) {
            T c{};
            for (auto& e : c)
                e = make<typename T::value_type>();
            return c;
        } else if constexpr (k == d::kind::optional) {
            if (below(2) == 0) return {};
            return make<typename T::value_type>();
        } else if constexpr (k == d::kind::variant) {
            return make_alternative<T>(below(std::variant_size_v<T>));
        } else if constexpr (k == d::kind::duration) {
            return T(make<typename T::rep>());
        } else if constexpr (k == d::kind::empty) {
            return T{};
        } else {
            return make_fields<T>(typename d::standard_codec<T>::fields());
        }
    }

private:
    template <class T, class... Fields>
    T make_fields(std::type_identity<std::tuple<Fields...>>) {
        return T{make<std::remove_const_t<Fields>>()...};
    }
    template <class T, std::size_t I = 0>
    T make_alternative(std::size_t index) {
        if constexpr (I + 1 < std::variant_size_v<T>)
            if (index != I) return make_alternative<T, I + 1>(index);
        return T(std::in_place_index<I>, make<std::variant_alternative_t<I, T>>());
    }
    std::mt19937 random_;
};

} // namespace wire_test
