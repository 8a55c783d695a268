#include "cli/options.hpp"
#include "cli/standard_streams.hpp"
#include "map/map_command.hpp"
#include "map/out_channel.hpp"
#include "map/text.hpp"

#include <unistd.h>

int main(int argc, char** argv) {
    using namespace tenure::app;
    occupy_standard_streams(); // so that no pipe of ours gets the number of a closed one
    parsed asked = parse(argc, argv);
    if (auto* run = std::get_if<run_map>(&asked)) return map_command(std::move(run->options));
    const auto& answer = std::get<exit_with>(asked);
    (void)out_channel(STDERR_FILENO).write_all(answer.err);
    const sent written = out_channel(STDOUT_FILENO).write_all(answer.out);
    if (written.state != send_state::failed) return answer.status;
    (void)out_channel(STDERR_FILENO)
        .write_all("tenure: cannot write to standard output: " + errno_text(written.error) + "\n");
    return 1;
}
