// Calls as messages, and every way in which a name can be wrong.
#include <tenure/wire/function.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <dlfcn.h>
#include <memory>
#include <numeric>
#include <string>

using namespace tenure::wire;
using testing::HasSubstr;

namespace {

int calls = 0;

int add(int a, int b) {
    ++calls;
    return a + b;
}
std::string greet(const std::string& name) { return "hello " + name; }
double sum(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }
double sum_of_view(const view<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }
std::vector<double> twice(std::vector<double>&& v) noexcept {
    for (double& x : v)
        x *= 2;
    return std::move(v);
}
void count(int n) { calls += n; }
int nothing() { return 7; }
std::unique_ptr<int> pass(std::unique_ptr<int> p) { return p; }
int fails(int) { throw std::out_of_range("from the function"); }

struct scaled {
    double by;
    std::string unit;
    std::string operator()(double x) const { return std::to_string(static_cast<int>(by * x)) + unit; }
};

/// Runs the call in w as another process would.
template <class R>
R run(const writer& w) {
    function_table functions;
    reader call(w.message(), w.segments());
    writer result;
    run_call(functions, call, result);
    if constexpr (std::is_void_v<R>)
        EXPECT_EQ(result.size(), 0U);
    else
        return decode<R>(result.message());
}
template <class R, class F, class... A>
R call(const F& f, A&&... arguments) {
    writer w;
    write_call(w, f, std::forward<A>(arguments)...);
    return run<R>(w);
}
std::string refusal(std::span<const std::byte> message) {
    function_table functions;
    reader r(message);
    writer result;
    try {
        run_call(functions, r, result);
    } catch (const wire_error& e) {
        return e.what();
    }
    return "no error";
}
std::string refusal(const function_name& name) {
    writer w;
    write(w, name);
    write(w, 1);
    write(w, 2);
    return refusal(w.message());
}

TEST(Function, EachKindOfFunctionIsCalled) {
    EXPECT_EQ(call<int>(fn<&add>, 2, 3), 5);
    EXPECT_EQ(call<std::string>(fn<&greet>, "bob"), "hello bob");
    EXPECT_EQ(call<double>(fn<&sum>, std::vector<double>{1, 2, 3}), 6);
    EXPECT_EQ(call<std::vector<double>>(fn<&twice>, std::vector<double>{1, 2}), (std::vector<double>{2, 4}));
    EXPECT_EQ(call<int>(fn<&nothing>), 7);
    EXPECT_EQ(*call<std::unique_ptr<int>>(fn<&pass>, std::make_unique<int>(4)), 4);
    EXPECT_EQ(call<int>([](int a, std::optional<int> b) { return a * b.value_or(10); }, 7, std::nullopt), 70);
    EXPECT_EQ(call<std::string>(scaled{2.5, "m"}, 4), "10m");
    calls = 0;
    call<void>(fn<&count>, 3);
    EXPECT_EQ(calls, 3);
}

TEST(Function, WhatItThrowsPasses) { EXPECT_THROW(call<int>(fn<&fails>, 1), std::out_of_range); }

TEST(Function, LargeArgumentsTravelOutOfBandAndAreViewedInPlace) {
    const std::vector<double> large(1000, 0.5);
    writer w;
    w.out_of_band_from(1000);
    write_call(w, fn<&sum>, large);
    EXPECT_EQ(run<double>(w), 500);
    write_call(w, fn<&sum>, std::vector<double>(large)); // dies before the message is sent
    ASSERT_EQ(w.segments().size(), 1U);
    w.clear();
    write_call(w, fn<&sum_of_view>, large);
    ASSERT_EQ(w.segments().size(), 1U);
    EXPECT_EQ(static_cast<const void*>(w.segments()[0].data()), large.data());
    EXPECT_EQ(run<double>(w), 500);
}

TEST(Function, SegmentsOfAResultAreSentWhileItLives) {
    writer w;
    write_call(w, fn<&twice>, std::vector<double>(100, 1.5));
    function_table functions;
    reader r(w.message());
    writer result;
    result.out_of_band_from(1);
    double seen = 0;
    auto look = [&] { // as a worker would send it
        reader answer(result.message(), result.segments());
        seen = read<view<double>>(answer)[99];
    };
    run_call(functions, r, result, {[](void* f) { (*static_cast<decltype(look)*>(f))(); }, &look});
    EXPECT_EQ(seen, 3);
}

TEST(Function, NothingIsCalledIfTheArgumentsAreWrong) {
    writer w;
    write_call(w, fn<&add>, 1, 2);
    calls = 0;
    auto message = std::vector(w.message().begin(), w.message().end());
    message.push_back(std::byte{0});
    EXPECT_THAT(refusal(message), HasSubstr("1 bytes are left"));
    message.resize(message.size() - 2);
    EXPECT_THAT(refusal(message), HasSubstr("it takes 4 bytes, and 3 are left"));
    EXPECT_EQ(calls, 0);
}

TEST(FunctionName, IsTheSameEachTime) {
    const function_name first = name_of_function<function_constant<&add>>();
    EXPECT_EQ(function_table().name_of(detail::described<function_constant<&add>>::value), first);
    EXPECT_EQ(&function_table().find(first), &detail::described<function_constant<&add>>::value);
    EXPECT_NE(first, name_of_function<function_constant<&nothing>>());
    EXPECT_EQ(refusal(first), "no error");
}

TEST(FunctionName, OfAnotherBuildIsRefused) {
    auto name = name_of_function<function_constant<&add>>();
    name.build ^= 1;
    EXPECT_THAT(refusal(name), HasSubstr("no such file is loaded in this process"));
}

TEST(FunctionName, WithAnotherSignatureIsRefused) {
    auto name = name_of_function<function_constant<&add>>();
    name.signature ^= 1;
    EXPECT_THAT(refusal(name), HasSubstr("with that signature; there is"));
}

TEST(FunctionName, WithAnotherOffsetIsRefused) {
    const auto name = name_of_function<function_constant<&add>>();
    calls = 0;
    auto wrong = name;
    const auto expect_refused = [&](std::uint64_t offset) {
        if (offset == name.offset) return;
        wrong.offset = offset;
        EXPECT_NE(refusal(wrong), "no error") << offset;
    };
    for (std::uint64_t misaligned = 0; misaligned < 8; ++misaligned)
        for (std::uint64_t i = 0; i < 64; ++i) {
            expect_refused((std::uint64_t{1} << i) + misaligned);
            expect_refused(~((std::uint64_t{1} << i) + misaligned));
        }
    for (std::uint64_t near = 1; near < 4096;
         ++near) { // what lies around it; other functions have other signatures
        expect_refused(name.offset + near);
        expect_refused(name.offset - near);
    }
    EXPECT_EQ(calls, 0);
}

// Bytes of a message that look like a descriptor, at an address that the sender guessed.
function_descriptor forged = detail::described<function_constant<&add>>::value;

TEST(FunctionName, OfADescriptorInWritableMemoryIsRefused) {
    forged.self = &forged;
    const auto& real = detail::described<function_constant<&add>>::value;
    auto name = name_of_function<function_constant<&add>>();
    name.offset += reinterpret_cast<std::uintptr_t>(&forged) - reinterpret_cast<std::uintptr_t>(&real);
    EXPECT_THAT(refusal(name), HasSubstr("no function at offset"));
    EXPECT_THROW((void)function_table().name_of(forged), wire_error);
    auto on_heap = std::make_unique<function_descriptor>(real);
    on_heap->self = on_heap.get();
    name.offset +=
        reinterpret_cast<std::uintptr_t>(on_heap.get()) - reinterpret_cast<std::uintptr_t>(&forged);
    EXPECT_THAT(refusal(name), HasSubstr("no function at offset"));
}

TEST(FunctionName, OfALibraryThatIsLoadedLater) {
    writer w;
    function_table functions; // has looked before the library comes
    (void)functions.find(name_of_function<function_constant<&nothing>>());
    void* library = dlopen(TENURE_TEST_BIN_DIR "/wire_functions.so", RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    auto* write_to = reinterpret_cast<void (*)(writer&)>(dlsym(library, "write_call_of_library"));
    ASSERT_NE(write_to, nullptr);
    write_to(w);
    reader start(w.message());
    EXPECT_NE(read<function_name>(start).build, name_of_function<function_constant<&nothing>>().build);
    reader r(w.message());
    writer result;
    run_call(functions, r, result);
    EXPECT_EQ(decode<std::string>(result.message()), "library: 42");
}

std::string output_of(const std::string& command) {
    std::string text;
    FILE* pipe = popen(command.c_str(), "r");
    std::array<char, 256> part{};
    while (std::fgets(part.data(), part.size(), pipe) != nullptr)
        text += part.data();
    text += "status " + std::to_string(pclose(pipe) >> 8);
    return text;
}

TEST(FunctionName, MeansTheSameInAnotherProcessOfTheBuildOnly) {
    const std::string program = TENURE_TEST_BIN_DIR "/wire_peer";
    EXPECT_EQ(output_of(program + " send | " + program + " run"), "42\nstatus 0");
    EXPECT_THAT(output_of(program + " send | " TENURE_TEST_BIN_DIR "/wire_stranger run"),
                HasSubstr("functions cannot be named between two builds"));
}

TEST(BuildId, IsInHexadecimal) {
    EXPECT_GE(build_id().size(), 16U);
    EXPECT_EQ(build_id(), build_id());
}

} // namespace
