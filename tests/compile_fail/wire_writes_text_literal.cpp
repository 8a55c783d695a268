// layer: wire
// expect: a C array has no value semantics: use std::array, std::vector, or std::string for text
#include <tenure/wire/codec.hpp>

void f(tenure::wire::writer& w) { tenure::wire::write(w, "text"); }
