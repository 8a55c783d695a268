// layer: core
// expect: stream_of copies the items of a view and of what is passed by std::ref: to have them moved out pass the container itself, by std::move
#include <tenure/core/stream_combine.hpp>

#include <memory>
#include <vector>

void f(tenure::core::group g, std::vector<std::unique_ptr<int>>& owned) {
    auto s = tenure::core::stream_of(g, std::ref(owned));
}
