// The members of an aggregate by structured bindings: the table of every count from 1 to 32.
#pragma once
#include <cstddef>
#include <tuple>
#include <type_traits>

namespace tenure::inline v0::wire::detail {

inline constexpr std::size_t max_fields = 32;

/// References to the members of an aggregate, and their declared types.
template <class... Fields>
struct field_list {
    using declared = std::tuple<Fields...>; // never made: only its element types are asked
    std::tuple<Fields&...> refs;
};

/// The N members of an aggregate; N must be their number.
template <std::size_t N, class Aggregate>
constexpr auto bind_fields(Aggregate& v) noexcept {
    static_assert(N >= 1 && N <= max_fields);
    if constexpr (N == 1) {
        auto& [f1] = v;
        return field_list<decltype(f1)>{{f1}};
    } else if constexpr (N == 2) {
        auto& [f1, f2] = v;
        return field_list<decltype(f1), decltype(f2)>{{f1, f2}};
    } else if constexpr (N == 3) {
        auto& [f1, f2, f3] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3)>{{f1, f2, f3}};
    } else if constexpr (N == 4) {
        auto& [f1, f2, f3, f4] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4)>{{f1, f2, f3, f4}};
    } else if constexpr (N == 5) {
        auto& [f1, f2, f3, f4, f5] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5)>{
            {f1, f2, f3, f4, f5}};
    } else if constexpr (N == 6) {
        auto& [f1, f2, f3, f4, f5, f6] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6)>{
            {f1, f2, f3, f4, f5, f6}};
    } else if constexpr (N == 7) {
        auto& [f1, f2, f3, f4, f5, f6, f7] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7)>{{f1, f2, f3, f4, f5, f6, f7}};
    } else if constexpr (N == 8) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8)>{{f1, f2, f3, f4, f5, f6, f7, f8}};
    } else if constexpr (N == 9) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9)>{{f1, f2, f3, f4, f5, f6, f7, f8, f9}};
    } else if constexpr (N == 10) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10)>{
            {f1, f2, f3, f4, f5, f6, f7, f8, f9, f10}};
    } else if constexpr (N == 11) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11)>{
            {f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11}};
    } else if constexpr (N == 12) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12)>{{f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12}};
    } else if constexpr (N == 13) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13)>{
            {f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13}};
    } else if constexpr (N == 14) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14)>{
            {f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14}};
    } else if constexpr (N == 15) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15)>{
            {f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15}};
    } else if constexpr (N == 16) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16)>{
            {f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16}};
    } else if constexpr (N == 17) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17)>{
            {f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17}};
    } else if constexpr (N == 18) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18)>{
            {f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18}};
    } else if constexpr (N == 19) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19)>{
            {f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19}};
    } else if constexpr (N == 20) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20)>{
            {f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20}};
    } else if constexpr (N == 21) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20,
               f21] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20), decltype(f21)>{
            {f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21}};
    } else if constexpr (N == 22) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21,
               f22] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20), decltype(f21),
                          decltype(f22)>{{f1,  f2,  f3,  f4,  f5,  f6,  f7,  f8,  f9,  f10, f11,
                                          f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22}};
    } else if constexpr (N == 23) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21,
               f22, f23] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20), decltype(f21),
                          decltype(f22), decltype(f23)>{{f1,  f2,  f3,  f4,  f5,  f6,  f7,  f8,
                                                         f9,  f10, f11, f12, f13, f14, f15, f16,
                                                         f17, f18, f19, f20, f21, f22, f23}};
    } else if constexpr (N == 24) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21,
               f22, f23, f24] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20), decltype(f21),
                          decltype(f22), decltype(f23), decltype(f24)>{
            {f1,  f2,  f3,  f4,  f5,  f6,  f7,  f8,  f9,  f10, f11, f12,
             f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24}};
    } else if constexpr (N == 25) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21,
               f22, f23, f24, f25] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20), decltype(f21),
                          decltype(f22), decltype(f23), decltype(f24), decltype(f25)>{
            {f1,  f2,  f3,  f4,  f5,  f6,  f7,  f8,  f9,  f10, f11, f12, f13,
             f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25}};
    } else if constexpr (N == 26) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21,
               f22, f23, f24, f25, f26] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20), decltype(f21),
                          decltype(f22), decltype(f23), decltype(f24), decltype(f25), decltype(f26)>{
            {f1,  f2,  f3,  f4,  f5,  f6,  f7,  f8,  f9,  f10, f11, f12, f13,
             f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26}};
    } else if constexpr (N == 27) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21,
               f22, f23, f24, f25, f26, f27] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20), decltype(f21),
                          decltype(f22), decltype(f23), decltype(f24), decltype(f25), decltype(f26),
                          decltype(f27)>{{f1,  f2,  f3,  f4,  f5,  f6,  f7,  f8,  f9,
                                          f10, f11, f12, f13, f14, f15, f16, f17, f18,
                                          f19, f20, f21, f22, f23, f24, f25, f26, f27}};
    } else if constexpr (N == 28) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21,
               f22, f23, f24, f25, f26, f27, f28] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20), decltype(f21),
                          decltype(f22), decltype(f23), decltype(f24), decltype(f25), decltype(f26),
                          decltype(f27), decltype(f28)>{{f1,  f2,  f3,  f4,  f5,  f6,  f7,  f8,  f9,  f10,
                                                         f11, f12, f13, f14, f15, f16, f17, f18, f19, f20,
                                                         f21, f22, f23, f24, f25, f26, f27, f28}};
    } else if constexpr (N == 29) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21,
               f22, f23, f24, f25, f26, f27, f28, f29] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20), decltype(f21),
                          decltype(f22), decltype(f23), decltype(f24), decltype(f25), decltype(f26),
                          decltype(f27), decltype(f28), decltype(f29)>{
            {f1,  f2,  f3,  f4,  f5,  f6,  f7,  f8,  f9,  f10, f11, f12, f13, f14, f15,
             f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29}};
    } else if constexpr (N == 30) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21,
               f22, f23, f24, f25, f26, f27, f28, f29, f30] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20), decltype(f21),
                          decltype(f22), decltype(f23), decltype(f24), decltype(f25), decltype(f26),
                          decltype(f27), decltype(f28), decltype(f29), decltype(f30)>{
            {f1,  f2,  f3,  f4,  f5,  f6,  f7,  f8,  f9,  f10, f11, f12, f13, f14, f15,
             f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30}};
    } else if constexpr (N == 31) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21,
               f22, f23, f24, f25, f26, f27, f28, f29, f30, f31] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20), decltype(f21),
                          decltype(f22), decltype(f23), decltype(f24), decltype(f25), decltype(f26),
                          decltype(f27), decltype(f28), decltype(f29), decltype(f30), decltype(f31)>{
            {f1,  f2,  f3,  f4,  f5,  f6,  f7,  f8,  f9,  f10, f11, f12, f13, f14, f15, f16,
             f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31}};
    } else if constexpr (N == 32) {
        auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21,
               f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32] = v;
        return field_list<decltype(f1), decltype(f2), decltype(f3), decltype(f4), decltype(f5), decltype(f6),
                          decltype(f7), decltype(f8), decltype(f9), decltype(f10), decltype(f11),
                          decltype(f12), decltype(f13), decltype(f14), decltype(f15), decltype(f16),
                          decltype(f17), decltype(f18), decltype(f19), decltype(f20), decltype(f21),
                          decltype(f22), decltype(f23), decltype(f24), decltype(f25), decltype(f26),
                          decltype(f27), decltype(f28), decltype(f29), decltype(f30), decltype(f31),
                          decltype(f32)>{{f1,  f2,  f3,  f4,  f5,  f6,  f7,  f8,  f9,  f10, f11,
                                          f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22,
                                          f23, f24, f25, f26, f27, f28, f29, f30, f31, f32}};
    }
}

} // namespace tenure::inline v0::wire::detail
