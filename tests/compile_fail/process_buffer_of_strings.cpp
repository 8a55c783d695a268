// layer: process
// expect: a shared_buffer holds what lies in memory as it does in a message
#include <tenure/process/pool.hpp>

#include <string>

void f(tenure::process::pool& p) { (void)p.buffer<std::string>(10); }
