// A runner for tests on virtual time: its workers are pretended, and do whatever runner/parts.hpp lets a runner do.
#pragma once
#include <tenure/core/channel.hpp>
#include <tenure/core/sleep.hpp>
#include <tenure/runner/parts.hpp>

#include <cstdint>
#include <exception>
#include <random>
#include <utility>
#include <vector>

namespace tenure::inline v0::parallel {

/// Calls are written and read as messages, in this process. What the function does takes no time; then the results come one by
/// one, with pauses that the seed draws, or fewer of them than the call had items.
/// Threads: that of the test.
class simulated_workers final : public runner::runner {
public:
    // Thrown by an item's function, for what it would do to its worker.
    struct hangs {};
    struct dies {};

    simulated_workers(unsigned n, std::uint64_t seed) : width_(n), idle_(n), draw_(seed) {
        for (unsigned i = 0; i < n; ++i)
            (void)idle_.try_send(i);
    }

    core::task<> run(tenure::runner::job& j) override {
        const place_of one(idle_, (co_await idle_.receive()).value());
        auto& results = *j.several();
        const base::duration timeout = results.timeout();
        for (result& r : work_on(j)) {
            co_await core::sleep_for(r.how == what::hung ? timeout
                                                         : below(12) * std::chrono::milliseconds(1));
            switch (r.how) {
            case what::value: {
                wire::reader value(r.value);
                results.read_value(value);
                break;
            }
            case what::thrown: results.failed(r.error, tenure::runner::part_failure::thrown); break;
            case what::hung: results.failed(r.error, tenure::runner::part_failure::timed_out); break;
            case what::died: results.failed(r.error, tenure::runner::part_failure::worker_died); break;
            }
        }
    }
    unsigned width() const noexcept override { return width_; }
    std::string_view kind() const noexcept override { return "simulated"; }

private:
    enum class what : std::uint8_t { value, thrown, hung, died };
    struct result {
        what how;
        std::vector<std::byte> value;
        std::exception_ptr error;
    };
    /// As a worker would leave them behind.
    class results_of_items final : public tenure::runner::part_results {
    public:
        explicit results_of_items(std::size_t most) : most_(most) {}
        void begin() override { value_.clear(); }
        wire::writer& value() noexcept override { return value_; }
        bool end() override {
            const auto m = value_.message();
            return add({what::value, {m.begin(), m.end()}, nullptr});
        }
        bool end_failed() override {
            const std::exception_ptr e = std::current_exception();
            try {
                throw;
            } catch (const hangs&) {
                return add({what::hung, {}, e}) && false;
            } catch (const dies&) {
                return add({what::died, {}, e}) && false;
            } catch (...) {
                return add({what::thrown, {}, e});
            }
        }
        std::vector<result> take() { return std::move(results_); }

    private:
        bool add(result r) {
            results_.push_back(std::move(r));
            return results_.size() < most_;
        }
        const std::size_t most_;
        wire::writer value_;
        std::vector<result> results_;
    };
    class place_of {
    public:
        place_of(core::channel<unsigned>& of, unsigned which) noexcept : of_(of), which_(which) {}
        place_of(const place_of&) = delete;
        place_of& operator=(const place_of&) = delete;
        ~place_of() { (void)of_.try_send(which_); }

    private:
        core::channel<unsigned>& of_;
        unsigned which_;
    };

    std::vector<result> work_on(tenure::runner::job& j) {
        wire::writer call;
        j.write_call(call);
        results_of_items results(below(3) == 0 ? 1 + below(5) : SIZE_MAX);
        wire::reader r(call.message());
        wire::writer unused;
        wire::run_call(functions_, r, unused);
        return results.take();
    }
    unsigned below(unsigned n) { return static_cast<unsigned>(draw_() % n); }

    const unsigned width_;
    core::channel<unsigned> idle_;
    std::mt19937_64 draw_;
    wire::function_table functions_;
};

} // namespace tenure::inline v0::parallel
