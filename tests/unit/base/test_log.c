/* What is said on stderr: lines, hostile text, quiet, progress to a file and to a terminal. */
#include "unit/base/test_terminal.h"

#include <math.h>
#include <time.h>

#include "base/log.h"

static char heard[65536];
static int kept_stderr, listening;

/* Sends stderr into a pipe (or the descriptor given) until heard_text. */
static void listen_on(int fd, int reader)
{
    fflush(stderr);
    kept_stderr = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
    listening = reader;
}

static void listen_pipe(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    listen_on(ends[1], ends[0]);
}

static const char *heard_text(void)
{
    size_t n = 0;
    fflush(stderr);
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    fcntl(listening, F_SETFL, O_NONBLOCK);
    for (;;) {
        ssize_t got = read(listening, heard + n, sizeof heard - 1 - n);
        if (got <= 0) break;
        n += (size_t)got;
    }
    close(listening);
    heard[n] = '\0';
    return heard;
}

static void test_lines(void **state)
{
    (void)state;
    listen_pipe();
    ag_say("one %d", 1);
    ag_warn("two %s", "x\x1b[2J\r\x07y");
    ag_log_quiet(true);
    ag_say("not heard");
    ag_warn("not heard");
    ag_log_quiet(false);
    assert_string_equal(heard_text(), "one 1\nagrl: warning: two x?[2J??y\n");
}

static void test_clock(void **state)
{
    (void)state;
    double before = ag_clock();
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    double after = ag_clock();
    assert_true(after - before >= 0.002 && after - before < 10);
}

static void test_progress_plain(void **state)
{
    (void)state;
    ag_progress p;
    listen_pipe();
    ag_progress_begin(&p, "reading", 100, 0);
    for (int i = 0; i < 50; i++) ag_progress_update(&p, i, NULL); /* at most one line in 10 s */
    p.start -= 20;
    p.last_draw -= 20;
    ag_progress_update(&p, 50, "loss 0.5");
    ag_progress_update(&p, 51, "loss 0.4");
    ag_progress_end(&p, "all");
    const char *text = heard_text();
    double rate;
    int seconds;
    assert_int_equal(sscanf(text, "reading  50%%  50/100  %lf/s  0:%d left  loss 0.5\n", &rate, &seconds), 2);
    assert_true(fabs(rate - 2.5) < 0.05 && seconds == 20);
    assert_non_null(strstr(text, "\nreading  done in 0:20  all\n"));
    assert_null(strstr(text, "loss 0.4"));
    assert_null(strchr(text, '\r'));
}

static void test_progress_resumed(void **state)
{
    (void)state;
    ag_progress p;
    listen_pipe();
    ag_progress_begin(&p, "steps", 1000, 900); /* what an earlier process did is no speed of this one */
    p.start -= 100;
    p.last_draw -= 100;
    ag_progress_update(&p, 950, NULL);
    ag_progress_begin(&p, "rows", 0, 0);
    p.start -= 100;
    p.last_draw -= 100;
    ag_progress_update(&p, 20000000, NULL);
    const char *text = heard_text();
    assert_non_null(strstr(text, "steps  95%  950/1000  0.50/s  1:40 left\n"));
    assert_non_null(strstr(text, "rows  20.00M  200"));
    assert_null(strstr(strstr(text, "rows"), "left"));
}

static void test_progress_quiet(void **state)
{
    (void)state;
    ag_progress p;
    listen_pipe();
    ag_log_quiet(true);
    ag_progress_begin(&p, "reading", 100, 0);
    p.last_draw -= 20;
    ag_progress_update(&p, 50, NULL);
    ag_progress_end(&p, NULL);
    ag_log_quiet(false);
    assert_string_equal(heard_text(), "");
}

/* On a terminal: one line that is cleared before anything else is written, never wider than the terminal. */
static void test_progress_terminal(void **state)
{
    (void)state;
    int master, slave = test_terminal(&master, 60);
    ag_progress p;
    listen_on(slave, master);
    ag_progress_begin(&p, "reading", 200, 0);
    p.start -= 10;
    p.last_draw -= 10;
    ag_progress_update(&p, 100, "loss 0.5");
    ag_progress_update(&p, 101, "too soon");
    ag_say("a line");
    p.last_draw -= 10;
    ag_progress_update(&p, 150, "a note that is so long that it cannot stand in the line of this terminal");
    ag_progress_end(&p, NULL);
    const char *text = heard_text();
    assert_null(strstr(text, "too soon"));
    assert_non_null(strstr(text, "50%  100/200  10.0/s  0:10 left  loss 0.5\r\033[Ka line\n"));
    assert_non_null(strstr(text, "#"));
    assert_non_null(strstr(text, "\r\033[Kreading  done in 0:10\n"));
    for (const char *part = text; (part = strstr(part, "\033[K")); part += 3)
        assert_true(strcspn(part + 3, "\r\n") < 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),          cmocka_unit_test(test_clock),
        cmocka_unit_test(test_progress_plain), cmocka_unit_test(test_progress_resumed),
        cmocka_unit_test(test_progress_quiet), cmocka_unit_test(test_progress_terminal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
