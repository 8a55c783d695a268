#include "cli/help.hpp"

namespace tenure::inline v0::app {

const std::string_view tenure_help = R"(Usage: tenure COMMAND [OPTION...]

  map        run a command on many items, several at a time

  --help     this text; 'tenure map --help' tells more
  --version  the version

Example: tenure map gzip -9 -k ::: *.log
)";

const std::string_view map_help = R"(Usage: tenure map [OPTION...] COMMAND [ARG...] [::: ITEM...]
Runs COMMAND once for each ITEM, several at a time. Without ::: the items are
the lines of standard input. All that an item started ends with it.

  {} item   {.} without extension   {/} last part   {//} folder
  {/.} last part without extension  {#} number      none of them: {} is added

Items
      --from FILE       read items from FILE (-: standard input)
  -0, --null            items end with a NUL byte, not with a newline
Running
  -j, --jobs N          run N at a time (default: the CPUs that may be used)
      --timeout D       end an item after D: 500ms, 5s, 2m30s, 1.5h
      --deadline D      end the whole run after D
      --grace D         from SIGTERM to SIGKILL (default 5s)
      --retries N       try a failed item N times more, with pauses between
      --keep-going      go on after a failure (default)
      --fail-fast       end the run at the first failure
      --shell           COMMAND is a script for /bin/sh; items are passed safely
      --isolate         run each item in its own PID namespace
      --tty             one job at a time, with the terminal
Output
      --order ORDER     done: as items end (default); input: as they came
      --results DIR     write DIR/N/{stdout,stderr,item,status} instead
      --progress STYLE  auto, bar, plain or none
      --json            print events, one JSON object a line
      --dry-run         print the commands and run nothing
  -h, --help            this text
      --version         the version

Examples
  tenure map gzip -9 -k ::: *.log
  find . -name '*.png' -print0 | tenure map -0 -j4 optipng
  tenure map --timeout 30s --retries 2 --from urls.txt curl -fsSO {}
  tenure map --shell 'gzip -c {} | wc -c' ::: *.txt
  tenure map --results out ./test.sh {#} ::: a b c

Exit status: 0 all succeeded, 1 some did not, 2 wrong usage, 124 deadline,
130 interrupted. First Ctrl-C: items are ended, with grace; second: at once.
)";

} // namespace tenure::inline v0::app
