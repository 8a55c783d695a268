// A worker that is not of this program, written from docs/reference/worker_protocol.md alone: it uses nothing of tenure.
// Messages: "upper TEXT" -> TEXT in capitals; "fail TEXT" -> a failure of type my::error; "die" -> it kills itself; "wait" -> it waits
// until it is told to stop; "put back" -> then it says that it has not begun, and takes nothing more; "leave it" -> it does
// not even take that, nor anything more; "context NAME" -> the bytes of the
// context value of that name, or none; "tell HOW" -> it waits, and says what it does when it is asked: "well", "garbage",
// "too much", or "nothing", although it says that it tells.
#include "foreign_channel.hpp"

#include <algorithm>
#include <cctype>
#include <csignal>

namespace {

using namespace foreign;

std::string counted(const std::string& text) {
    const std::uint64_t n = text.size();
    return std::string(reinterpret_cast<const char*>(&n), 8) + text;
}

/// The context values that travel with the call in this slot.
std::string context_of(const char* slot) {
    return {call_of(slot) + number(slot + size_at), size_of_context(slot)};
}
std::string value_of(const std::string& name, const std::string& context) {
    for (std::size_t i = 0; i < context.size();) {
        const std::uint64_t length = number(&context[i]);
        const std::string found = context.substr(i + 8, length);
        const std::uint64_t size = number(&context[i + 8 + length]);
        i += 16 + length;
        if (found == name) return context.substr(i, size);
        i += size;
    }
    return "";
}

void tell(std::uint64_t task, const std::string& how) {
    std::string text = "reads the second page\n";
    if (how == "garbage") text = std::string("\033[31mred\a\n\n\n\xff\xc2\x9b, \xc3\xbc\0end", 23);
    if (how == "too much") text = std::string(at<std::uint64_t>(tree_bytes_at), 'x');
    store(at<std::uint32_t>(tree_tells_at), 1u);
    while (load(at<std::uint64_t>(cancel_at)) != task) {
        const std::uint32_t asked = load(at<std::uint32_t>(tree_asked_at));
        if (how != "nothing" && asked != load(at<std::uint32_t>(tree_answered_at))) {
            std::copy(text.begin(), text.end(), channel + at<std::uint64_t>(tree_at));
            const auto size = how == "too much" ? 4'000'000'000u : static_cast<std::uint32_t>(text.size());
            answer_about_tasks(asked, size);
        }
        usleep(200);
    }
    store(at<std::uint32_t>(tree_tells_at), 0u);
}

/// The kind of the result.
std::uint32_t run(std::uint64_t task, const char* slot, const std::string& message, std::string& result) {
    if (message.starts_with("context ")) {
        result = value_of(message.substr(8), context_of(slot));
        return 1;
    }
    if (message.starts_with("upper ")) {
        result = message.substr(6);
        std::transform(result.begin(), result.end(), result.begin(),
                       [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        return 1;
    }
    if (message.starts_with("fail ")) {
        result = counted("my::error") + counted(message.substr(5)) + std::string(5, '\0');
        return 2;
    }
    if (message == "die") raise(SIGKILL);
    if (message.starts_with("tell ")) tell(task, message.substr(5));
    while (load(at<std::uint64_t>(cancel_at)) != task)
        usleep(200);
    if (message == "put back")
        for (change(task, 2, 1);;)
            pause();
    return 3;
}

void answer(char* slot, std::uint32_t kind, const std::string& result) {
    std::uint64_t size = result.size();
    std::memcpy(slot + size_at, &size, 8);
    std::memcpy(slot + kind_at, &kind, 4);
    if (size <= inline_bytes) {
        std::copy(result.begin(), result.end(), slot + message_at);
        return;
    }
    // One result at a time: the whole arena is free when all tasks before this one are retired.
    const std::uint64_t place = 0;
    std::memcpy(slot + message_at, &place, 8);
    std::copy(result.begin(), result.end(), channel + at<std::uint64_t>(results_at));
}

void stop_at_some(std::uint64_t task) {
    while (message_of(task) == "leave it")
        pause();
}

} // namespace

int main() {
    if (!attach()) return 1;
    for (std::uint64_t task = 0; (task = take(task + 1, stop_at_some)) != 0;) {
        std::string result;
        const std::uint32_t kind = run(task, slot_of(task), message_of(task), result);
        while (result.size() > inline_bytes && load(at<std::uint64_t>(retired_at)) != task) {
            store(at<std::uint32_t>(room_wanted_at), 1u);
            if (load(at<std::uint64_t>(retired_at)) != task) sleep_on(room_wanted_at);
        }
        answer(slot_of(task), kind, result);
        store(word(task), 8 * task + 3);
        tell_parent();
    }
}
