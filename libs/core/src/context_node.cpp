#include <tenure/core/detail/callback_state.hpp>
#include <tenure/core/detail/context_node.hpp>
#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/detail/strand.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace tenure::inline v0::core::detail {

[[gnu::noinline, gnu::cold]] void context_node::born_cancelled(const context_node& parent) noexcept {
    why_ = parent.why_;
    flag_.store(true, std::memory_order_release);
}

void context_node::end() noexcept {
    {
        base::mutex_lock l(m_);
        ended_ = true; // so no public context comes to hang below it any more
        owner_ = nullptr;
        parent_ = prev_ = next_ = nullptr;
        if (!first_) return;
    }
    end_contexts();
}

bool context_node::link_loosely(context_node& parent, base::time_point deadline) noexcept {
    base::mutex_lock l(parent.m_);
    if (parent.ended_) return false;
    loose_ = true;
    parent.add_ref();
    insert_below(parent, false, deadline);
    return true;
}
void context_node::unlink_loosely() noexcept {
    base::ref<context_node> parent;
    {
        base::mutex_lock l(m_);
        ended_ = true;
        parent = base::ref<context_node>::share(parent_); // alive: the link holds it
    }
    if (!parent) return;
    {
        base::mutex_lock lp(parent->m_);
        base::mutex_lock l(m_);
        if (!parent_) return; // the parent has ended meanwhile and let go of us
        remove_below(*parent);
        parent_ = prev_ = next_ = nullptr;
    }
    parent->release(); // the link's
}

// Takes the loose children off, each held by a reference, in front of `chain`. `links`: how many references they held on us.
context_node* context_node::detach_children(context_node* chain, unsigned& links) noexcept {
    for (context_node* c = first_; c;) {
        context_node* following = c->next_;
        if (c->loose_) {
            base::mutex_lock lc(c->m_);
            c->remove_below(*this);
            c->add_ref();
            c->parent_ = c->prev_ = nullptr;
            c->next_ = chain; // ours, now that it has no parent
            chain = c;
            ++links;
        }
        c = following;
    }
    return chain;
}
void context_node::end_orphans(context_node* chain) noexcept {
    base::cause_ptr why;
    while (chain) {
        const auto c = base::ref<context_node>::adopt(chain);
        chain = c->next_;
        if (!c->cancelled()) {
            if (!why)
                why = make_cause(base::reason::cancelled, "the scope that the context belongs to has ended");
            c->cancel(why);
        }
        unsigned links = 0;
        callback_state* left = nullptr; // by somebody who has flagged it, and not come back for them yet
        {
            base::mutex_lock l(c->m_);
            c->next_ = nullptr;
            chain = c->detach_children(chain, links);
            left = callback_state::take(c->listeners_);
        }
        if (left) left->launch_counted();
        for (; links > 0; --links)
            c->release();
        c->orphaned();
    }
}
void context_node::end_contexts() noexcept {
    context_node* orphans = nullptr;
    unsigned links = 0;
    {
        base::mutex_lock l(m_);
        orphans = detach_children(nullptr, links);
    }
    end_orphans(orphans);
    for (; links > 0; --links)
        release();
}

bool context_node::listen(listener& l) noexcept {
    base::mutex_lock lock(m_);
    if (cancelled()) return false;
    listeners_.add(l);
    return true;
}
bool context_node::unlisten(listener& l) noexcept {
    base::mutex_lock lock(m_);
    return listeners_.remove(l);
}

bool context_node::flag_and_poke(const base::cause_ptr& why, strand*& woken) noexcept {
    if (cancelled() || ended_) return false;
    why_ = why;
    flag_.store(true, std::memory_order_release);
    if (owner_ && owner_->word.poke()) { // we own the strand now, until it is pushed
        owner_->queue_next = woken;
        woken = owner_;
    }
    return true;
}

held_nodes::~held_nodes() {
    while (first_) {
        context_node* const n = first_;
        first_ = n->next_to_visit_;
        n->release();
    }
}
void held_nodes::add(context_node& n) noexcept { n.next_to_visit_ = std::exchange(first_, &n); }

