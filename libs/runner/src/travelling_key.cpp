#include <tenure/base/mutex.hpp>
#include <tenure/runner/travelling_key.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenure::inline v0::runner {
namespace detail {
namespace {

struct all_keys {
    base::mutex m;
    std::vector<std::unique_ptr<carried_key>> keys TENURE_GUARDED_BY(m); // those that have gone, too
};
all_keys& known() {
    static all_keys* const all = new all_keys; // never destroyed: keys of other files may go later
    return *all;
}
/// Of those of one name: each is known while it is alone.
void settle(const std::vector<std::unique_ptr<carried_key>>& keys, std::string_view name) noexcept {
    using state = carried_key::state;
    const auto counts = [&](const auto& k) {
        return k->name == name && k->is.load(std::memory_order_relaxed) != state::gone;
    };
    const bool alone = std::count_if(keys.begin(), keys.end(), counts) == 1;
    for (const auto& k : keys)
        if (counts(k)) k->is.store(alone ? state::known : state::ambiguous, std::memory_order_relaxed);
}

/// Null: not here.
const carried_key* find(std::string_view name) {
    all_keys& all = known();
    base::mutex_lock l(all.m);
    for (const auto& k : all.keys)
        if (k->name == name && k->is.load(std::memory_order_relaxed) != carried_key::state::gone)
            return k.get();
    return nullptr;
}
void check(const carried_key& k) {
    if (k.is.load(std::memory_order_relaxed) == carried_key::state::ambiguous)
        throw base::usage_error("this program has two keys of the name \"" + std::string(k.name) +
                                "\" that travel, and no other process could tell them apart: give each "
                                "travelling_key a name of its own, and one that stands in a header `inline`");
}

} // namespace

carried_key& carried_key::add(const char* name, const void* key, of_type how) {
    all_keys& all = known();
    base::mutex_lock l(all.m);
    all.keys.push_back(std::unique_ptr<carried_key>(new carried_key(name, key, how)));
    carried_key& made = *all.keys.back();
    settle(all.keys, name);
    return made;
}
void carried_key::remove() noexcept {
    all_keys& all = known();
    base::mutex_lock l(all.m);
    is.store(state::gone, std::memory_order_relaxed);
    settle(all.keys, name);
}

} // namespace detail

void write_travelling_values(wire::writer& to, const core::detail::strand& s) {
    const auto* const first = s.values ? s.values->first_that_travels() : nullptr;
    for (const auto* b = first; b; b = b->next_that_travels()) {
        const auto& key = static_cast<const detail::carried_key&>(*b->carried_by());
        if (key.is.load(std::memory_order_relaxed) == detail::carried_key::state::gone) continue;
        if (s.values->find(b->key()) != b->value()) continue; // a nearer one hides it
        detail::check(key);
        wire::write(to, std::string(key.name));
        const std::size_t size_at = to.size();
        to.fixed(std::uint64_t{0});
        key.how.write(to, b->value());
        to.fixed_at(size_at, std::uint64_t{to.size() - size_at - sizeof(std::uint64_t)});
    }
}

base::ref<core::detail::binding> read_travelling_values(std::span<const std::byte> message) {
    base::ref<core::detail::binding> bound;
    wire::reader from(message);
    while (from.left() != 0) {
        const auto name = wire::read<std::string>(from);
        const auto size = from.fixed<std::uint64_t>("size of a context value");
        const std::span value(from.bytes(size, "a context value"), size);
        const detail::carried_key* const key = detail::find(name);
        if (!key) continue;
        detail::check(*key);
        wire::reader one(value);
        bound = key->how.bind(*key, std::move(bound), one);
    }
    return bound;
}

} // namespace tenure::inline v0::runner
