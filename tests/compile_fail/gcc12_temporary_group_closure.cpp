// layer: core
// expect(gcc): GCC 12 destroys a temporary lambda with captures twice inside co_await: give the lambda a name first
// expect(clang): only_gcc_refuses_this
#include <tenure/core/group.hpp>

#include <memory>

#if defined(__clang__)
#error only_gcc_refuses_this
#endif
tenure::core::task<> parent() {
    auto p = std::make_unique<int>(1);
    co_await tenure::core::with_group(
        [q = std::move(p)](tenure::core::group) -> tenure::core::task<> { co_return; });
}
