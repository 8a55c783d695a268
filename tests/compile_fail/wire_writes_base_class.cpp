// layer: wire
// expect: an aggregate with a base class: make the base a member, or specialise tenure::wire::codec
#include <tenure/wire/codec.hpp>

struct base {
    int a;
};
struct derived : base {
    int b;
};
void f(tenure::wire::writer& w, const derived& v) { tenure::wire::write(w, v); }
