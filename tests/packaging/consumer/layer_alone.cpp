// One layer without the facade: links tenure::core and what core needs, no more.
#include <tenure/core/runtime.hpp>
#include <tenure/core/task.hpp>

namespace {

tenure::core::task<int> answer() { co_return 42; }

} // namespace

int main() {
    tenure::core::runtime rt{{.threads = 0}};
    return rt.block_on(answer) == 42 ? 0 : 1;
}
