// layer: wire
// expect: long double differs between machines: send a double
#include <tenure/wire/codec.hpp>

void f(tenure::wire::writer& w, const long double& v) { tenure::wire::write(w, v); }
