#include <tenure/core/context_scope.hpp>
#include <tenure/core/run_blocking.hpp>
#include <tenure/runner/local.hpp>

namespace tenure::inline v0::runner {
namespace {

/// What a call, and all that is spawned inside it, has above it.
const core::context_key<std::shared_ptr<detail::call_turn>> inside_of{"inside of the call"};

class turn_over {
public:
    turn_over(detail::places& of, detail::call_turn& t) noexcept : of_(of), turn_(t) {}
    turn_over(const turn_over&) = delete;
    turn_over& operator=(const turn_over&) = delete;
    ~turn_over() { of_.leave(turn_); }

private:
    detail::places& of_;
    detail::call_turn& turn_;
};
class lends_while_it_waits final : public core::wait_listener {
public:
    lends_while_it_waits(detail::places& of, detail::call_turn& t) noexcept : of_(of), turn_(t) {}
    void wait_begins() noexcept override { of_.lend(turn_); }
    void wait_ends() noexcept override { of_.take_back(turn_); }

private:
    detail::places& of_;
    detail::call_turn& turn_;
};

} // namespace

core::task<> inline_runner::run(job& j) {
    j.run_here();
    co_return;
}

threads::threads(unsigned n) : width_(n), places_(n) {
    if (n == 0) throw base::usage_error("threads(0) would never run anything: give it at least one");
}

core::task<> threads::run(job& j) {
    const auto* const above = core::this_task::value(inside_of);
    const auto turn = std::make_shared<detail::call_turn>(places_, above ? *above : nullptr);
    places_.enter(turn);
    const turn_over at_end(places_, *turn);
    co_await turn->granted.wait();
    const auto on_thread = [&] {
        const lends_while_it_waits lending(places_, *turn);
        j.run_here();
    };
    const auto inside = [&]() -> core::task<> { co_await core::run_blocking(on_thread); };
    co_await core::with_value(inside_of, turn, inside);
}

} // namespace tenure::inline v0::runner
