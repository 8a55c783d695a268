#include <tenure/core/detail/context_node.hpp>
#include <tenure/core/detail/run_order.hpp>
#include <tenure/core/detail/timer_queue.hpp>

#include <algorithm>

namespace tenure::inline v0::core::detail {

bool timer_queue::add(timer& t) {
    base::mutex_lock l(m_);
    const std::size_t last = heap_.size();
    heap_.emplace_back(t.at, ++armed_, &t);
    sift_up(last);
    return t.index_ == 0;
}
bool timer_queue::remove(timer& t) noexcept {
    base::mutex_lock l(m_);
    if (t.index_ == timer::idle) return false;
    take_out(t.index_);
    return true;
}
base::time_point timer_queue::expire(base::time_point now, run_order* order) noexcept {
    held_nodes visited;
    return expire_until(now, order, visited);
}
base::time_point timer_queue::expire_until(base::time_point now, run_order* order,
                                           held_nodes& visited) noexcept {
    base::mutex_lock l(m_);
    while (!heap_.empty() && heap_[0].at <= now) {
        timer* t = heap_[0].t;
        take_out(0);
        t->fire(visited);
        if (order && order->pause()) break;
    }
    return heap_.empty() ? base::never : heap_[0].at;
}
base::time_point timer_queue::next() noexcept {
    base::mutex_lock l(m_);
    return heap_.empty() ? base::never : heap_[0].at;
}
std::size_t timer_queue::size() noexcept {
    base::mutex_lock l(m_);
    return heap_.size();
}

void timer_queue::place(std::size_t i, entry e) noexcept {
    heap_[i] = e;
    e.t->index_ = i;
}
void timer_queue::sift_up(std::size_t i) noexcept {
    const entry e = heap_[i];
    while (i > 0) {
        const std::size_t up = (i - 1) / 4;
        if (!e.before(heap_[up])) break;
        place(i, heap_[up]);
        i = up;
    }
    place(i, e);
}
void timer_queue::sift_down(std::size_t i) noexcept {
    const entry e = heap_[i];
    for (;;) {
        const std::size_t first = 4 * i + 1;
        if (first >= heap_.size()) break;
        std::size_t least = first;
        for (std::size_t c = first + 1; c < std::min(first + 4, heap_.size()); ++c)
            if (heap_[c].before(heap_[least])) least = c;
        if (!heap_[least].before(e)) break;
        place(i, heap_[least]);
        i = least;
    }
    place(i, e);
}
void timer_queue::take_out(std::size_t i) noexcept {
    heap_[i].t->index_ = timer::idle;
    const entry last = heap_.back();
    heap_.pop_back();
    if (i == heap_.size()) return;
    place(i, last);
    sift_up(i);
    sift_down(last.t->index_);
}

} // namespace tenure::inline v0::core::detail
