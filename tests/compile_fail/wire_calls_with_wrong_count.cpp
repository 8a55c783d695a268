// layer: wire
// expect: wrong number of arguments for this function
#include <tenure/wire/function.hpp>

int add(int a, int b);
void f(tenure::wire::writer& w) { tenure::wire::write_call(w, tenure::wire::fn<&add>, 1); }
