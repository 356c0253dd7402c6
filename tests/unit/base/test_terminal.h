/* test_terminal.h: a terminal of so many columns, to be drawn on by what is tested. */
#ifndef AG_TESTS_TERMINAL_H
#define AG_TESTS_TERMINAL_H

#include "unit/base/test_help.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* The side that a program writes to; what it writes is read from *master. The test is skipped where there are no terminals. */
static inline int test_terminal(int *master, int columns)
{
    *master = posix_openpt(O_RDWR | O_NOCTTY);
    if (*master < 0 || grantpt(*master) != 0 || unlockpt(*master) != 0) skip();
    int slave = open(ptsname(*master), O_RDWR | O_NOCTTY);
    if (slave < 0) skip();
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    struct termios raw;
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    ioctl(slave, TIOCSWINSZ, &size);
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C", 1);
    return slave;
}

#endif
