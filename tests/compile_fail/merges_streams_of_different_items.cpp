// layer: core
// expect: merge takes streams of the same item: bring them to one type first, by map()
#include <tenure/core/stream_combine.hpp>

void f(tenure::core::stream<int> a, tenure::core::stream<long> b) {
    auto s = tenure::core::merge(std::move(a), std::move(b));
}
