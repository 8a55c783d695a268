// layer: wire
// expect: it needs one operator() that is no template (a generic lambda: give its parameters types)
#include <tenure/wire/function.hpp>

void f(tenure::wire::writer& w) {
    tenure::wire::write_call(w, [](auto x) { return x; }, 1);
}
