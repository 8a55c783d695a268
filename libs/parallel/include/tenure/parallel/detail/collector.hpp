// The end of a map: the collector, which hands its results on; and the producer of its stream, which runs both ends.
#pragma once
#include <tenure/core/group.hpp>
#include <tenure/core/stream.hpp>
#include <tenure/core/this_task.hpp>
#include <tenure/parallel/detail/results.hpp>

#include <map>
#include <utility>
#include <vector>

namespace tenure::inline v0::parallel::detail {

// Hands results on, each once. An item that is tried again is missing in its batch, and comes in one of its own.
// T: what the function gives. Out: that, or how each item ended.
template <class Out, class T>
class collector {
    static constexpr bool outcomes = std::is_same_v<Out, item_outcome<T>>;

public:
    collector(core::sink<Out>& to, jobs& from) noexcept : to_(to), from_(from) {}

    core::task<> run() {
        batch_list spent;
        for (;;) {
            std::shared_ptr<batch> b = of_this_turn();
            const bool is_new = !b;
            if (!b) b = from_.done_now(spent);
            if (!b) b = co_await from_.next_done();
            if (!b) break;
            auto& out = results_of(*b);
            // What lies before its turn has been handed on.
            const std::size_t begin = from_.plan.in_order && b->first < turn_ ? turn_ - b->first : 0;
            for (std::size_t k = there(*b, begin); k < out.size(); k = there(*b, k)) {
                if (from_.plan.in_order && b->first + k != turn_) {
                    if (is_new && fails_at_once()) throw_failure_of(*b, k);
                    keep(std::exchange(b, nullptr), k);
                    break;
                }
                const std::size_t from = k;
                for (; k < out.size() && out[k]; ++k) {
                    auto& one = *out[k];
                    if constexpr (outcomes) {
                        co_await to_.send(std::move(one));
                    } else if (one) {
                        co_await to_.send(std::move(one).value());
                    } else if (fails_at_once()) {
                        (void)one.value();
                    } else {
                        failures_.push_back(failure_of(one));
                    }
                    out[k].reset();
                }
                turn_ = b->first + k;
                from_.delivered(k - from);
            }
            if (!b || !from_.batches_come_back()) continue;
            static_cast<results<T>&>(*b).clear();
            spent.push_front(std::move(b));
        }
        if (const auto e = from_.source_error()) failures_.push_back(e);
        if (failures_.size() == 1) std::rethrow_exception(failures_.front());
        if (!failures_.empty()) throw base::group_error(std::move(failures_));
    }

private:
    bool fails_at_once() const noexcept { return !outcomes && !from_.plan.keep_going; }
    static auto& results_of(batch& b) { return static_cast<results<T>&>(b).out; }
    // The first result from k on.
    static std::size_t there(batch& b, std::size_t k) {
        const auto& out = results_of(b);
        while (k < out.size() && !out[k])
            ++k;
        return k;
    }
    // Until the turn of result k, which is its first one.
    void keep(std::shared_ptr<batch> b, std::size_t k) {
        const std::size_t index = b->first + k;
        early_.emplace(index, std::move(b));
    }
    std::shared_ptr<batch> of_this_turn() {
        if (early_.empty() || early_.begin()->first != turn_) return nullptr;
        return early_.extract(early_.begin()).mapped();
    }
    static void throw_failure_of(batch& b, std::size_t k) {
        auto& out = results_of(b);
        for (; k < out.size(); ++k)
            if (out[k] && !*out[k]) (void)out[k]->value();
    }
    static std::exception_ptr failure_of(const item_outcome<T>& one) {
        try {
            (void)one.value();
        } catch (...) {
            return std::current_exception();
        }
        return nullptr;
    }
    core::sink<Out>& to_;
    jobs& from_;
    std::vector<std::exception_ptr> failures_;
    std::size_t turn_ = 0;                                // the item whose result comes next
    std::map<std::size_t, std::shared_ptr<batch>> early_; // by the first item whose result waits for its turn
};

template <class Out, class T>
core::task<> produce(core::sink<Out> to, std::shared_ptr<jobs> st) {
    const stop_jobs at_exit(*st);
    st->start_watch();
    auto parts = [&](core::group g) -> core::task<> {
        st->pause_in(g);
        if (st->plan.progress) (void)g.spawn_background(jobs::tell_progress, st);
        st->start_dispatcher(g);
        collector<Out, T> results(to, *st);
        co_await results.run();
    };
    std::exception_ptr failure;
    try {
        try {
            co_await core::with_group(std::ref(parts));
        } catch (const base::closed_error&) { // the runtime takes no more jobs
            core::this_task::checkpoint();    // nobody's loss, if the map was dropped
            throw;
        }
    } catch (...) {
        failure = std::current_exception();
    }
    st->stop();
    try {
        st->tell_end();
    } catch (...) {
        if (!failure) failure = std::current_exception();
    }
    if (failure) std::rethrow_exception(failure);
}

} // namespace tenure::inline v0::parallel::detail
