// layer: process
// expect: an argument cannot become the type of its parameter
#include <tenure/process/pool.hpp>

namespace process = tenure::process;

double sum(const process::shared_buffer<double>& b);
void f(process::pool& p, process::shared_buffer<double>& b) { (void)p.call(tenure::wire::fn<&sum>, b); }
