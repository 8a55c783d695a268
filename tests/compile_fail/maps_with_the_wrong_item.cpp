// layer: core
// expect: map takes a function of one item: [](T item) { return …; }
#include <tenure/core/stream.hpp>

#include <string>

void f(tenure::core::stream<int> s) {
    auto t = std::move(s).map([](const std::string& text) { return text.size(); });
}
