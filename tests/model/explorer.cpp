#include "explorer.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace model {
namespace {

constexpr std::size_t nobody = max_threads;
constexpr std::size_t stack_bytes = 64 * 1024;

bool acquires(std::memory_order o) {
    return o == std::memory_order_acquire || o == std::memory_order_acq_rel || o == std::memory_order_seq_cst;
}
bool releases(std::memory_order o) {
    return o == std::memory_order_release || o == std::memory_order_acq_rel || o == std::memory_order_seq_cst;
}
std::string told(std::uint64_t v) { return std::to_string(v); }
std::uint64_t mixed(std::uint64_t h, std::uint64_t v) { // the finalizer of splitmix64, by Sebastiano Vigna
    h ^= v + 0x9e3779b97f4a7c15 + (h << 6) + (h >> 2);
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9;
    h = (h ^ (h >> 27)) * 0x94d049bb133111eb;
    return h ^ (h >> 31);
}

} // namespace

void world::thread(std::string name, std::function<void()> body) {
    if (threads_.size() == max_threads) std::abort();
    fiber f;
    f.name = std::move(name);
    f.body = std::move(body);
    threads_.push_back(std::move(f));
}

void world::begin_run() {
    threads_.clear();
    locations_.clear();
    tracked_.clear();
    bytes_.clear();
    trace_.clear();
    violation_.clear();
    common_ = {};
    depth_ = 0;
    cut_ = false;
}

void world::run_fibers() {
    static std::vector<std::vector<char>> stacks(max_threads, std::vector<char>(stack_bytes));
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        fiber& f = threads_[i];
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = stacks[i].data();
        f.context.uc_stack.ss_size = stacks[i].size();
        f.context.uc_link = nullptr;
        makecontext(&f.context, &world::enter_fiber, 0);
        clock_of(f.seen, i) = 1;
    }
    running_ = nobody;
    // The first pick() switches to a fiber and comes back here when the run is over, leaving the fibers where they are.
    volatile bool over = false;
    getcontext(&home_);
    if (!over) {
        over = true;
        pick();
    }
    running_ = nobody;
}

void world::enter_fiber() {
    world& w = *here;
    w.threads_[w.running_].body();
    w.threads_[w.running_].ended = true;
    w.pick();
    std::abort();
}

void world::leave() {
    setcontext(&home_);
    std::abort();
}

// Chooses who goes on. Returns when the thread that called it was chosen.
void world::pick() {
    if (depth_ >= replayed_ && !known_.insert(state()).second && !tracing_) {
        cut_ = true;
        leave();
    }
    std::array<std::size_t, max_threads> able{};
    unsigned n = 0;
    bool all_ended = true;
    auto consider = [&](std::size_t i) {
        if (threads_[i].ended) return;
        all_ended = false;
        if (!threads_[i].enabled || threads_[i].enabled()) able[n++] = i;
    };
    if (running_ != nobody) consider(running_); // first choice: no switch
    for (std::size_t i = 0; i < threads_.size(); ++i)
        if (i != running_) consider(i);
    if (all_ended) leave();
    if (n == 0) {
        std::string who;
        for (const auto& t : threads_)
            if (!t.ended) who += " " + t.name;
        violation_ = "lost wake-up: nobody can go on, waiting:" + who;
        leave();
    }
    const std::size_t next = able[choose(n)];
    const std::size_t before = running_;
    running_ = next;
    if (next == before) return;
    if (before == nobody || threads_[before].ended)
        setcontext(&threads_[next].context);
    else
        swapcontext(&threads_[before].context, &threads_[next].context);
}

void world::point(std::function<bool()> enabled) {
    learnt(0); // that it has come here
    threads_[running_].enabled = std::move(enabled);
    pick();
    threads_[running_].enabled = nullptr;
}

unsigned world::choose(unsigned n) {
    if (depth_ == path_.size()) path_.push_back({0, n});
    if (path_[depth_].of != n) std::abort(); // the scenario is not a function of its choices
    return path_[depth_++].taken;
}

bool world::backtrack() {
    while (!path_.empty() && path_.back().taken + 1 == path_.back().of)
        path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().taken;
    replayed_ = path_.size();
    return true;
}

void world::fail(std::string why) {
    violation_ = std::move(why);
    if (running_ == nobody) return;
    note([&] { return "VIOLATION " + violation_; });
    leave();
}

void world::learnt(std::uint64_t what) noexcept {
    threads_[running_].learnt = mixed(threads_[running_].learnt, what);
}

void signer::add(std::uint64_t v) noexcept {
    sum_.a = mixed(sum_.a, v);
    sum_.b = (sum_.b ^ v) * 0x9fb21c651e98df25 + (sum_.b >> 29);
}
void signer::add(const view& v) noexcept {
    for (std::size_t i = 0; i < locations_; ++i)
        add(v[i] > oldest_[i] ? v[i] - oldest_[i] : 0u);
    for (std::size_t i = 0; i < threads_; ++i)
        add_clock(i, v[max_locations + i]);
}
void signer::add_clock(std::size_t thread, std::uint16_t clock) noexcept {
    const std::uint16_t known_to_all = oldest_[max_locations + thread];
    add(clock > known_to_all ? clock - known_to_all : 0u);
}

