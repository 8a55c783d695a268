// layer: wire
// expect: a view would point into the message: read a std::string or std::vector, or a
#include <tenure/wire/function.hpp>

int length(std::string_view v);
void f(tenure::wire::writer& w) { tenure::wire::write_call(w, tenure::wire::fn<&length>, "text"); }
