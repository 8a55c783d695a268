// layer: wire
// expect: an aggregate function object; captures are invisible to the compiler
#include <tenure/wire/function.hpp>

void f(tenure::wire::writer& w, const std::function<int(int)>& g) { tenure::wire::write_call(w, g, 1); }
