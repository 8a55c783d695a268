// layer: runner
// expect: what is shared would silently become copies: send the value, or a std::unique_ptr
#include <tenure/runner/local.hpp>

#include <memory>

std::shared_ptr<int> make();
void f(tenure::runner::inline_runner& r) { (void)tenure::runner::call(r, tenure::runner::fn<&make>); }
