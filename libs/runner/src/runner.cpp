#include <tenure/runner/parts.hpp>
#include <tenure/runner/runner.hpp>

namespace tenure::inline v0::runner {

runner::~runner() = default;

remote_error::remote_error(std::string type, std::string message)
    : error(type + ": " + message),
      text_(std::make_shared<const text>(text{std::move(type), std::move(message)})) {}

namespace {
thread_local constinit part_results* innermost = nullptr;
} // namespace

part_results::part_results() noexcept : outer_(innermost) { innermost = this; }
part_results::~part_results() { innermost = outer_; }
part_results& part_results::here() {
    if (!innermost)
        throw base::usage_error(
            "a job of several parts was started by hand: its runner calls it, where it runs");
    return *innermost;
}

namespace detail {

void throw_no_result(std::string_view function) {
    throw base::usage_error("the runner returned without a result of " + name_of_task(function));
}

std::string name_of_task(std::string_view function) {
    constexpr std::string_view wrapper = "function_constant<";
    const auto at = function.find(wrapper);
    if (at == std::string_view::npos || !function.ends_with('>')) return std::string(function);
    function.remove_prefix(at + wrapper.size());
    function.remove_suffix(1);
    if (function.starts_with('&')) function.remove_prefix(1);
    return std::string(function);
}

} // namespace detail
} // namespace tenure::inline v0::runner
