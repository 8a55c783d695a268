#include "worker_tasks.hpp"

#include <algorithm>
#include <poll.h>
#include <string>
#include <string_view>

namespace tenure::inline v0::process::detail {
namespace {

using std::chrono::steady_clock;

constexpr base::duration between_looks =
    std::chrono::milliseconds(5); // at the call, and whether the worker lives

std::int64_t ns(base::time_point t) noexcept { return t.time_since_epoch().count(); }

bool has_ended(int pidfd) noexcept {
    pollfd p{pidfd, POLLIN, 0};
    return poll(&p, 1, 0) > 0;
}

class worker_tasks final : public core::detail::tasks_elsewhere {
public:
    worker_tasks(pool_worker& w, std::uint64_t task) noexcept
        : worker_(base::ref<pool_worker>::share(&w)), task_(task), pidfd_(w.pidfd.get()) {}

    void ask(base::time_point until) override {
        if (!runs()) return;
        base::mutex_lock l(worker_->tree_m);
        wanted_ = worker_->tree.wanted();
        asked_ = true;
        worker_->tree.ask(wanted_, ns(steady_clock::now()), ns(until));
    }

    void take(core::tree_entry& e, base::time_point until) override {
        if (!asked_) return;
        while (runs()) { // otherwise it would not be the tree of this call
            const std::uint32_t seen = worker_->tree.seen();
            const auto now = steady_clock::now();
            {
                base::mutex_lock l(worker_->tree_m);
                if (worker_->tree.is_there()) {
                    worker_->tree_text = text();
                    worker_->tree.was_read();
                }
                if (worker_->tree.has(wanted_)) {
                    e.tasks = worker_->tree_text;
                    break;
                }
                if (now < until) worker_->tree.ask(wanted_, ns(now), ns(until));
            }
            if (now >= until || has_ended(pidfd_)) {
                e.answer = core::process_answer::missing;
                return;
            }
            sleep_on(worker_->memory->tree.answered, seen, std::min(between_looks, until - now));
        }
        if (!runs())
            e.tasks.clear();
        else if (!e.tasks.empty())
            e.answer = core::process_answer::given;
    }

private:
    /// The worker runs that call, and has run it since we were made: a task is taken once.
    bool runs() const noexcept {
        return worker_->ring.look(task_) == task_state::taken &&
               worker_->memory->tree.tells.load(std::memory_order_relaxed) != 0;
    }
    std::string text() const {
        const auto memory = worker_->memory.tree();
        const std::size_t said = worker_->memory->tree.size.load(std::memory_order_relaxed);
        const std::size_t size = std::min<std::size_t>(said, memory.size());
        std::string copy(reinterpret_cast<const char*>(memory.data()), size);
        copy = printable(copy);
        if (said > size) copy += "cut here: it says that there are " + std::to_string(said) + " bytes\n";
        return copy;
    }

    const base::ref<pool_worker> worker_;
    const std::uint64_t task_;
    const int pidfd_;
    // Confined to the dump.
    std::uint32_t wanted_ = 0;
    bool asked_ = false;
};

/// How many bytes the character at the begin of s has that may be shown; 0: there is none.
std::size_t shown_bytes(std::string_view s) noexcept {
    const auto byte = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
    const unsigned first = byte(0);
    if (first < 0x80) return first >= 0x20 && first != 0x7F ? 1 : 0;
    const std::size_t n = first >= 0xC2 && first <= 0xDF ? 2 : first <= 0xEF ? 3 : first <= 0xF4 ? 4 : 0;
    if (first < 0xC2 || n == 0) return 0;
    for (std::size_t i = 1; i < n; ++i)
        if ((byte(i) & 0xC0u) != 0x80) return 0;
    const unsigned second = byte(1);
    const bool wrong = (first == 0xC2 && second < 0xA0) ||  // control characters
                       (first == 0xE0 && second < 0xA0) ||  // longer than need be, as F0
                       (first == 0xED && second >= 0xA0) || // surrogates
                       (first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90);
    return wrong ? 0 : n;
}

} // namespace

base::ref<core::detail::tasks_elsewhere> tasks_of(pool_worker& w, std::uint64_t task) {
    if (w.memory->tree.tells.load(std::memory_order_relaxed) == 0) return nullptr;
    return base::ref<core::detail::tasks_elsewhere>::adopt(new worker_tasks(w, task));
}

std::string printable(std::string_view text) {
    std::string shown;
    shown.reserve(text.size() + 1);
    const auto end_line = [&] {
        if (!shown.empty() && shown.back() != '\n') shown += '\n';
    };
    while (!text.empty()) {
        const std::size_t n = shown_bytes(text);
        if (n != 0)
            shown.append(text.substr(0, n));
        else if (text[0] == '\n')
            end_line();
        else
            shown += '?';
        text.remove_prefix(std::max<std::size_t>(n, 1));
    }
    end_line();
    return shown;
}

} // namespace tenure::inline v0::process::detail
