// layer: parallel
// expect-success
#include <tenure/parallel/parallel_for.hpp>

#include <string>
#include <vector>

std::size_t length(const std::string& s) { return s.size(); }
double weight(std::size_t i) { return static_cast<double>(i); }

void f(tenure::core::runtime& rt, tenure::runner::runner& r) {
    (void)tenure::parallel::map(rt, r, std::vector<const char*>{"one", "two"}, tenure::runner::fn<&length>);
    (void)tenure::parallel::map_outcomes(rt, r, std::vector<int>{1, 2}, [](int x) { return -x; });
    (void)tenure::parallel::reduce(rt, r, 10, 0.0, tenure::runner::fn<&weight>, std::plus<>());
}
