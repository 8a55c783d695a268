// layer: wire
// expect: make it an aggregate (public members, no constructor, no base class), or
#include <tenure/wire/function.hpp>

struct handle {
    explicit handle(int);
    int number() const;
};
int number(handle h);
void f(tenure::wire::writer& w) { tenure::wire::write_call(w, tenure::wire::fn<&number>, handle(1)); }