bool context_node::cancel(const base::cause_ptr& why, held_nodes& visited) noexcept {
    strand* woken = nullptr;
    {
        base::mutex_lock l(m_);
        if (!flag_and_poke(why, woken)) return false;
        // For the walk. Taken under the lock: as soon as we let go of it, the owner may unlink this node and release it,
        // and the count of an embedded node must not come back from 0.
        add_ref();
    }
    // The nodes that this walk flagged and whose children it has still to visit. Each is held by a reference, since its
    // owner may unlink it at any time; only the walk that set a node's flag uses its next_to_visit_.
    context_node* to_visit = this;
    to_visit->next_to_visit_ = nullptr;
    callback_state* fired = nullptr; // the first of each node's callbacks, linked by queue_next
    const auto visit = [&](context_node& c) {
        base::mutex_lock l(c.m_);
        if (!c.flag_and_poke(why, woken)) return;
        if (!c.first_ && !c.listeners_.first()) return;
        c.add_ref();
        c.next_to_visit_ = to_visit;
        to_visit = &c;
    };
    while (to_visit) {
        context_node& node = *to_visit;
        to_visit = node.next_to_visit_;
        visited.add(node);
        base::mutex_lock l(node.m_);
        for (context_node* c = node.first_; c; c = c->next_)
            if (!c->shield_) visit(*c);
        for (listener* r = node.listeners_.first(); r; r = r->next())
            if (r->relay_to()) visit(*r->relay_to());
        if (callback_state* chain = callback_state::take(node.listeners_)) {
            chain->queue_next = fired;
            fired = chain;
        }
    }
    while (woken) {
        strand* s = woken;
        woken = s->queue_next;
        s->sched->push(*s);
    }
    while (fired) {
        callback_state* chain = fired;
        fired = static_cast<callback_state*>(chain->queue_next);
        chain->launch_counted();
    }
    return true;
}

node_list context_node::move_deadline(base::time_point at) {
    node_list nodes;
    {
        base::mutex_lock l(m_);
        own_deadline_ = at;
        deadline_.store(std::min(own_deadline_, inherited_), std::memory_order_relaxed);
    }
    nodes.push_back(base::ref<context_node>::share(this));
    for (std::size_t done = 0; done < nodes.size(); ++done) {
        const auto node = nodes[done];
        base::mutex_lock l(node->m_);
        for (context_node* c = node->first_; c; c = c->next_) {
            base::mutex_lock lc(c->m_);
            if (c->shield_) continue;
            c->inherited_ = node->deadline();
            c->deadline_.store(std::min(c->own_deadline_, c->inherited_), std::memory_order_relaxed);
            if (c->first_) nodes.push_back(base::ref<context_node>::share(c));
        }
    }
    return nodes;
}

node_view context_node::view(std::size_t parent) const noexcept {
    return {kind_, shield_, owner_, deadline(), why(), parent};
}

node_list context_node::walk(void (*f)(void*, const node_view&), void* arg) {
    struct item {
        base::ref<context_node> node;
        std::size_t number;
    };
    std::vector<item> to_visit;
    node_list seen;
    std::size_t visited = 0;
    {
        base::mutex_lock l(m_);
        f(arg, view(visited++));
    }
    to_visit.push_back({base::ref<context_node>::share(this), 0});
    while (!to_visit.empty()) {
        const item next = std::move(to_visit.back());
        to_visit.pop_back();
        seen.push_back(next.node);
        base::mutex_lock l(next.node->m_);
        for (context_node* c = next.node->first_; c; c = c->next_) {
            base::mutex_lock lc(c->m_);
            f(arg, c->view(next.number));
            // Alive: it is linked, and cannot be unlinked without our lock.
            if (c->first_) to_visit.push_back({base::ref<context_node>::share(c), visited});
            ++visited;
        }
    }
    return seen;
}

} // namespace tenure::inline v0::core::detail
