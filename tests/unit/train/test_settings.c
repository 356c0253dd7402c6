/* Settings of a run: defaults, nested and dotted keys, --set, stages, refusals with their place, paths, write and
 * read back, hostile files.
 */
#include "unit/base/test_help.h"

#include "train/settings.h"

#define NEEDED "rules: r.yaml\ndata: {train: t.jsonl}\nout: runs/x\n"
#define ONE    NEEDED "stages:\n  - method: sft\n"

static char folder[64], path[160];

static int setup(void **state)
{
    (void)state;
    test_folder(folder);
    snprintf(path, sizeof path, "%s/run.yaml", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return ag_dir_remove(folder, NULL) == AG_OK ? 0 : -1;
}

static void load(ag_settings *s, const char *text)
{
    ag_error err = {0};
    put_file(path, text, strlen(text));
    if (ag_settings_load(s, path, NULL, 0, &err) != AG_OK) fail_msg("%s", err.message);
}

static void refuse(const char *text, const char *set, const char *says)
{
    ag_error err = {0};
    ag_settings s;
    put_file(path, text, strlen(text));
    if (ag_settings_load(&s, path, &set, set ? 1 : 0, &err) == AG_OK) fail_msg("accepted: %s %s", text, set);
    assert_says(err, says);
}

static void test_defaults_and_keys(void **state)
{
    (void)state;
    ag_settings s;
    char want[160];
    load(&s, ONE);
    assert_string_equal(s.model, "");
    assert_string_equal(s.scratch_preset, "mini");
    assert_int_equal(s.scratch_vocab, 2048);
    assert_int_equal(s.item_tokens, 300);
    assert_true(s.repeat_query && s.rules_in_prompt);
    assert_int_equal(s.stage_count, 1);
    assert_int_equal(s.stages[0].batch, 32);
    assert_true(s.stages[0].lr == 1e-4 && s.stages[0].epochs == 2);
    snprintf(want, sizeof want, "%s/t.jsonl", folder); /* relative to the run file */
    assert_string_equal(s.train, want);
    assert_string_equal(s.valid, "");
    ag_settings_free(&s);
    load(&s,
         "rules: /abs/r.yaml\ndata.train: t\nprompt: {item_tokens: 50}\nprompt.chat: none\nlora:\n  rank: 4\n"
         "out: o\nstages: [{method: sft, lr: 0.5, steps: 3}, {method: sft, schedule: linear}]\n");
    assert_string_equal(s.rules, "/abs/r.yaml");
    assert_int_equal(s.item_tokens, 50);
    assert_string_equal(s.chat, "none");
    assert_int_equal(s.lora_rank, 4);
    assert_int_equal(s.stage_count, 2);
    assert_true(s.stages[0].lr == 0.5 && s.stages[0].steps == 3);
    assert_string_equal(s.stages[1].schedule, "linear");
    ag_settings_free(&s);
}

static void test_set(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_settings s;
    const char *set[] = {"seed=7", "stages.0.lr=1e-3", "out=here", "prompt.rules=false"};
    put_file(path, ONE, strlen(ONE));
    assert_ok(ag_settings_load(&s, path, set, 4, &err));
    assert_int_equal(s.seed, 7);
    assert_true(s.stages[0].lr == 1e-3 && !s.rules_in_prompt);
    assert_string_equal(s.out, "here"); /* relative to the current folder */
    ag_settings_free(&s);
    refuse(ONE, "seed", "key=value");
    refuse(ONE, "=1", "key=value");
    refuse(ONE, "sead=1", "did you mean 'seed'");
    refuse(ONE, "stages.1.lr=1", "no such stage");
    refuse(ONE, "stages.-1.lr=1", "no such stage");
    refuse(ONE, "stages.0.lrr=1", "did you mean 'lr'");
}

static void test_refusals(void **state)
{
    (void)state;
    refuse(ONE "sead: 1\n", NULL, "run.yaml:6:1: unknown setting 'sead'; did you mean 'seed'?");
    refuse(NEEDED "stages:\n  - method: sft\n    bach: 2\n", NULL, "run.yaml:6:5: unknown setting 'bach'");
    refuse(ONE "prompt: {chatt: none}\n", NULL, "run.yaml:6:10: unknown setting 'prompt.chatt'");
    refuse(ONE "seed: -1\n", NULL, "between 0 and");
    refuse(ONE "prompt.rules: true\nprompt: {rules: false}\n", NULL,
           "run.yaml:7:10: prompt.rules is given twice");
    refuse(NEEDED "lora.rank: 2\nstages: [{method: sft, optimizer: muon}]\n", NULL,
           "use adamw with lora.rank");
    refuse(ONE "seed: 1.5\n", NULL, "whole number");
    refuse(ONE "seed: x\n", NULL, "must be a number");
    refuse(ONE "seed: .nan\n", NULL, "must be a number");
    refuse(ONE "seed: [1]\n", NULL, "must be one value");
    refuse(ONE "prompt.rules: yes\n", NULL, "true or false");
    refuse(ONE "device: tpu\n", NULL, "cpu|cuda|ref");
    refuse(ONE "device: cpu|cuda\n", NULL, "must be one of");
    refuse(ONE "device: ''\n", NULL, "must be one of");
    refuse("rules: r\nout: o\nstages: [{method: sft}]\n", NULL, "'data.train' is missing");
    refuse(NEEDED, NULL, "'stages' is missing");
    refuse(NEEDED "stages: [{lr: 1}]\n", NULL, "stage 0 has no method");
    refuse(NEEDED "stages: [{method: sfd}]\n", NULL, "unknown method 'sfd'");
    refuse(NEEDED "stages: [{method: sft, epochs: 0}]\n", NULL, "neither steps nor epochs");
    refuse(NEEDED "stages: {method: sft}\n", NULL, "must be a list");
    refuse(NEEDED "stages: [sft]\n", NULL, "must be a map");
    refuse("- a\n", NULL, "map of settings");
    refuse("", NULL, "");
    refuse("a: [\n", NULL, "run.yaml:");
}

/* A key without a name must not open a second way to the stages, past their bound. */
static void test_stages_twice(void **state)
{
    (void)state;
    ag_str text = {0};
    for (int k = 0; k < 2; k++) {
        ag_str_add(&text, k ? "'': {stages: [" : NEEDED "stages: [");
        for (int i = 0; i < AG_MAX_STAGES; i++) ag_str_add(&text, i ? ", {method: sft}" : "{method: sft}");
        ag_str_add(&text, k ? "]}\n" : "]\n");
    }
    refuse(ag_str_text(&text), NULL, "twice");
    ag_str_free(&text);
}

static void test_write_and_load(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_settings a, b;
    ag_str one = {0}, two = {0};
    load(&a,
         "rules: /r\ndata.train: '/a: b #c'\nout: /o\nseed: 12345678901\nlora.alpha: 0.30000000000000004\n"
         "stages: [{method: sft, lr: 0.1234567890123456789}, {method: sft, steps: 4}]\n");
    assert_ok(ag_settings_write(&one, &a, &err));
    load(&b, ag_str_text(&one));
    assert_ok(ag_settings_write(&two, &b, &err));
    assert_string_equal(ag_str_text(&one), ag_str_text(&two));
    assert_true(a.lora_alpha == b.lora_alpha && a.stages[0].lr == b.stages[0].lr);
    assert_string_equal(b.train, "/a: b #c");
    assert_int_equal(b.seed, 12345678901);
    assert_int_equal(b.stage_count, 2);
    ag_settings_free(&a);
    ag_settings_free(&b);
    ag_str_free(&one);
    ag_str_free(&two);
}

static void test_find(void **state)
{
    ag_setting_info info;
    ag_error err = {0};
    (void)state;
    assert_int_equal(ag_setting_find(&info, "gate_soft", "here", &err), AG_OK);
    assert_true(info.stage && !info.path);
    assert_int_equal(ag_setting_find(&info, "hints.share", "here", &err), AG_OK);
    assert_true(!info.stage && !info.path);
    assert_int_equal(ag_setting_find(&info, "data.pool", "here", &err), AG_OK);
    assert_true(!info.stage && info.path);
    assert_int_equal(ag_setting_find(&info, "hint.share", "here", &err), AG_ERR_USAGE);
    assert_says(err, "here: unknown setting 'hint.share'; did you mean 'hints.share'?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_and_keys), cmocka_unit_test(test_set),
        cmocka_unit_test(test_refusals),          cmocka_unit_test(test_stages_twice),
        cmocka_unit_test(test_write_and_load),    cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
