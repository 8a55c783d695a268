// A library that is loaded by function_test: its functions have names of its own.
#include <tenure/wire/function.hpp>

namespace {

std::string of_library(int n) { return "library: " + std::to_string(n); }

} // namespace

extern "C" __attribute__((visibility("default"))) void write_call_of_library(tenure::wire::writer& w) {
    tenure::wire::write_call(w, tenure::wire::fn<&of_library>, 42);
}
