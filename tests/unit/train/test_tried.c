/* test_tried.c: runs that are only planned, one after another: what the first learned of the training set stands for the others, and for
 * no others than those that differ in their stages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/str.h"
#include "train/run.h"

static char dir[] = "/tmp/agrl-tried-XXXXXX";

static void write_file(const char *name, const char *text)
{
    ag_error err = {0};
    if (ag_file_write(dir, name, text, strlen(text), &err)) fail_msg("%s", err.message);
}

static const char pairs[] =
    "{\"query\":\"red "
    "boots\",\"item\":{\"title\":\"boots\"},\"asked\":[{\"name\":\"colour\",\"value\":\"red\"}],"
    "\"gold\":{\"tier\":\"3\",\"rule\":\"R7\",\"verdicts\":{\"cat\":\"SAME\",\"attr\":{\"colour\":"
    "\"CONFLICT\"}}}}\n"
    "{\"query\":\"blue boots\",\"item\":{\"title\":\"blue "
    "boots\"},\"asked\":[{\"name\":\"colour\",\"value\":\"blue\"}],"
    "\"gold\":{\"tier\":\"4\",\"rule\":\"R0\",\"verdicts\":{\"cat\":\"SAME\",\"attr\":{\"colour\":\"MATCH\"}}"
    "}}\n"
    "{\"query\":\"sofa\",\"item\":{\"title\":\"kettle\"},\"asked\":[],\"gold\":{\"tier\":\"1\",\"rule\":"
    "\"R1\","
    "\"verdicts\":{\"cat\":\"DIFFERENT\"}}}\n";

/* What a run says, a line each. */
static void keep_line(void *user, const char *line)
{
    ag_str *said = user;
    ag_str_addf(said, "%s\n", line);
}

/* A run of one stage with the model `start` (NULL: from scratch), planned only with `tried`, else trained. */
static ag_status go(ag_str *said, const char *start, const char *stage, const char *set,
                    ag_train_tried *tried, bool plan, ag_error *err)
{
    ag_settings s;
    ag_str yaml = {0};
    char path[256];
    const char *sets[] = {set};
    ag_str_addf(&yaml, "rules: %s/rules/shop.yaml\nout: %s\ndata: {train: train.jsonl, pool: pool.jsonl}\n",
                AGRL_SOURCE_DIR, start ? "run" : "start");
    if (start)
        ag_str_addf(&yaml, "model: %s/%s\n", dir, start);
    else
        ag_str_add(&yaml, "scratch: {preset: nano, vocab: 400}\n");
    ag_str_addf(&yaml, "prompt: {rules: false}\nthreads: 1\ndtype: fp32\nstages:\n  - {%s}\n", stage);
    write_file("run.yaml", ag_str_text(&yaml));
    ag_str_free(&yaml);
    snprintf(path, sizeof path, "%s/run.yaml", dir);
    ag_status status = ag_settings_load(&s, path, sets, set != NULL, err);
    if (status != AG_OK) return status;
    ag_train_hooks hooks = {.user = said, .say = keep_line};
    ag_str_clear(said);
    status = ag_train_run(&s, &(ag_train_options){.plan_only = plan, .tried = tried}, &hooks, err);
    ag_settings_free(&s);
    return status;
}

static void must(ag_status status, const ag_error *err)
{
    if (status != AG_OK) fail_msg("%s", err->message);
}

static int setup(void **state)
{
    ag_error err = {0};
    ag_str said = {0};
    (void)state;
    assert_non_null(mkdtemp(dir));
    write_file("train.jsonl", pairs);
    write_file("pool.jsonl", pairs);
    ag_status status = go(&said, NULL, "method: sft, steps: 1, batch: 2", "data.pool=", NULL, false, &err);
    if (status != AG_OK) print_error("%s\n", err.message);
    ag_str_free(&said);
    return status != AG_OK;
}

static int teardown(void **state)
{
    (void)state;
    return ag_dir_remove(dir, NULL) != AG_OK;
}

static const char start[] = "start/checkpoints/last", grpo[] = "method: grpo, steps: 2, batch: 2, group: 4",
                  agrl[] = "method: agrl, steps: 2, batch: 2, group: 4",
                  gold[] = "method: sft+, steps: 2, batch: 2, prompt_loss: 0.5";

/* Each plan says what it says alone, in whatever order they are made. */
static void test_same_plan(void **state)
{
    static const char *const stages[] = {grpo, agrl, gold, grpo};
    ag_train_tried tried = {0};
    ag_str alone = {0}, after = {0};
    ag_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        must(go(&alone, start, stages[i], NULL, NULL, true, &err), &err);
        must(go(&after, start, stages[i], NULL, &tried, true, &err), &err);
        assert_string_equal(ag_str_text(&alone), ag_str_text(&after));
        assert_non_null(strstr(ag_str_text(&after), "3 training pairs"));
        assert_int_equal(tried.train.count, 3);
    }
    ag_train_tried_free(&tried);
    ag_str_free(&alone);
    ag_str_free(&after);
}

/* The set is read once; a stage's own faults are still found; other settings read it again. */
static void test_read_once(void **state)
{
    ag_train_tried tried = {0};
    ag_str said = {0};
    ag_error err = {0};
    char other_file[256];
    (void)state;
    snprintf(other_file, sizeof other_file, "data.train=%s/pool.jsonl", dir);
    must(go(&said, start, grpo, NULL, &tried, true, &err), &err);
    write_file("train.jsonl", "{\n");
    must(go(&said, start, agrl, NULL, &tried, true, &err), &err);
    assert_int_equal(go(&said, start, "method: grpo, steps: 2, group: 256", "kv_slots=400", NULL, true, &err),
                     AG_ERR_INPUT);
    assert_int_equal(go(&said, start, "method: grpo, steps: 2, group: 256", NULL, &tried, true, &err),
                     AG_ERR_USAGE);
    assert_non_null(strstr(err.message, "kv_slots"));
    const char *const others[] = {"prompt.item_tokens=50", "hints.share=0.4", "seed=7", "data.pool="};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (go(&said, start, grpo, others[i], &tried, true, &err) != AG_ERR_INPUT)
            fail_msg("%s: %s", others[i], err.message);
    must(go(&said, start, grpo, NULL, &tried, true, &err), &err); /* what failed left it as it was */
    must(go(&said, start, grpo, other_file, &tried, true, &err), &err);
    assert_int_equal(go(&said, start, grpo, NULL, &tried, true, &err), AG_ERR_INPUT);
    /* a run that is trained never relies on it */
    assert_int_equal(go(&said, start, grpo, NULL, &tried, false, &err), AG_ERR_INPUT);
    write_file("train.jsonl", pairs);
    ag_train_tried_free(&tried);
    ag_str_free(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_plan), cmocka_unit_test(test_read_once)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
