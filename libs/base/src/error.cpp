#include <tenure/base/error.hpp>

#include <cstring>

namespace tenure::inline v0::base {

std::string to_string(const spawn_site& site) {
    if (!site.line()) return "?";
    const char* file = site.file_name();
    const char* slash = std::strrchr(file, '/');
    return std::string(slash ? slash + 1 : file) + ":" + std::to_string(site.line());
}

std::string to_string(const task_label& label) {
    if (!label.id) return {};
    std::string s = "task " + std::to_string(label.id);
    if (!label.name.empty()) s += " '" + label.name + "'";
    return s + " spawned at " + to_string(label.site);
}

namespace {
std::string with_task(const std::string& what, const task_label& task) {
    return task.id ? what + " (" + to_string(task) + ")" : what;
}
std::string indented(const std::string& text) {
    std::string s;
    for (const char c : text) {
        s += c;
        if (c == '\n') s += "  ";
    }
    return s;
}
std::string summarize(const std::vector<task_failure>& failures) {
    std::string s = std::to_string(failures.size()) +
                    (failures.size() == 1 ? " task of the group failed:" : " tasks of the group failed:");
    for (const auto& f : failures) {
        s += "\n  ";
        if (f.task.id) s += to_string(f.task) + ": ";
        s += indented(describe(f.error));
    }
    return s;
}
std::vector<task_failure> without_names(std::vector<std::exception_ptr> errors) {
    std::vector<task_failure> all;
    all.reserve(errors.size());
    for (auto& e : errors)
        all.push_back({{}, std::move(e)});
    return all;
}
} // namespace

error::error(const std::string& what, task_label task)
    : std::runtime_error(with_task(what, task)), task_(std::make_shared<const task_label>(std::move(task))) {}

dependency_failed::dependency_failed(std::exception_ptr why, task_label parent)
    : error("not run, because what it depends on has no value: " + describe(why), std::move(parent)),
      why_(std::move(why)) {}

group_error::group_error(std::vector<std::exception_ptr> errors, task_label task)
    : group_error(without_names(std::move(errors)), std::move(task)) {}
group_error::group_error(std::vector<task_failure> failures, task_label task)
    : error(summarize(failures), std::move(task)) {
    contents all;
    all.errors.reserve(failures.size());
    for (const auto& f : failures)
        all.errors.push_back(f.error);
    all.failures = std::move(failures);
    all_ = std::make_shared<const contents>(std::move(all));
}

std::string describe(const std::exception_ptr& e) {
    if (!e) return "no error";
    try {
        std::rethrow_exception(e);
    } catch (const std::exception& x) {
        return x.what();
    } catch (const cancelled&) {
        return "cancelled";
    } catch (...) {
        return "an exception that is no std::exception";
    }
}

const char* to_string(reason r) noexcept {
    switch (r) {
    case reason::none: return "none";
    case reason::cancelled: return "cancelled";
    case reason::deadline: return "deadline";
    case reason::failure: return "failure";
    case reason::shutdown: return "shutdown";
    }
    return "?";
}

} // namespace tenure::inline v0::base
