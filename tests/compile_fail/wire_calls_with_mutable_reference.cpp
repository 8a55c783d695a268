// layer: wire
// expect: a parameter is a reference that is not const: changes would be lost in the other process
#include <tenure/wire/function.hpp>

void fill(std::vector<int>& v);
void f(tenure::wire::writer& w, std::vector<int>& v) {
    tenure::wire::write_call(w, tenure::wire::fn<&fill>, v);
}
