#include <tenure/core/task_set.hpp>

#include <algorithm>
#include <utility>

namespace tenure::inline v0::core::detail {

task_set_state::~task_set_state() { release_all(first_); }

base::ref<task_set_state::member> task_set_state::expect() {
    base::mutex_lock l(m_);
    auto m = base::ref<member>::adopt(new member(base::ref<task_set_state>::share(this), spawned_));
    ++spawned_;
    ++running_;
    return m;
}
void task_set_state::forget() noexcept {
    waiter* chain = nullptr;
    {
        base::mutex_lock l(m_);
        if (--running_ == 0) chain = unlist_all();
    }
    complete_all(chain);
}
void task_set_state::member::ended(task_object& t) noexcept {
    task_ = base::ref<task_object>::share(&t);
    const auto set = std::exchange(set_, nullptr);
    set->has_ended(*this);
}
void task_set_state::has_ended(member& m) noexcept {
    waiter* chain = nullptr;
    {
        base::mutex_lock l(m_);
        waiter* w = waiters_;
        while (w && w->for_all)
            w = w->next;
        if (w) { // then nothing is kept
            unlist(*w);
            w->got = std::move(m.task_);
        } else {
            m.add_ref();
            (last_ ? last_->next_ : first_) = &m;
            last_ = &m;
            ++kept_;
        }
        if (--running_ == 0) chain = unlist_all();
        if (w) {
            w->next = chain;
            chain = w;
        }
    }
    complete_all(chain);
}

bool task_set_state::wait(waiter& w) noexcept {
    member* taken = nullptr;
    {
        base::mutex_lock l(m_);
        if (w.for_all || !first_) {
            if (running_ == 0) return true;
            w.listed = true;
            w.next = nullptr;
            w.prev = last_waiter_;
            (last_waiter_ ? last_waiter_->next : waiters_) = &w;
            last_waiter_ = &w;
            return false;
        }
        taken = first_;
        first_ = taken->next_;
        if (!first_) last_ = nullptr;
        --kept_;
    }
    w.got = std::move(taken->task_);
    taken->release();
    return true;
}
bool task_set_state::withdraw(waiter& w) noexcept {
    base::mutex_lock l(m_);
    if (!w.listed) return false;
    unlist(w);
    return true;
}
void task_set_state::unlist(waiter& w) noexcept {
    (w.prev ? w.prev->next : waiters_) = w.next;
    (w.next ? w.next->prev : last_waiter_) = w.prev;
    w.listed = false;
}
task_set_state::waiter* task_set_state::unlist_all() noexcept {
    for (waiter* w = waiters_; w; w = w->next)
        w->listed = false;
    last_waiter_ = nullptr;
    return std::exchange(waiters_, nullptr);
}
void task_set_state::complete_all(waiter* chain) noexcept {
    while (chain) { // each may be gone as soon as it is completed
        waiter* const w = chain;
        chain = w->next;
        w->waiting->complete();
    }
}

std::size_t task_set_state::size() noexcept {
    base::mutex_lock l(m_);
    return running_ + kept_;
}
std::vector<base::ref<task_object>> task_set_state::take_all() {
    std::vector<const member*> all;
    std::vector<base::ref<task_object>> tasks;
    base::ref<task_object> without_value;
    member* chain = nullptr;
    {
        base::mutex_lock l(m_);
        all.reserve(kept_);
        tasks.reserve(kept_);
        for (member* m = first_; m; m = m->next_) {
            all.push_back(m);
            const task_status how = m->task_->status();
            if (how == task_status::done) continue;
            if (!without_value || (how == task_status::failed && without_value->status() != how))
                without_value = m->task_;
        }
        if (!without_value) {
            chain = std::exchange(first_, nullptr);
            last_ = nullptr;
            kept_ = 0;
        }
    }
    if (without_value) without_value->throw_unless_done();
    std::sort(all.begin(), all.end(),
              [](const member* a, const member* b) { return a->number_ < b->number_; });
    for (const member* m : all)
        tasks.push_back(m->task_);
    release_all(chain);
    return tasks;
}
void task_set_state::release_all(member* chain) noexcept {
    while (chain) {
        member* const m = chain;
        chain = m->next_;
        m->release();
    }
}

} // namespace tenure::inline v0::core::detail
