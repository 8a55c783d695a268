// layer: wire
// expect: a pointer means nothing in another process: send the value, or a std::unique_ptr
#include <tenure/wire/codec.hpp>

struct list {
    int value;
    list* next;
};
void f(tenure::wire::writer& w, const list& v) { tenure::wire::write(w, v); }
