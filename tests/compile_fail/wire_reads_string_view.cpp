// layer: wire
// expect: a view would point into the message: read a std::string or std::vector
#include <tenure/wire/codec.hpp>

std::string_view f(tenure::wire::reader& r) { return tenure::wire::read<std::string_view>(r); }
