#include <tenure/core/detail/runtime_pin.hpp>
#include <tenure/core/detail/scheduler.hpp>

#include <algorithm>
#include <vector>

namespace tenure::inline v0::core::detail {
namespace {

struct entry {
    runtime_name who;
    bool open = true;
    unsigned pins = 0;
};
struct table {
    base::mutex m;
    base::condition unpinned;
    std::uint32_t epochs TENURE_GUARDED_BY(m) = 0;
    std::vector<entry> runtimes TENURE_GUARDED_BY(m);
    void (*changed)(std::size_t) noexcept TENURE_GUARDED_BY(m) = nullptr;

    void tell() TENURE_REQUIRES(m) {
        if (changed) changed(runtimes.size());
    }

    auto find(runtime_name who) TENURE_REQUIRES(m) {
        return std::ranges::find_if(
            runtimes, [&](const entry& e) { return e.who.at == who.at && e.who.epoch == who.epoch; });
    }
};
// Not a resource but the list of who lives. Never destroyed: handles may be used after the end of main().
table& the_table() {
    static auto* const t = new table;
    return *t;
}

} // namespace

runtime_pin::runtime_pin(runtime_name who) noexcept {
    table& t = the_table();
    base::mutex_lock l(t.m);
    const auto e = t.find(who);
    if (e == t.runtimes.end()) return;
    ++e->pins;
    runtime_ = who.at;
    epoch_ = who.epoch;
    open_ = e->open;
}
runtime_pin::~runtime_pin() {
    if (!runtime_) return;
    table& t = the_table();
    base::mutex_lock l(t.m);
    if (--t.find({runtime_, epoch_})->pins == 0) t.unpinned.notify_all();
}

std::uint32_t runtime_pin::enlist(scheduler& s) {
    table& t = the_table();
    base::mutex_lock l(t.m);
    const std::uint32_t epoch = ++t.epochs;
    t.runtimes.push_back({.who = {&s, epoch}});
    t.tell();
    return epoch;
}
bool runtime_pin::retire(scheduler& s) noexcept {
    table& t = the_table();
    base::mutex_lock l(t.m);
    for (;; t.unpinned.wait(t.m)) {
        const auto e = t.find({&s, s.epoch()}); // anew: the table may have moved
        if (e == t.runtimes.end()) return true;
        if (e->pins > 0) continue;
        if (s.root_tasks() > 0) return false;
        t.runtimes.erase(e);
        t.tell();
        return true;
    }
}
void runtime_pin::shut(scheduler& s) noexcept {
    table& t = the_table();
    base::mutex_lock l(t.m);
    t.find({&s, s.epoch()})->open = false;
}
void runtime_pin::strike(scheduler& s) noexcept {
    table& t = the_table();
    base::mutex_lock l(t.m);
    for (;; t.unpinned.wait(t.m)) {
        const auto e = t.find({&s, s.epoch()});
        if (e == t.runtimes.end()) return;
        if (e->pins > 0) continue;
        t.runtimes.erase(e);
        return t.tell();
    }
}
std::vector<runtime_name> runtime_pin::all() {
    table& t = the_table();
    base::mutex_lock l(t.m);
    std::vector<runtime_name> names;
    names.reserve(t.runtimes.size());
    for (const entry& e : t.runtimes)
        names.push_back(e.who);
    return names;
}
void runtime_pin::watch(void (*changed)(std::size_t runtimes) noexcept) noexcept {
    table& t = the_table();
    base::mutex_lock l(t.m);
    t.changed = changed;
    t.tell();
}

} // namespace tenure::inline v0::core::detail
