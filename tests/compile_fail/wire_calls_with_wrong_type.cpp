// layer: wire
// expect: an argument cannot become the type of its parameter
#include <tenure/wire/function.hpp>

int add(int a, int b);
void f(tenure::wire::writer& w) { tenure::wire::write_call(w, tenure::wire::fn<&add>, 1, std::string("2")); }
