// Any bytes as a message of many types: a value that could have been written, or a wire_error, and nothing else.
// Input: number of the type, length of the segment, the segment, the message.
#include "fuzz.hpp"
#include "random_values.hpp"

#include <tenure/wire/codec.hpp>
#include <tenure/wire/view.hpp>

#include <algorithm>
#include <filesystem>

namespace wire = tenure::wire;

namespace {

enum class level : std::int16_t { low = -1, high = 3 };

struct nested {
    std::optional<std::unique_ptr<nested>> inner;
    std::variant<std::monostate, level, std::vector<nested>> choice;
    std::map<level, std::string> names;
};

} // namespace

template <>
inline constexpr auto wire::enum_range<level> = std::pair(level::low, level::high);

namespace {

/// Sets and maps have no fixed order in a message; everything else has one form.
enum class form : unsigned char { one, several };

template <class T>
void try_as(form f, std::span<const std::byte> message, wire::segment segment) {
    const std::span segments(&segment, segment.empty() ? 0 : 1);
    wire::reader r(message, segments, {.memory = 1 << 20});
    try {
        const T v = wire::read<T>(r);
        r.finish();
        const auto written = wire::encode(v);
        if (segments.empty() && f == form::one)
            fuzz::require(std::ranges::equal(written, message), "what was read is written again as it was");
        const auto again = wire::encode(wire::decode<T>(written));
        fuzz::require(again.size() == written.size(), "what was written is read again");
        if (f == form::one) fuzz::require(again == written, "what was written is read again as it was");
    } catch (const wire::wire_error& e) {
        fuzz::require(e.offset() <= message.size(), "the offset lies in the message");
    }
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const std::size_t type = in.number();
    const auto segment = in.take(in.number());
    const auto message = in.rest();
    switch (type % 12) {
    case 0: try_as<wire_test::everything>(form::several, message, segment); break;
    case 1: try_as<wire_test::tree>(form::one, message, segment); break;
    case 2: try_as<nested>(form::several, message, segment); break;
    case 3: try_as<std::vector<std::vector<std::string>>>(form::one, message, segment); break;
    case 4: try_as<std::tuple<wire::view<double>, wire::view<char>>>(form::one, message, segment); break;
    case 5: try_as<std::vector<std::optional<std::array<char, 10'000>>>>(form::one, message, segment); break;
    case 6: try_as<std::list<std::tuple<>>>(form::one, message, segment); break;
    case 7: try_as<std::unordered_map<std::string, std::set<int>>>(form::several, message, segment); break;
    case 8: try_as<std::pair<std::filesystem::path, std::vector<bool>>>(form::one, message, segment); break;
    case 9: try_as<std::vector<wire_test::point>>(form::one, message, segment); break;
    case 10:
        try_as<std::deque<std::variant<level, std::u32string, bool>>>(form::one, message, segment);
        break;
    default:
        try_as<std::array<std::unique_ptr<std::vector<std::uint16_t>>, 2>>(form::one, message, segment);
        break;
    }
    return 0;
}
