#include <tenure/core/detail/frame.hpp>
#include <tenure/core/detail/runtime_pin.hpp>
#include <tenure/core/detail/scheduler.hpp>
#include <tenure/core/dump.hpp>

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <unordered_map>

namespace tenure::inline v0::core {
namespace detail {
namespace {

using kind_of = tree_entry::kind_of;

/// Of a strand whose frames nobody changes meanwhile.
std::vector<base::spawn_site> chain_of(const strand& s) {
    std::vector<base::spawn_site> chain;
    for (const frame* f = s.leaf; f; f = f->caller)
        if (f->at.line()) chain.push_back(f->at); // else it has not come to an await
    return chain;
}

/// The frames of a waiting strand, while it cannot go on.
class claimed {
public:
    explicit claimed(strand& s) noexcept : strand_(s), held_(s.word.claim()) {}
    claimed(const claimed&) = delete;
    claimed& operator=(const claimed&) = delete;
    ~claimed() {
        if (held_ && strand_.word.unclaim()) strand_.sched->push(strand_);
    }
    explicit operator bool() const noexcept { return held_; }

private:
    strand& strand_;
    const bool held_;
};

kind_of kind_to_show(const node_view& v) noexcept {
    switch (v.kind) {
    case node_kind::root: return kind_of::runtime;
    case node_kind::task: return kind_of::task;
    case node_kind::group: return kind_of::group;
    case node_kind::scope: break;
    }
    return v.shield ? kind_of::shield : kind_of::scope;
}

/// Parents stay before children; siblings, found newest first, come in the order of their beginning.
std::vector<tree_entry> in_order(std::vector<tree_entry> found) {
    std::vector<std::vector<std::size_t>> children(found.size());
    for (std::size_t i = 1; i < found.size(); ++i)
        children[found[i].parent].push_back(i);
    std::vector<tree_entry> sorted;
    sorted.reserve(found.size());
    struct step {
        std::size_t index, parent, depth;
    };
    std::vector<step> to_visit{{0, 0, 0}};
    while (!to_visit.empty()) {
        const step next = to_visit.back();
        to_visit.pop_back();
        const std::size_t at = sorted.size();
        sorted.push_back(std::move(found[next.index]));
        sorted.back().parent = next.parent;
        sorted.back().depth = next.depth;
        for (const std::size_t child : children[next.index]) // the newest is put down first, taken up last
            to_visit.push_back({child, at, next.depth + 1});
    }
    return sorted;
}

} // namespace

// A strand's frames are read while nobody can change them: those of a queued one under the queue's lock, those of a parked
// one after claim(). A running one's are not read. A task that goes on between the two looks counts as what it was seen as.
tree_sketch scheduler::sketch(context_node& below) {
    tree_sketch made;
    base::mutex_lock one_at_a_time(dump_m_); // a strand that another dump has claimed would look as if it ran
    std::unordered_map<base::task_id, std::vector<base::spawn_site>> ready;
    for_each_queued([&](const strand& s) { ready.emplace(s.label().id, chain_of(s)); });
    std::vector<tree_entry>& found = made.found_;
    made.seen_ = below.visit([&](const node_view& v) {
        tree_entry e{.kind = kind_to_show(v), .parent = v.parent, .deadline = v.deadline, .why = v.why};
        if (v.owner) e.task = v.owner->label();
        if (e.kind == kind_of::task && v.owner) {
            if (const claimed frames(*v.owner); frames) {
                e.doing = task_activity::waiting;
                e.awaits = chain_of(*v.owner);
                tree_sketch::call c{.entry = {.kind = kind_of::call, .parent = found.size()}, .tasks = {}};
                if (v.owner->show_call(c.entry, c.tasks)) {
                    if (!c.entry.why) c.entry.why = e.why;
                    made.calls_.push_back(std::move(c));
                }
            } else if (const auto it = ready.find(e.task.id); it != ready.end()) {
                e.doing = task_activity::ready;
                e.awaits = std::move(it->second);
            }
        }
        found.push_back(std::move(e));
    });
    made.taken_ = now();
    return made;
}

task_tree scheduler::dump(context_node& below, base::duration patience) {
    tree_sketch s = sketch(below);
    const auto until = base::saturating_add(std::chrono::steady_clock::now(), patience);
    if (patience > base::duration::zero()) s.ask(until);
    return s.finish(until);
}

void tree_sketch::ask(base::time_point until) const {
    for (const call& c : calls_)
        if (c.tasks) c.tasks->ask(until);
}
task_tree tree_sketch::finish(base::time_point until) {
    seen_.clear(); // before it waits: somebody may want what goes away with them
    for (call& c : calls_) {
        if (c.tasks) c.tasks->take(c.entry, until);
        c.tasks = nullptr;
        found_.push_back(std::move(c.entry)); // behind the nodes, by whose numbers it was found
    }
    return {taken_, in_order(std::move(found_))};
}

std::string trees_of_this_process(const scheduler* but, base::duration patience) {
    std::vector<tree_sketch> sketches;
    for (const runtime_name& name : runtime_pin::all()) {
        if (name.at == but) continue;
        if (const runtime_pin alive(name); alive) sketches.push_back(alive->sketch());
    }
    const auto until = base::saturating_add(std::chrono::steady_clock::now(), patience);
    for (const tree_sketch& s : sketches)
        if (patience > base::duration::zero()) s.ask(until);
    std::string text;
    for (tree_sketch& s : sketches)
        text += core::to_string(s.finish(until));
    return text;
}

} // namespace detail

const char* to_string(task_activity a) noexcept {
    switch (a) {
    case task_activity::running: return "running";
    case task_activity::ready: return "ready";
    case task_activity::waiting: return "waiting";
    }
    return "?";
}

std::size_t task_tree::tasks() const noexcept {
    return static_cast<std::size_t>(std::count_if(entries.begin(), entries.end(), [](const tree_entry& e) {
        return e.kind == tree_entry::kind_of::task;
    }));
}

namespace {

constexpr std::size_t most_awaits = 16;

/// "fetch" of "tenure::task<int> net::fetch(int)"; "a lambda" for one; compilers differ in the rest.
std::string short_name(std::string_view function) {
    for (const auto lambda : {"<lambda", "(anonymous class)", "(lambda"})
        if (function.find(lambda) != std::string_view::npos) return "a lambda";
    constexpr std::string_view no_name = "(anonymous namespace)";
    const auto unnamed = function.find(no_name);
    const auto open = function.find('(', unnamed == std::string_view::npos ? 0 : unnamed + no_name.size());
    const auto name = function.substr(0, open);
    const auto before = name.find_last_of(" :&*");
    return std::string(before == std::string_view::npos ? name : name.substr(before + 1));
}

std::string time_until(base::time_point at, base::time_point now) {
    const auto d = std::chrono::duration<double>(at > now ? at - now : now - at).count();
    char text[64];
    if (d < 1)
        std::snprintf(text, sizeof text, "%.0f ms", d * 1e3);
    else
        std::snprintf(text, sizeof text, "%.1f s", d);
    return at > now ? std::string("in ") + text : std::string(text) + " ago";
}

void describe_call(std::string& out, const tree_entry& e, base::time_point now) {
    out += "call";
    if (e.process == 0 && e.doing == task_activity::ready) {
        out += ", queued";
        return;
    }
    // A process may begin a call before its pool has heard which process that is.
    out += " " + std::to_string(e.task.id);
    if (e.process != 0) out += " in process " + std::to_string(e.process);
    out += e.doing == task_activity::ready ? ", has not begun" : ", running";
    if (e.since != base::never) out += ", begun " + time_until(e.since, now);
    if (e.parts != 0 && e.doing == task_activity::running)
        out += ", part " + std::to_string(e.part + 1) + " of " + std::to_string(e.parts);
    if (e.answer == process_answer::missing) out += ", its tasks are not known: it did not answer";
}

/// What it wrote, under it: no line of it looks as if it were ours.
void add_tasks_elsewhere(std::string& out, const tree_entry& e, const std::string& indent) {
    for (std::string_view rest = e.tasks; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        ((out += indent) += "  ").append(line) += '\n';
    }
}

void describe(std::string& out, const tree_entry& e, const tree_entry& parent, base::time_point now) {
    using kind_of = tree_entry::kind_of;
    const std::string indent(2 * e.depth, ' ');
    out += indent;
    switch (e.kind) {
    case kind_of::runtime: break; // the heading stands for it
    case kind_of::task:
        out += (e.task.id ? to_string(e.task) : "a task that is ending") + ", " + to_string(e.doing);
        break;
    case kind_of::call: describe_call(out, e, now); break;
    case kind_of::group: out += "group"; break;
    case kind_of::scope: out += "scope"; break;
    case kind_of::shield: out += "shield"; break;
    }
    // Only where it changes: what is inherited stands further up.
    if (e.deadline != base::never && e.deadline != parent.deadline)
        out += ", deadline " + time_until(e.deadline, now);
    if (e.why && e.why != parent.why)
        out += e.why->message.empty() ? std::string(", cancelled") : ", cancelled: " + e.why->message;
    out += "\n";
    add_tasks_elsewhere(out, e, indent);
    if (e.kind == kind_of::task && e.awaits.empty() && e.doing == task_activity::ready)
        out += indent + "    has not begun\n";
    for (std::size_t i = 0; i < std::min(e.awaits.size(), most_awaits); ++i)
        out += indent + (i == 0 ? "    at " : "    in ") + base::to_string(e.awaits[i]) + " " +
               short_name(e.awaits[i].function_name()) + "\n";
    if (e.awaits.size() > most_awaits)
        out += indent + "    in " + std::to_string(e.awaits.size() - most_awaits) + " more\n";
}

} // namespace

std::string to_string(const task_tree& tree, std::size_t most) {
    const std::size_t n = tree.tasks();
    std::string out = n == 0 ? "no task lives" : std::to_string(n) + (n == 1 ? " task lives" : " tasks live");
    if (tree.entries.empty()) return out + "\n";
    if (const auto& why = tree.entries[0].why)
        out += why->message.empty() ? std::string(", cancelled") : ", cancelled: " + why->message;
    out += "\n";
    const std::size_t shown = std::min(tree.entries.size(), most + 1);
    for (std::size_t i = 1; i < shown; ++i)
        describe(out, tree.entries[i], tree.entries[tree.entries[i].parent], tree.taken);
    if (shown < tree.entries.size())
        out += "  and " + std::to_string(tree.entries.size() - shown) + " more\n";
    return out;
}

} // namespace tenure::inline v0::core
