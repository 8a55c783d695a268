#include "tree_teller.hpp"

#include <tenure/core/tasks_elsewhere.hpp>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <exception>
#include <pthread.h>
#include <string>
#include <thread>
#include <unistd.h>

namespace tenure::inline v0::process::detail {
namespace {

using std::chrono::steady_clock;

struct sleeps {
    static void sleep(const std::atomic<std::uint32_t>& word, std::uint32_t while_it_is) noexcept {
        sleep_on(word, while_it_is);
    }
    static void parent(const std::atomic<std::uint32_t>& word) noexcept { wake_sleeper(word); }
};

// Constant once the worker serves.
const channel_memory* memory = nullptr;
const core::detail::scheduler* not_told = nullptr;
pid_t self = 0;

bool has_thread = false; // guarded by the lock of the table of runtimes

/// Whole lines, and one that says how much there was.
void shorten(std::string& text, std::size_t most) {
    if (text.size() <= most) return;
    const std::string last = "cut here: there are " + std::to_string(text.size()) + " bytes\n";
    const std::size_t kept = most - std::min(most, last.size());
    const std::size_t line = text.rfind('\n', kept == 0 ? 0 : kept - 1);
    text.resize(line == std::string::npos ? 0 : line + 1);
    text += last;
    text.resize(std::min(text.size(), most));
}

std::string trees_until(base::time_point until) noexcept {
    try {
        const auto left = until - steady_clock::now();
        if (left <= base::duration::zero()) return {}; // nobody waits for it any more
        // Those below us have a part of our time, so that we can still say what they did not: depth is bounded by that.
        constexpr base::duration least = std::chrono::milliseconds(4);
        const auto theirs = left < least ? base::duration::zero() : left / 4 * 3;
        std::string text = core::detail::trees_of_this_process(not_told, theirs);
        shorten(text, memory->tree().size());
        return text;
    } catch (const std::exception&) {
        return {}; // no memory for it
    }
}

void tell() noexcept {
    basic_tree_teller<decltype(channel::tree), sleeps> teller((*memory)->tree);
    for (;;) {
        const std::uint32_t request = teller.wait();
        const base::time_point until(base::duration((*memory)->tree.until.load(std::memory_order_relaxed)));
        const std::string text = trees_until(until);
        if (!text.empty()) std::memcpy(memory->tree().data(), text.data(), text.size());
        (*memory)->tree.size.store(static_cast<std::uint32_t>(text.size()), std::memory_order_relaxed);
        teller.answer(request);
    }
}

/// It takes none of the signals that the program handles.
bool start_thread() noexcept {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    for (const int crash : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS})
        sigdelset(&all, crash);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = true;
    try {
        std::thread t(tell);
        pthread_setname_np(t.native_handle(), "tenure-teller");
        t.detach(); // a worker leaves by _exit
    } catch (const std::exception&) {
        started = false; // no thread to be had: it tells nothing, and is not asked
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return started;
}

void runtimes_changed(std::size_t n) noexcept {
    if (getpid() != self) return; // a copy by fork: the channel is not its own
    if (n > 1 && !has_thread) has_thread = start_thread();
    const std::size_t told = has_thread ? n - std::min<std::size_t>(n, 1) : 0; // but for our own
    (*memory)->tree.tells.store(static_cast<std::uint32_t>(told), std::memory_order_relaxed);
}

} // namespace

void tell_tasks_of(const channel_memory& channel, const core::detail::scheduler& own) noexcept {
    memory = &channel;
    not_told = &own;
    self = getpid();
    core::detail::runtime_pin::watch(&runtimes_changed);
}

} // namespace tenure::inline v0::process::detail
