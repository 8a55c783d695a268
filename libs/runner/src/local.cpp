#include <tenure/core/run_blocking.hpp>
#include <tenure/runner/local.hpp>

namespace tenure::inline v0::runner {

core::task<> inline_runner::run(job& j) {
    j.run_here();
    co_return;
}

/// A place that is given back.
class threads::taken {
public:
    explicit taken(const core::channel<place>& to) noexcept : to_(to) {}
    taken(const taken&) = delete;
    taken& operator=(const taken&) = delete;
    ~taken() { (void)to_.try_send(place()); }

private:
    const core::channel<place>& to_;
};

threads::threads(unsigned n) : width_(n), free_(n) {
    if (n == 0) throw base::usage_error("threads(0) would never run anything: give it at least one");
    for (unsigned i = 0; i < n; ++i)
        (void)free_.try_send(place());
}

core::task<> threads::run(job& j) {
    co_await free_.receive();
    const taken mine(free_);
    const auto here = [&j] { j.run_here(); };
    co_await core::run_blocking(here);
}

} // namespace tenure::inline v0::runner
