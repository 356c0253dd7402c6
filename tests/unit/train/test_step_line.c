/* test_step_line.c: what a terminal shows of a step: everything in 80 columns, more where there is room. */
#include "unit/base/test_terminal.h"

#include "base/log.h"
#include "train/trainer.h"

/* The last line that a terminal of so many columns shows of a step of the method. */
static void shown(char line[1024], int columns, const char *label, const char *method, double at,
                  double steps, double seconds_a_step)
{
    int master, slave = test_terminal(&master, columns), kept = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(slave, STDERR_FILENO);
    char note[AG_NOTE];
    const ag_stage stage = {.method = method};
    const ag_step_result r = {.reward = 1.236,
                              .accuracy = 0.824,
                              .gate = 1,
                              .dead = 0.716,
                              .guided = 0.081,
                              .truncated = 0.004,
                              .loss = 0.51234,
                              .tokens = 25166};
    ag_progress p;
    ag_step_note(note, &stage, &r, 2);
    ag_progress_begin(&p, label, steps, 0);
    p.start -= at * seconds_a_step;
    p.last_draw -= 60;
    ag_progress_update(&p, at, note);
    dup2(kept, STDERR_FILENO);
    close(kept);
    fcntl(master, F_SETFL, O_NONBLOCK);
    ssize_t n = read(master, line, 1023);
    line[n > 0 ? n : 0] = 0;
    ag_progress_drop();
    close(slave);
    close(master);
    assert_true(strncmp(line, "\r\033[K", 4) == 0);
    memmove(line, line + 4, strlen(line + 4) + 1);
}

/* All that a person steers by is there at 80 columns, whatever the method, and long before the end of a long stage. */
static void test_fields(void **state)
{
    (void)state;
    static const char *const methods[] = {"agrl", "grpo", "agr-shuffled", "grpo-pr", "dpo-gold"};
    static const char *const fields[] = {" rew 1.24 ", " acc 82% ", " gate 100% ",
                                         " dead 72% ", " cut 0% ",  " 13k tok/s"};
    static const struct {
        double at, steps, seconds;
        const char *count, *left;
    } places[] = {{116, 220, 0.35, "116/220 ", " 0:36 "}, {16, 2000, 1.2, "16/2000 ", " 39:41 "}};
    char line[1024];
    for (int columns = 80; columns <= 160; columns += 8)
        for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
            for (size_t k = 0; k < 2; k++) {
                shown(line, columns, methods[m], methods[m], places[k].at, places[k].steps,
                      places[k].seconds);
                bool replays = strncmp(methods[m], "agr", 3) == 0, all = strlen(line) < (size_t)columns;
                for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
                    all = all && strstr(line, fields[i]);
                all = all && strstr(line, places[k].count) && strstr(line, places[k].left) &&
                      (strstr(line, " hint 8% ") != NULL) == replays;
                if (!all) fail_msg("%d columns, %s: '%s'", columns, methods[m], line);
            }
}

static void test_lines(void **state)
{
    (void)state;
    char line[1024];
    shown(line, 80, "agrl", "agrl", 116, 220, 0.35);
    assert_string_equal(line,
                        "agrl 116/220 0:36 rew 1.24 acc 82% gate 100% dead 72% hint 8% cut 0% 13k tok/s");
    shown(line, 80, "agrl, seed 2 (3 of 20): agrl", "agrl", 1016, 2000,
          0.6); /* the numbers before the label */
    assert_string_equal(line,
                        "agr 1016/2000 9:50 rew 1.24 acc 82% gate 100% dead 72% hint 8% cut 0% 13k tok/s");
    shown(line, 120, "agrl", "agrl", 116, 220, 0.35);
    assert_string_equal(
        line, "agrl #######....... 52%  116/220  2.86/s  0:36 left  rew 1.24  acc 82%  gate 100%  dead 72%  "
              "hint 8%  cut 0%  13k tok/s");
    shown(line, 80, "sft", "sft", 585, 4000, 0.1);
    assert_string_equal(line,
                        "sft ##................ 14%  585/4000  10.0/s  5:42 left  loss 0.5123  13k tok/s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fields), cmocka_unit_test(test_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
