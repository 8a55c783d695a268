// layer: core
// expect(gcc): GCC 12 destroys a temporary lambda with captures twice inside co_await: give the lambda a name first
// expect(clang): only_gcc_refuses_this
// GCC 12 miscompiles this shape; other compilers must accept it, which gcc12_named_closure shows for both.
#include <tenure/core/scope.hpp>

#include <memory>

#if defined(__clang__)
#error only_gcc_refuses_this
#endif
tenure::core::task<> parent() {
    auto p = std::make_unique<int>(1);
    co_await tenure::core::with_timeout(std::chrono::seconds(3),
                                        [q = std::move(p)]() -> tenure::core::task<> { co_return; });
}
