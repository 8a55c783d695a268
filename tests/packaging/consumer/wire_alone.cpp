// A layer without the runtime: links tenure::wire and what it needs, no more.
#include <tenure/wire/codec.hpp>

#include <string>

struct item {
    std::string name;
    int price;
    bool operator==(const item&) const = default;
};

int main() {
    const item tea{"tea", 3};
    return tenure::wire::decode<item>(tenure::wire::encode(tea)) == tea ? 0 : 1;
}
