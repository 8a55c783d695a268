#pragma once

#include "cli/options.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>

namespace tenure::inline v0::app {

/// What an ended item costs while it waits for its turn.
struct held_cost {
    std::size_t memory = 0; ///< bytes
    unsigned files = 0;     ///< descriptors
};

struct release_limits {
    std::uint64_t window = 1024; ///< items between the next one to be released and the last one started
    std::size_t memory = 8 * 1024 * 1024; ///< bytes; beyond it items are parked before they wait
    unsigned files = 256; ///< descriptors; beyond it nothing is started but the next one in turn

    /// window = max(1024, 8 * jobs); files = a quarter of the process's descriptor limit, at least 64.
    static release_limits for_jobs(unsigned jobs);
};

/// Puts ended items into the order in which they are released: as they end, or in the order of the input.
/// In input order a bounded number may run ahead of the slowest one; the next one in turn may always start,
/// so waiting for may_start() cannot dead-lock.
/// Sequence numbers are 1, 2, 3 …, each pushed exactly once.
template <class T>
class release_queue {
public:
    release_queue(item_order order, release_limits limits) : order_(order), limits_(limits) {}

    /// Whether item `seq` may be started now. In order of completion always.
    bool may_start(std::uint64_t seq) const {
        if (order_ == item_order::done || seq <= next_) return true;
        return seq - next_ < limits_.window && held_files_ < limits_.files;
    }

    /// The item should give its memory back (item_output::park) before it is pushed: it will wait, and too
    /// much is held.
    bool should_park(std::uint64_t seq, held_cost cost) const {
        return order_ == item_order::input && seq != next_ && held_memory_ + cost.memory > limits_.memory;
    }

    void push(std::uint64_t seq, T value, held_cost cost = {}) {
        if (order_ == item_order::done) {
            ready_.push_back(std::move(value));
            return;
        }
        held_memory_ += cost.memory;
        held_files_ += cost.files;
        waiting_.emplace(seq, entry{std::move(value), cost});
    }

    /// The next one in turn, if it has ended.
    std::optional<T> pop() {
        if (order_ == item_order::done) {
            if (ready_.empty()) return std::nullopt;
            std::optional<T> front(std::move(ready_.front()));
            ready_.pop_front();
            return front;
        }
        auto first = waiting_.begin();
        if (first == waiting_.end() || first->first != next_) return std::nullopt;
        return take(first);
    }

    /// As pop, but skips over items that have not been pushed: for a run that was stopped, where they never
    /// will be.
    std::optional<T> pop_any() {
        if (order_ == item_order::done || waiting_.empty()) return pop();
        next_ = waiting_.begin()->first;
        return take(waiting_.begin());
    }

    std::size_t size() const { return ready_.size() + waiting_.size(); }
    std::size_t held_memory() const { return held_memory_; }
    unsigned held_files() const { return held_files_; }

private:
    struct entry {
        T value;
        held_cost cost;
    };

    std::optional<T> take(typename std::map<std::uint64_t, entry>::iterator it) {
        std::optional<T> value(std::move(it->second.value));
        held_memory_ -= it->second.cost.memory;
        held_files_ -= it->second.cost.files;
        waiting_.erase(it);
        ++next_;
        return value;
    }

    item_order order_;
    release_limits limits_;
    std::deque<T> ready_;
    std::map<std::uint64_t, entry> waiting_;
    std::uint64_t next_ = 1;
    std::size_t held_memory_ = 0;
    unsigned held_files_ = 0;
};

} // namespace tenure::inline v0::app
