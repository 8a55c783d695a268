// layer: wire
// expect: give it an underlying type (enum e : int), or specialise tenure::wire::enum_range
#include <tenure/wire/codec.hpp>

enum loose { one = 1, two = 2 };
void f(tenure::wire::writer& w, loose v) { tenure::wire::write(w, static_cast<const loose&>(v)); }
