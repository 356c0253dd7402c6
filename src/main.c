/* main.c: the program. Everything it does is in cli/. */
#include <stdlib.h>
#include "cli/cli.h"

/* OpenMP's threads spin while they wait for each other; long spinning is ruinous when other work shares the processors. The
 * runtime reads its settings when its library starts, before main: this runs earlier still. What the user set stays. */
static void before_libraries(int argc, char **argv, char **environment)
{
    (void)argc, (void)argv, (void)environment;
    setenv("GOMP_SPINCOUNT", "10000", 0);
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **,
                                                                              char **) = before_libraries;

int main(int argc, char **argv)
{
    return ag_cli_main(argc, argv);
}
