// A chat session that streams its answers. The source ends, fails midway, hangs, refuses while it is overloaded, or is abandoned
// after three tokens: each time the session's history is written once, and nothing is left running.
//
// Each case is printed beside what LlamaIndex does (SimpleChatEngine.astream_chat). It starts the task that pulls the tokens
// beside the response. 0.12.16 referred to it from nowhere. 0.14.25 keeps it on the response: a consumer that stops after two
// tokens has it pull all 20 and write them to the history; and when the source hangs, wait_for(consume, 2) has not returned
// after 4 seconds. What is said of a failure that is read, and of overload, is from its source (chat_engine/types.py, simple.py).
#include <tenure/tenure.hpp>

#include <cstdlib>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using tenure::sink;
using tenure::stream;
using tenure::task;

void expect(bool holds) {
    if (!holds) std::abort();
}

enum class then { ends, fails, hangs };
struct source {
    int tokens;
    then after_that;
};

/// It holds the response that it gives: a new one takes the place of the old, which is cancelled.
struct session {
    std::vector<std::string> history{};
    std::optional<stream<std::string>> response{};
};

/// The producer: sends what the source gives, and writes the history in the end, whatever the end is.
task<> respond(sink<std::string> out, session& s, source from) {
    std::string said;
    auto speak = [&]() -> task<> {
        for (int i = 1; i <= from.tokens; ++i) {
            co_await tenure::sleep_for(1ms); // the model thinks
            co_await out.send("token " + std::to_string(i));
            said = std::to_string(i) + " tokens";
        }
        if (from.after_that == then::fails) throw std::runtime_error("the connection to the model was lost");
        if (from.after_that == then::hangs) co_await tenure::sleep_for(24h);
    };
    auto write_history = [&]() -> task<> { // not cut short by a cancellation, and has a second for it
        co_await tenure::sleep_for(2ms);   // the database
        s.history.push_back(said);
    };
    co_await tenure::with_cleanup(1s, speak, write_history);
}

/// The consumer: reads at most so many tokens.
task<int> read(stream<std::string> tokens, int at_most) {
    int n = 0;
    while (n < at_most) {
        if (!co_await tokens.next()) break;
        ++n;
    }
    co_return n;
}
auto read_at_most(int n) {
    return [n](stream<std::string> tokens) { return read(std::move(tokens), n); };
}

task<> the_source_ends(session& s) {
    const int n =
        co_await tenure::with_stream(read_at_most(100), respond, std::ref(s), source{20, then::ends});
    std::cout << "the source ends: read " << n << ", history: " << s.history.back()
              << " (LlamaIndex: the same)\n";
    expect(n == 20 && s.history.back() == "20 tokens");
}

task<> the_source_fails_midway(session& s) {
    auto consume = [](stream<std::string> tokens) -> task<int> {
        int n = 0;
        try {
            while (co_await tokens.next())
                ++n;
        } catch (const std::runtime_error& e) {
            std::cout << "the source fails: read " << n << ", then: " << e.what();
        }
        expect(!co_await tokens.next()); // told once; after that the stream has ended
        co_return n;
    };
    const int n = co_await tenure::with_stream(consume, respond, std::ref(s), source{3, then::fails});
    std::cout << ", history: " << s.history.back()
              << " (LlamaIndex: what was not read yet is lost, and there is no history)\n";
    expect(n == 3 && s.history.back() == "3 tokens");
}

task<> the_source_hangs(session& s) {
    const tenure::stream_options options{.stall = 50ms, .name = "tokens"};
    try {
        (void)co_await tenure::with_stream(options, read_at_most(100), respond, std::ref(s),
                                           source{3, then::hangs});
        expect(false);
    } catch (const tenure::stalled_error& e) {
        std::cout << "the source hangs: " << e.what() << ", history: " << s.history.back()
                  << " (LlamaIndex: the consumer hangs, too)\n";
    }
    expect(s.history.back() == "3 tokens");
}

task<> abandoned_after_three_tokens(session& s) {
    const std::size_t written = s.history.size();
    const int n =
        co_await tenure::with_stream(read_at_most(3), respond, std::ref(s), source{1000, then::ends});
    // The producer has ended by now, with its cleanup.
    std::cout << "abandoned after " << n
              << " tokens: the history was written before the next statement (LlamaIndex: all are pulled)\n";
    expect(n == 3 && s.history.size() == written + 1 && s.history.back() != "1000 tokens");
}

