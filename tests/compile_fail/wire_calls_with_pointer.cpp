// layer: wire
// expect: a parameter is a pointer, which means nothing in another process
#include <tenure/wire/function.hpp>

int first(const int* p);
void f(tenure::wire::writer& w, const int* p) { tenure::wire::write_call(w, tenure::wire::fn<&first>, p); }
