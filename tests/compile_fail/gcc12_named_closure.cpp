// layer: core
// expect-success
// The control of gcc12_temporary_closure: with a name it compiles everywhere, and clang takes the temporary, too.
#include <tenure/core/scope.hpp>

#include <memory>
#include <string>

tenure::core::task<> parent() {
    auto body = [s = std::make_shared<std::string>("kept")]() -> tenure::core::task<> { co_return; };
    co_await tenure::core::with_timeout(std::chrono::seconds(3), body);
    int local = 0;
    co_await tenure::core::with_timeout(std::chrono::seconds(3),
                                        [&local]() -> tenure::core::task<> { co_return (void)++ local; });
#if defined(__clang__)
    auto p = std::make_unique<int>(1);
    co_await tenure::core::with_timeout(std::chrono::seconds(3),
                                        [q = std::move(p)]() -> tenure::core::task<> { co_return; });
#endif
}

int main() {}
