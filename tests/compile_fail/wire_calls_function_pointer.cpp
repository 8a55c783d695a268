// layer: wire
// expect: a function pointer means nothing in another process: name the function, tenure::fn<&f>
#include <tenure/wire/function.hpp>

int add(int a, int b);
void f(tenure::wire::writer& w) { tenure::wire::write_call(w, &add, 1, 2); }
