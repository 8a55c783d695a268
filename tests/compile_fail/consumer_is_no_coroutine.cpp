// layer: core
// expect: with_stream takes the consumer first, a coroutine: [](stream<T> s) -> task<> { … }
#include <tenure/core/stream.hpp>

tenure::core::task<> produce(tenure::core::sink<int>);

tenure::core::task<> f() {
    co_await tenure::core::with_stream([](tenure::core::stream<int>) {}, produce);
}
