// layer: parallel
// expect: reduce: op is a lambda without captures
// expect-errors: 1
#include <tenure/parallel/parallel_for.hpp>

double weight(std::size_t i) { return static_cast<double>(i); }

void f(tenure::core::runtime& rt, tenure::runner::runner& r, double by) {
    (void)tenure::parallel::reduce(rt, r, 10, 0.0, tenure::runner::fn<&weight>,
                                   [by](double a, double b) { return a + by * b; });
}
