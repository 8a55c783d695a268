// The handle of a pool.
#include "pool_state.hpp"

#include <memory>
#include <utility>

namespace tenure::inline v0::process {
namespace {
detail::pool_state& inside(const base::ref<detail::call_taker>& r) noexcept {
    return static_cast<detail::pool_state&>(*r);
}
pool_options with_workers(unsigned n, pool_options o) {
    o.workers = n;
    return o;
}
core::task<> carry(base::ref<detail::call_taker> to, tenure::runner::job& j) {
    tenure::runner::parts* const several = j.several();
    auto record = std::make_unique<detail::call_record>(
        call_options{.timeout = several ? several->timeout() : base::duration::max()}, to->store());
    // Parts may be run again, with what they were given: that is not for the worker to change.
    record->write_call(to->store(), [&] { j.write_call(record->message); }, !several);
    if (several) record->parts = several->count();
    co_await detail::await_job(std::move(to), std::move(record), j);
}
} // namespace

/// What is left of a pool for those who had it: it fails their calls.
class pool::handle final : public tenure::runner::runner {
public:
    core::task<> run(tenure::runner::job& j) override { return carry(state, j); }
    unsigned width() const noexcept override { return inside(state).width(); }
    std::uint64_t most_bytes() const noexcept override { return inside(state).most_bytes(); }
    std::string_view kind() const noexcept override { return "processes"; }
    base::ref<detail::call_taker> state;
};

pool::pool(pool_options o) : shared_(std::make_shared<handle>()) {
    const core::detail::strand* const s = core::detail::current_strand();
    if (!s)
        throw base::usage_error("process::pool: outside of a task it needs its runtime: pool(rt, options)");
    shared_->state = base::ref<detail::pool_state>::adopt(new detail::pool_state(*s->sched, std::move(o)));
    state_ = shared_->state;
}
pool::pool(core::runtime& rt, pool_options o) : shared_(std::make_shared<handle>()) {
    shared_->state = base::ref<detail::pool_state>::adopt(new detail::pool_state(rt.sched(), std::move(o)));
    state_ = shared_->state;
}
pool::pool(unsigned n, pool_options o) : pool(with_workers(n, std::move(o))) {}
pool::pool(core::runtime& rt, unsigned n, pool_options o) : pool(rt, with_workers(n, std::move(o))) {}
pool::~pool() {
    if (state().belongs_to_this_process())
        close();
    else
        (void)state_.detach(); // a copy by fork: all that it holds belongs to the original
}
core::task<> pool::run(tenure::runner::job& j) { return carry(state_, j); }
std::shared_ptr<tenure::runner::runner> pool::share() { return shared_; }
unsigned pool::width() const noexcept { return state().width(); }
std::uint64_t pool::most_bytes() const noexcept { return state().most_bytes(); }
void pool::close() noexcept { state().close(); }
pool_status pool::status() { return state().status(); }
base::ref<detail::shared_block> pool::new_block(std::size_t n, std::size_t each) {
    return state().new_block(n, each);
}
detail::pool_state& pool::state() const noexcept { return inside(state_); }

} // namespace tenure::inline v0::process
