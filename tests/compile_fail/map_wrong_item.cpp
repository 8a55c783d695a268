// layer: parallel
// expect: map: the function cannot be called with an item
// expect-errors: 1
#include <tenure/parallel/map.hpp>

#include <string>
#include <vector>

void f(tenure::core::runtime& rt) {
    (void)tenure::parallel::map(rt, std::vector<int>{1, 2}, [](const std::string& s) { return s.size(); });
}
