// A stranger's program: the facade alone, by its public names.
#include <tenure/tenure.hpp>

#include <iostream>

namespace {

tenure::task<int> product(int a, int b) { co_return a* b; }

} // namespace

int main() {
    tenure::runtime rt{{.threads = 1}};
    std::cout << "6 times 7 is " << rt.block_on(product, 6, 7) << "\n";
    rt.close(); // the audit counts a task until its last step, which may come after its result
    return rt.audit().clean() ? 0 : 1;
}
