// What the items of a batch gave.
#pragma once
#include <tenure/parallel/detail/jobs.hpp>
#include <tenure/parallel/item_outcome.hpp>

#include <vector>

namespace tenure::inline v0::parallel::detail {

template <class T>
class results : public batch {
public:
    using batch::batch;
    virtual void clear() noexcept = 0;
    void time_out(std::size_t k, std::exception_ptr e) override {
        put(k, failure(std::move(e)), item_status::timed_out);
    }
    void count_results(map_progress& p) const noexcept override {
        for (const auto& one : out) {
            if (!one) continue;
            switch (one->status()) {
            case item_status::done: ++p.done; break;
            case item_status::failed:
            case item_status::worker_died: ++p.failed; break;
            case item_status::timed_out: ++p.timed_out; break;
            case item_status::cancelled: ++p.cancelled; break;
            }
        }
    }
    void put(std::size_t k, base::outcome<T>&& how, item_status failed = item_status::failed) {
        try {
            out[k].emplace(first + k, std::move(how), failed, attempt);
        } catch (...) { // what moving the value throws
            out[k].emplace(first + k, failure(std::current_exception()), item_status::failed, attempt);
        }
    }
    static base::outcome<T> failure(std::exception_ptr e) { return base::outcome<T>::failure(std::move(e)); }
    // Of those whose turn is over, and that are not tried again.
    std::vector<std::optional<item_outcome<T>>> out;
};

} // namespace tenure::inline v0::parallel::detail
