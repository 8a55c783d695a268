// Calls as messages: which function, and its arguments.
//
//   wire::write_call(w, wire::fn<&area>, 3, 4);                     a function
//   wire::write_call(w, [](int a, int b) { return a * b; }, 3, 4);  a lambda without captures
//   wire::write_call(w, scaled{.by = 2.5}, 4);                      an aggregate function object: its members travel
//
// Anything else is a compile error that says what to do. Captures are not accepted, not even of trivial types: the compiler
// does not tell whether one is a reference. Arguments become the parameters' types before they are sent.
#pragma once
#include <tenure/wire/function_table.hpp>
#include <tenure/wire/view.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace tenure::inline v0::wire {

/// The function F, as a type.
template <auto F>
    requires std::is_function_v<std::remove_pointer_t<decltype(F)>>
struct function_constant {
    template <class... A>
        requires std::is_invocable_v<decltype(F), A...>
    decltype(auto) operator()(A&&... a) const {
        return F(std::forward<A>(a)...);
    }
};
/// Names a function: `fn<&f>`.
template <auto F>
inline constexpr function_constant<F> fn{};

namespace detail {

template <class Result, class... Parameters>
struct signature {
    using result = Result;
    using values = std::type_identity<std::tuple<std::remove_cvref_t<Parameters>...>>;
    static constexpr bool has_pointer = (std::is_pointer_v<std::remove_cvref_t<Parameters>> || ...);
    static constexpr bool has_mutable_reference =
        ((std::is_lvalue_reference_v<Parameters> && !std::is_const_v<std::remove_reference_t<Parameters>>) ||
         ...);
};

template <class R, class... P>
auto signature_of(R (*)(P...)) -> signature<R, P...>;
template <class R, class... P>
auto signature_of(R (*)(P...) noexcept) -> signature<R, P...>;
template <class F, class R, class... P>
auto signature_of(R (F::*)(P...)) -> signature<R, P...>;
template <class F, class R, class... P>
auto signature_of(R (F::*)(P...) noexcept) -> signature<R, P...>;
template <class F, class R, class... P>
auto signature_of(R (F::*)(P...) const) -> signature<R, P...>;
template <class F, class R, class... P>
auto signature_of(R (F::*)(P...) const noexcept) -> signature<R, P...>;

template <class F>
inline constexpr bool is_function_constant = false;
template <auto F>
inline constexpr bool is_function_constant<function_constant<F>> = true;

/// One operator() that is no template.
template <class F>
concept has_one_call = requires { &F::operator(); };
template <class F>
concept stateless = std::is_empty_v<F> && std::is_default_constructible_v<F>;
/// A class whose function and state the other process can make.
template <class F>
concept callable = is_function_constant<F> || (has_one_call<F> && (stateless<F> || std::is_aggregate_v<F>));

template <class F>
struct signature_of_callable : decltype(signature_of(&F::operator())){};
template <auto F>
struct signature_of_callable<function_constant<F>> : decltype(signature_of(F)){};

/// Compiles if F can be called in another process; otherwise the compiler says what to do instead.
template <class F>
consteval bool can_be_called_elsewhere() {
    static_assert(!std::is_function_v<std::remove_pointer_t<F>>,
                  "a function pointer means nothing in another process: name the function, tenure::fn<&f>");
    static_assert(!std::is_member_pointer_v<F>,
                  "a member function needs its object: use a lambda that is given it");
    if constexpr (std::is_class_v<F>) {
        static_assert(
            is_function_constant<F> || has_one_call<F>,
            "this cannot be called elsewhere: it needs one operator() that is no template (a generic lambda: "
            "give its parameters types)");
        static_assert(
            !has_one_call<F> || callable<F>,
            "a task is a function (tenure::fn<&f>), a lambda without captures, or an aggregate function "
            "object; captures are invisible to the compiler: pass them as arguments");
    }
    if constexpr (callable<F>) {
        using s = signature_of_callable<F>;
        static_assert(!s::has_pointer, "a parameter is a pointer, which means nothing in another process: "
                                       "take the value, a container, or "
                                       "a tenure::wire::view");
        static_assert(!s::has_mutable_reference, "a parameter is a reference that is not const: changes "
                                                 "would be lost in the other process; return "
                                                 "the new value instead");
        static_assert(
            !std::is_reference_v<typename s::result> && !std::is_pointer_v<typename s::result>,
            "the result is a reference or a pointer, which means nothing in another process: return a value");
    }
    return true;
}

constexpr std::uint64_t hash_of(std::string_view text, std::uint64_t hash) {
    for (const char c : text)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}
template <class F>
consteval std::uint64_t signature_hash() {
    using s = signature_of_callable<F>;
    const std::uint64_t start = 0xcbf29ce484222325 + format_version;
    return hash_of(type_name<typename s::result>(),
                   hash_of(type_name<typename s::values>(), hash_of(type_name<F>(), start)));
}

template <class F, class... Values>
void invoke(reader& r, writer& w, result_written then, std::type_identity<std::tuple<Values...>>) {
    F f = [&] {
        if constexpr (stateless<F>)
            return F();
        else
            return read<F>(r);
    }();
    std::tuple<Values...> arguments{read<Values>(r)...}; // braces: from left to right
    r.finish();
    using result = typename signature_of_callable<F>::result;
    if constexpr (std::is_void_v<result>) {
        std::apply(f, std::move(arguments));
        if (then.call) then.call(then.context);
    } else {
        const auto value = std::apply(f, std::move(arguments));
        write(w, value);
        if (then.call) then.call(then.context);
    }
}
template <class F>
void invoke(reader& r, writer& w, result_written then) {
    invoke<F>(r, w, then, typename signature_of_callable<F>::values());
}

template <class F>
struct described {
    static const function_descriptor value;
};
template <class F>
constinit const function_descriptor described<F>::value{
    function_descriptor::magic_value, &described<F>::value, &invoke<F>, signature_hash<F>(), name_of<F>};

template <class Value, class A>
void write_argument(writer& w, A&& a) {
    if constexpr (std::is_same_v<std::remove_cvref_t<A>, Value>) {
        write(w, std::forward<A>(a));
    } else if constexpr (std::is_lvalue_reference_v<A> && is_a<Value, view>) {
        const Value shown = a; // shows what outlives the message
        write(w, shown);
    } else {
        write(w, static_cast<Value>(std::forward<A>(a)));
    }
}
template <class... Values, class... A>
void write_arguments(writer& w, std::type_identity<std::tuple<Values...>>, A&&... a) {
    constexpr bool as_many = sizeof...(A) == sizeof...(Values);
    static_assert(as_many, "wrong number of arguments for this function");
    if constexpr (as_many) {
        constexpr bool fit = (std::is_convertible_v<A, Values> && ...);
        static_assert(fit, "an argument cannot become the type of its parameter");
        if constexpr (fit) (write_argument<Values>(w, std::forward<A>(a)), ...);
    }
}

} // namespace detail

/// How F is named in other processes of this build.
/// Throws: wire_error if the program was linked so that it has no such name.
template <class F>
const function_name& name_of_function() {
    static const function_name name = function_table().name_of(detail::described<F>::value);
    return name;
}

/// Appends a call: the function's name, the function object if it has members, the arguments. Arguments that are lvalues of
/// just the parameter's type, or become a view, may travel out of band.
/// Throws: wire_error as write() does.
template <class F, class... A>
void write_call(writer& w, const F& f, A&&... arguments) {
    if constexpr (detail::can_be_called_elsewhere<F>() && detail::callable<F>) {
        w.fixed(name_of_function<F>());
        if constexpr (!detail::stateless<F>) write(w, f);
        detail::write_arguments(w, typename detail::signature_of_callable<F>::values(),
                                std::forward<A>(arguments)...);
    }
}

/// Reads a call, runs it here, and writes its result, nothing for void.
/// Throws: wire_error if it is not a call of this build: then nothing was called. And what the function throws.
inline void run_call(function_table& functions, reader& call, writer& result, result_written then = {}) {
    const auto name = read<function_name>(call);
    functions.find(name).invoke(call, result, then);
}

} // namespace tenure::inline v0::wire
