// A worker that writes anything into the memory that it shares with the parent: each call ends, once, with a value or an error; a
// job of several parts is told of no more parts than it has; and the pool goes on.
// Input: how the call is made, then what the worker does (hostile_worker.cpp).
#include "fuzz.hpp"

#include <tenure/core/scope.hpp>
#include <tenure/io/epoll_driver.hpp>
#include <tenure/process/pool.hpp>

#include <memory>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

class some_parts final : public tenure::runner::job, public tenure::runner::parts {
public:
    some_parts(std::span<const std::byte> call, std::size_t n) : call_(call), count_(n) {}
    void write_call(tenure::wire::writer& w) override { w.bytes(call_.data(), call_.size()); }
    void run_here() override { fuzz::require(false, "it runs elsewhere"); }
    void read_result(tenure::wire::reader&) override {}
    tenure::runner::parts* several() noexcept override { return this; }
    std::string_view name() const noexcept override { return "parts"; }
    std::size_t count() const noexcept override { return count_; }
    tenure::base::duration timeout() const noexcept override { return 20ms; }
    void read_value(tenure::wire::reader& r) override {
        ++told_;
        (void)tenure::wire::read<std::uint16_t>(r);
    }
    void failed(std::exception_ptr e, tenure::runner::part_failure /*how*/) override {
        fuzz::require(e != nullptr, "a part that has failed has a reason");
        ++told_;
    }
    std::size_t told() const noexcept { return told_; }

private:
    const std::span<const std::byte> call_;
    const std::size_t count_;
    std::size_t told_ = 0;
};

/// One for all inputs.
struct parent {
    tenure::core::runtime rt{{.threads = 1, .io = std::make_unique<tenure::io::epoll_driver>()}};
    tenure::process::pool workers{rt,
                                  {.workers = 1,
                                   .program = {std::string(TENURE_TEST_BIN_DIR) + "/hostile_worker"},
                                   .grace = 2ms,
                                   .max_message = 1 << 16}};
};
parent& the_parent() {
    static parent p;
    return p;
}

tenure::core::task<> attempt(tenure::process::pool& workers, std::span<const std::byte> call,
                             std::size_t how) {
    some_parts several(call, 1 + how % 4);
    try {
        if (how & 128)
            co_await workers.run(several);
        else
            (void)co_await workers.request(call, {.timeout = 20ms});
        if (how & 128) fuzz::require(several.told() > 0, "a job that returns has told of a part");
    } catch (const std::exception&) { // worker_died, wire_error, remote_error, timeout_error, usage_error
    }
    fuzz::require(several.told() <= several.count(), "no part is told of twice");
}

tenure::core::task<> both(tenure::process::pool& workers, std::span<const std::byte> call, std::size_t how) {
    co_await attempt(workers, call, how);
    // "\2\1" and nothing else: a value. The worker may die of what it did before, but not again and again.
    const std::byte good[] = {std::byte{2}, std::byte{1}};
    for (int i = 0;; ++i) {
        try {
            const auto answer = co_await workers.request(good, {.timeout = 500ms});
            fuzz::require(answer.empty(), "a call after it has its own answer");
            co_return;
        } catch (const tenure::base::error& e) {
            if (i < 3) continue;
            std::cerr << e.what() << '\n';
            fuzz::require(false, "the pool goes on");
        }
    }
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const std::size_t how = in.number();
    const auto call = in.rest();
    parent& p = the_parent();
    p.rt.block_on([&] { return both(p.workers, call, how); });
    while (p.rt.audit().tasks != 0) // a task that is left is a run that does not end
        std::this_thread::yield();
    return 0;
}
