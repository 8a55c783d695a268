// layer: parallel
// expect: map: an item cannot become the type of the function's parameter
// expect-errors: 1
#include <tenure/parallel/map.hpp>

#include <string>
#include <vector>

std::size_t length(const std::string& s) { return s.size(); }

void f(tenure::core::runtime& rt, tenure::runner::runner& r) {
    (void)tenure::parallel::map(rt, r, std::vector<int>{1, 2}, tenure::runner::fn<&length>);
}