world::signature world::state() const {
    signer s;
    s.locations_ = locations_.size();
    s.threads_ = threads_.size();
    s.oldest_.fill(UINT16_MAX);
    for (const auto& t : threads_) {
        if (t.ended) continue;
        for (std::size_t i = 0; i < s.oldest_.size(); ++i)
            s.oldest_[i] = std::min(s.oldest_[i], t.seen[i]);
    }
    for (const auto& t : threads_) {
        s.add(t.ended ? 1 : t.learnt);
        if (t.ended) continue;
        s.add(static_cast<std::uint64_t>(t.spurious_left));
        s.add(t.seen);
    }
    for (std::size_t i = 0; i < locations_.size(); ++i) {
        const auto& h = locations_[i].history;
        s.add(locations_[i].retired);
        for (std::size_t k = std::min<std::size_t>(s.oldest_[i], h.size() - 1); k < h.size(); ++k) {
            s.add(h[k].value);
            s.add(h[k].released);
        }
    }
    s.add(common_);
    for (const auto* t : tracked_)
        t->sign(s);
    for (const auto& [at, size] : bytes_) {
        for (std::size_t i = 0; i < size; i += sizeof(std::uint64_t)) {
            std::uint64_t word = 0;
            std::memcpy(&word, at + i, sizeof word);
            s.add(word);
        }
    }
    return s.sum_;
}

void world::join(view& into, const view& from) noexcept {
    for (std::size_t i = 0; i < into.size(); ++i)
        if (into[i] < from[i]) into[i] = from[i];
}

std::size_t world::new_location(std::uint64_t initial) {
    if (locations_.size() == max_locations) std::abort();
    locations_.push_back({{message{initial, {}}}});
    return locations_.size() - 1;
}
void world::access(std::size_t at, const char* what) {
    point();
    if (locations_[at].retired) fail(std::string("touched after its end: ") + what);
}
void world::enter_sc(std::memory_order order) noexcept {
    if (order == std::memory_order_seq_cst) join(seen(), common_);
}
void world::leave_sc(std::memory_order order) noexcept {
    if (order == std::memory_order_seq_cst) join(common_, seen());
}
void world::take_view(std::size_t at, std::size_t index, std::memory_order order) {
    if (seen()[at] < index) seen()[at] = static_cast<std::uint16_t>(index);
    if (acquires(order)) join(seen(), locations_[at].history[index].released);
}
void world::append(std::size_t at, std::uint64_t value, view released, std::memory_order order) {
    auto& h = locations_[at].history;
    seen()[at] = static_cast<std::uint16_t>(h.size());
    if (releases(order)) join(released, seen());
    h.push_back({value, released});
}
std::uint64_t world::load(std::size_t at, std::memory_order order) {
    access(at, "load");
    enter_sc(order);
    const auto& h = locations_[at].history;
    const std::size_t oldest = seen()[at];
    const std::size_t index = h.size() - 1 - choose(static_cast<unsigned>(h.size() - oldest));
    take_view(at, index, order);
    leave_sc(order);
    const std::uint64_t v = h[index].value;
    learnt(v);
    note([&] { return "loads " + told(v) + (index + 1 < h.size() ? " (old) from " : " from ") + told(at); });
    return v;
}
void world::store(std::size_t at, std::uint64_t value, std::memory_order order) {
    access(at, "store");
    enter_sc(order);
    append(at, value, {}, order);
    leave_sc(order);
    note([&] { return "stores " + told(value) + " to " + told(at); });
}
std::uint64_t world::modify(std::size_t at, const std::function<std::uint64_t(std::uint64_t)>& f,
                            std::memory_order order) {
    access(at, "read-modify-write");
    enter_sc(order);
    const message last = locations_[at].history.back();
    take_view(at, locations_[at].history.size() - 1, order);
    append(at, f(last.value), last.released, order); // goes on with the release sequence
    leave_sc(order);
    learnt(last.value);
    note([&] { return "changes " + told(last.value) + " to " + told(f(last.value)) + " in " + told(at); });
    return last.value;
}
bool world::compare_exchange(std::size_t at, std::uint64_t& expected, std::uint64_t desired,
                             std::memory_order success, std::memory_order failure, bool weak) {
    access(at, "compare_exchange");
    enter_sc(success);
    const auto& h = locations_[at].history;
    // Success reads the newest value. Failure is a load: of another value than the expected one, or for no reason.
    std::array<std::size_t, 64> fails;
    unsigned n = 0;
    for (std::size_t i = h.size(); i-- > seen()[at] && n < fails.size();)
        if (h[i].value != expected || (weak && threads_[running_].spurious_left > 0)) fails[n++] = i;
    const bool can_succeed = h.back().value == expected;
    const unsigned k = choose(n + can_succeed);
    if (can_succeed && k == 0) {
        const message last = h.back();
        take_view(at, h.size() - 1, success);
        append(at, desired, last.released, success);
        leave_sc(success);
        learnt(1);
        note([&] { return "changes " + told(expected) + " to " + told(desired) + " in " + told(at); });
        return true;
    }
    const std::size_t index = fails[k - can_succeed];
    const std::uint64_t v = h[index].value;
    if (v == expected) --threads_[running_].spurious_left;
    take_view(at, index, failure);
    learnt(2);
    learnt(v);
    note([&] { return "fails to change " + told(expected) + " in " + told(at) + ", reads " + told(v); });
    expected = v;
    return false;
}
void world::retire(std::size_t at) {
    if (running_ == nobody) return;
    point();
    locations_[at].retired = true;
    note([&] { return "ends " + told(at); });
}

} // namespace model
