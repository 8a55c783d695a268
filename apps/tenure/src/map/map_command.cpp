#include "map/map_command.hpp"

#include "map/command_template.hpp"
#include "map/engine.hpp"
#include "map/text.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <string>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace tenure::inline v0::app {
namespace {

int misused(const std::string& why) {
    const std::string line = "tenure map: " + why + "\n";
    (void)out_channel(STDERR_FILENO).write_all(line);
    return 2;
}

// Empty at the end of the input, and when it cannot be read further (told).
std::string_view read_more(const owned_fd& from, std::vector<char>& buffer, bool& failed) {
    for (;;) {
        const ssize_t n = ::read(from.get(), buffer.data(), buffer.size());
        if (n >= 0) return {buffer.data(), static_cast<std::size_t>(n)};
        if (errno == EINTR) continue;
        if (errno == EAGAIN) { // of a description that somebody else has made non-blocking
            struct pollfd readable{from.get(), POLLIN, 0};
            (void)::poll(&readable, 1, -1);
            continue;
        }
        failed = true;
        (void)misused(std::string("cannot read the items: ") + std::strerror(errno));
        return {};
    }
}

// One command a line, as a shell would read it back. An item of which no command can be made fails as in a run.
int dry_run(const map_options& options, item_source source, const owned_fd& items) {
    ::signal(SIGPIPE, SIG_IGN);
    const command_template command(options.command, options.shell, argument_limits::of_this_process());
    out_channel out(STDOUT_FILENO), err(STDERR_FILENO);
    std::vector<char> buffer(item_source::buffer_bytes);
    std::string lines;
    bool failed = false;
    auto flush = [&] {
        const sent written = out.write_all(std::exchange(lines, {}));
        if (written.state == send_state::failed)
            (void)err.write_all("tenure map: cannot write the commands: " + errno_text(written.error) + "\n");
        return written.state == send_state::done;
    };
    for (;;) {
        while (auto what = source.next()) {
            const expansion e = command.expand(*what);
            if (const auto* argv = std::get_if<std::vector<std::string>>(&e)) {
                lines += command_template::line(*argv) + "\n";
            } else {
                failed = true;
                (void)err.write_all("tenure map: " + std::get<expansion_error>(e).text(what->seq) + "\n");
            }
            if (lines.size() > item_source::buffer_bytes && !flush()) return 1;
        }
        if (source.exhausted()) return flush() && !failed ? 0 : 1;
        const std::string_view more = read_more(items, buffer, failed);
        more.empty() ? source.finish() : source.feed(more);
    }
}

} // namespace

int map_command(map_options options) {
    if (options.shell) {
        if (const auto wrong = command_template::script_trouble(options.command)) return misused(wrong->text);
    }
    owned_fd items;
    if (options.origin != item_origin::list) {
        auto opened = open_items(options);
        if (!opened) return misused(opened.why());
        items = std::move(*opened);
    }
    item_source source = item_source::of(options);
    if (options.dry_run) return dry_run(options, std::move(source), items);
    std::optional<results_dir> results;
    if (options.results) {
        auto opened = results_dir::open(*options.results);
        if (!opened) return misused(opened.why());
        results = std::move(*opened);
    }
    return run_guard({.slots = options.jobs}, [&](const engine_context& guard) {
        try {
            return engine(options, std::move(source), std::move(items), std::move(results), guard).run();
        } catch (const std::system_error& e) { // not even the first descriptors were to be had
            (void)out_channel(STDERR_FILENO)
                .write_all("tenure: cannot start: " + std::string(e.what()) + "\n");
            return 70;
        }
    });
}

} // namespace tenure::inline v0::app
