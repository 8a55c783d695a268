// layer: wire
// expect: a view would point into the message
#include <tenure/wire/codec.hpp>

auto f(tenure::wire::reader& r) { return tenure::wire::read<std::vector<std::span<const int>>>(r); }
