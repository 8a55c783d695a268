// layer: core
// expect: an item of a channel must be nothrow-movable, or it could be lost on its way: send a std::unique_ptr to it
#include <tenure/core/channel.hpp>

struct item {
    item() = default;
    item(const item&) = delete;
    item& operator=(const item&) = delete;
};
void f() { tenure::core::channel<item> c(1); }
