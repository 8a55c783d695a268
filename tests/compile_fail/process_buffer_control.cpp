// layer: process
// expect-success
// The control of the process_buffer_ cases: what they should have been.
#include <tenure/process/pool.hpp>

#include <utility>

namespace process = tenure::process;

double sum(const process::shared_buffer<double>& b);
tenure::core::task<double> f(process::pool& p) {
    auto b = p.buffer<double>(10);
    co_return co_await p.call(tenure::wire::fn<&sum>, std::move(b));
}
