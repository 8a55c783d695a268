// Awaiting what another library offers: here a timer that resumes on a thread of its own.
#include <tenure/tenure.hpp>

#include <coroutine>
#include <iostream>
#include <stop_token>
#include <string>
#include <thread>

using namespace std::chrono_literals;
using tenure::task;

namespace other {

/// Knows nothing of tenure.
class timer {
public:
    explicit timer(std::chrono::milliseconds d) : d_(d) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) {
        thread_ = std::jthread([this, h] {
            const auto until = std::chrono::steady_clock::now() + d_;
            while (std::chrono::steady_clock::now() < until && !stop_.stop_requested())
                std::this_thread::sleep_for(1ms);
            h.resume();
        });
    }
    /// Whether its time is over.
    bool await_resume() const noexcept { return !stop_.stop_requested(); }
    /// Before, or meanwhile.
    void stop() { stop_.request_stop(); }

private:
    std::chrono::milliseconds d_;
    std::stop_source stop_;
    std::jthread thread_;
};

} // namespace other

task<> waits(std::chrono::milliseconds d) {
    other::timer t(d);
    // A cancellation does not end what is not ours. Who can end it is told: here by the task's stop token.
    const auto mine = tenure::context::current();
    const std::stop_callback on_cancel(mine.stop_token(), [&] { t.stop(); });
    const bool expired = co_await tenure::foreign(t); // an lvalue is borrowed
    std::cout << (expired ? "expired" : "was stopped") << "\n";
    co_await tenure::checkpoint();
}

task<> app() {
    co_await waits(5ms);
    co_await tenure::move_on_after(20ms, waits, 24h);
}

int main() { return tenure::run(app); }
