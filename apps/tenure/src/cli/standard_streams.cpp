#include "cli/standard_streams.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace tenure::inline v0::app {

void occupy_standard_streams() {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0) continue;
        // open() takes the lowest free number, which is this one. Opened for the wrong direction on purpose.
        const int got = ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (got > STDERR_FILENO) ::close(got);
    }
}

} // namespace tenure::inline v0::app
