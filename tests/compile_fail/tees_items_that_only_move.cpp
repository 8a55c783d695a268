// layer: core
// expect: tee gives each of its streams a copy of every item, and this one cannot be copied: make a std::shared_ptr of it, by map()
#include <tenure/core/stream_combine.hpp>

#include <memory>

void f(tenure::core::stream<std::unique_ptr<int>> s) { auto branches = tenure::core::tee(std::move(s)); }
