/* test_trec.c: qrels and runs as files hold them, and what is refused of them. */
#include "unit/eval/eval_fixture.h"

#include <unistd.h>

#include "base/file.h"
#include "eval/trec.h"

static char folder[] = "/tmp/agrl-trec-XXXXXX";

static char *file(const char *name, const char *text)
{
    ag_error err = {0};
    char *path = ag_path_join(folder, name);
    ag_out *out;
    if (ag_out_open(&out, path, &err)) fail_msg("%s", err.message);
    ag_out_write(out, text, strlen(text));
    if (ag_out_commit(out, &err)) fail_msg("%s", err.message);
    return path;
}

typedef ag_status (*loader)(ag_trec *trec, const char *path, ag_error *err);

static ag_trec loaded(loader load, const char *name, const char *text)
{
    ag_error err = {0};
    ag_trec trec;
    char *path = file(name, text);
    if (load(&trec, path, &err)) fail_msg("%s", err.message);
    ag_free(path);
    return trec;
}

static void refused(loader load, const char *text, const char *says)
{
    ag_error err = {0};
    ag_trec trec;
    char *path = file("bad", text);
    assert_int_equal(load(&trec, path, &err), AG_ERR_INPUT);
    if (!strstr(err.message, says)) fail_msg("'%s' does not say '%s'", err.message, says);
    ag_trec_free(&trec);
    ag_free(path);
}

static void test_qrels(void **state)
{
    (void)state;
    ag_trec t = loaded(ag_trec_load_qrels, "q", "2 0 b 1\n\n1\t0\tz\t-1\r\n2 0 a 3\n1 x 0\n");
    assert_int_equal(t.count, 2);
    assert_string_equal(t.queries[0].id, "2"); /* in the order of the file */
    const ag_trec_query *one = ag_trec_find(&t, "1"), *two = ag_trec_find(&t, "2");
    assert_null(ag_trec_find(&t, "3"));
    assert_int_equal(one->count, 2);
    assert_string_equal(one->docs[0].id, "x"); /* by id */
    assert_near(one->docs[0].value, 0, 0);
    assert_near(one->docs[1].value, -1, 0);
    assert_string_equal(two->docs[0].id, "a");
    assert_near(two->docs[0].value, 3, 0);
    assert_int_equal(two->docs[0].line, 4);
    ag_trec_free(&t);
    t = loaded(ag_trec_load_qrels, "beir", "query-id\tcorpus-id\tscore\n1\td1\t1\n");
    assert_int_equal(t.count, 1);
    ag_trec_free(&t);
}

static void test_run(void **state)
{
    (void)state;
    ag_trec t = loaded(ag_trec_load_run, "r.gz", "1 Q0 b 1 2.5 tag\n2 Q0 b 1 -1e-3 tag\n1 Q0 a 2 2.5 tag\n");
    assert_int_equal(t.count, 2);
    assert_int_equal(ag_trec_find(&t, "1")->count, 2);
    assert_near(ag_trec_find(&t, "2")->docs[0].value, -1e-3, 0);
    ag_trec_free(&t);
}

static void test_refused(void **state)
{
    (void)state;
    refused(ag_trec_load_qrels, "", "bad: empty");
    refused(ag_trec_load_qrels, "query-id\tcorpus-id\tscore\n", "bad: empty");
    refused(ag_trec_load_qrels, "1 0 d 1\n1 d\n", "bad:2: not 'query-id iteration");
    refused(ag_trec_load_qrels, "1 0 d nan\n", "bad:1: not");
    refused(ag_trec_load_qrels, "1 0 d 0.5\n", "bad:1: relevance 0.5: grades are whole numbers");
    refused(ag_trec_load_qrels, "1 0 d 1e12\n", "bad:1: relevance 1e+12");
    refused(ag_trec_load_qrels, "1 0 d 1\n1 0 e 1\n1 0 d 1\n",
            "bad:3: document 'd' of query '1' is in line 1 already");
    refused(ag_trec_load_qrels, "1 0 \xff 1\n", "bad:1: not");
    refused(ag_trec_load_run, "", "bad: empty");
    refused(ag_trec_load_run, "1 Q0 d 1 0.5\n", "bad:1: not 'query-id Q0 document-id rank score tag'");
    refused(ag_trec_load_run, "1 Q0 d 1 0.5 tag more\n", "bad:1: not");
    refused(ag_trec_load_run, "1 Q0 d 1 NaN tag\n", "bad:1: not");
    refused(ag_trec_load_run, "1 Q0 d 1 inf tag\n", "bad:1: not");
    refused(ag_trec_load_run, "1 Q0 d 1 1 t\n2 Q0 d 1 1 t\n1 Q0 d 9 0 t\n",
            "bad:3: document 'd' of query '1' is in line 1 already");
}

/* Every allocation in turn fails: an error and nothing left behind (the sanitizer looks). */
static void test_memory(void **state)
{
    (void)state;
    char *path = file("m", "1 0 a 1\n2 0 a 1\n1 0 b 0\n");
    for (long n = 1;; n++) {
        ag_error err = {0};
        ag_trec t;
        ag_mem_fail_at(n, true);
        ag_status status = ag_trec_load_qrels(&t, path, &err);
        ag_mem_fail_at(0, false);
        ag_trec_free(&t);
        if (status == AG_OK) break;
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_true(n < 1000);
    }
    ag_free(path);
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return ag_dir_remove(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_qrels), cmocka_unit_test(test_run),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, begin, end);
}