/// The source refuses requests while it is overloaded. The producer asks again, and waits longer each time.
task<> the_source_refuses_twice(session& s) {
    struct overloaded : std::runtime_error {
        using runtime_error::runtime_error;
    };
    int refused = 0;
    auto request = [&] {
        if (refused == 2) return source{20, then::ends};
        ++refused;
        throw overloaded("too many requests");
    };
    auto ask_until_accepted = [&](sink<std::string> out) -> task<> {
        for (auto pause = 5ms;; pause *= 2) {
            std::optional<source> accepted;
            try {
                accepted = request();
            } catch (const overloaded&) {}
            if (accepted) co_return co_await respond(std::move(out), s, *accepted);
            co_await tenure::sleep_for(pause);
        }
    };
    int n = 0;
    auto body = [&](tenure::group g) -> task<> {
        s.response = tenure::spawn_stream(g, ask_until_accepted);
        while (co_await s.response->next())
            ++n;
    };
    co_await tenure::with_group(body);
    std::cout << "the source refuses " << refused << " times: then read " << n
              << ", history: " << s.history.back()
              << " (LlamaIndex: the engine does not ask again; the question stays in its history)\n";
    expect(refused == 2 && n == 20 && s.history.back() == "20 tokens");
}

/// The consumer only looks on: its own timeout is on time, whatever the producer does in its cleanup.
task<> a_timeout_while_the_producer_cleans_up() {
    bool cleaned = false;
    auto hang = [&cleaned](sink<int> out) -> task<> {
        auto work = [&]() -> task<> {
            co_await out.send(1);
            co_await tenure::sleep_for(24h);
        };
        auto slow_cleanup = [&]() -> task<> {
            co_await tenure::sleep_for(50ms);
            cleaned = true;
        };
        co_await tenure::with_cleanup(1s, work, slow_cleanup);
    };
    auto body = [&](tenure::group g) -> task<> {
        auto consume = [&]() -> task<> {
            auto s = tenure::spawn_stream(g, hang);
            while (co_await s.next()) {}
        };
        try {
            co_await tenure::with_timeout(5ms, consume);
        } catch (const tenure::timeout_error&) {
            std::cout << "a timeout of 5 ms: the consumer goes on, "
                      << (cleaned ? "late" : "while the producer cleans up")
                      << " (LlamaIndex: only when the producer has ended)\n";
        }
    };
    co_await tenure::with_group(body); // the group waits for it
    expect(cleaned);
}

/// A producer that cannot wait, such as a microphone, and a slow reader: what there is no room for is refused, until there is.
task<> the_reader_is_slow() {
    int refused = 0;
    tenure::event burst_is_over;
    auto produce = [&](sink<int> out) -> task<> {
        for (int i = 0; i < 20; ++i)
            refused += !out.try_send(i); // nobody reads yet
        burst_is_over.set();
        for (int i = 20; i < 25; ++i)
            co_await out.send(i); // waits for room
    };
    auto consume = [&](stream<int> s) -> task<std::vector<int>> {
        co_await burst_is_over.wait();
        std::vector<int> got;
        while (auto v = co_await s.next())
            got.push_back(*v);
        co_return got;
    };
    const tenure::stream_options options{.capacity = 4};
    const auto got = co_await tenure::with_stream(options, consume, produce);
    std::cout << "the reader is slow: refused " << refused << ", then recovered: the last of " << got.size()
              << " is " << got.back() << " (LlamaIndex: the queue has no bound)\n";
    expect(refused == 16 && got.size() == 9 && got.back() == 24);
}

/// Nobody reads the failure: the owner gets it. It is not lost until a garbage collector comes by.
task<> nobody_reads() {
    session s;
    auto leave = [](stream<std::string> tokens) -> task<> {
        (void)co_await tokens.next();
        co_await tenure::sleep_for(20ms);
    };
    try {
        co_await tenure::with_stream(leave, respond, std::ref(s), source{2, then::fails});
        expect(false);
    } catch (const std::runtime_error& e) {
        std::cout << "nobody reads on: the owner is told: " << e.what()
                  << " (LlamaIndex: a message when a garbage collector finds it)\n";
    }
}

task<> app() {
    session s;
    co_await the_source_ends(s);
    co_await the_source_fails_midway(s);
    co_await the_source_hangs(s);
    co_await abandoned_after_three_tokens(s);
    co_await the_source_refuses_twice(s);
    co_await a_timeout_while_the_producer_cleans_up();
    co_await the_reader_is_slow();
    co_await nobody_reads();
    expect(s.history.size() == 5);
}

int main() { return tenure::run(app); }
