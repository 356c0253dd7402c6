/* test_report.c: the report is one safe, self-contained page: hostile text stays text, every link leads
 * somewhere, the same input gives the same bytes, and failures leave no page behind.
 */
#include "eval_fixture.h"

#include <unistd.h>

#include "base/file.h"
#include "eval/report.h"

static const char hostile[] =
    "<script>alert('x')</script> & \"quoted\" </title><img src=x onerror=alert(1)> \x01 \xff \u202e";

typedef struct report_set {
    fixture_book book;
    ag_record *items;
    char (*ids)[16], (*queries)[32];
    const char *names[2], *values[2];
    int ratings[2];
    ag_records records;
    json_t *metrics;
    char dir[64], page[96], log[96];
} report_set;

/* n records over queries of 7; every text of them is hostile. */
static void report_make(report_set *s, size_t n)
{
    ag_error err = {0};
    memset(s, 0, sizeof *s);
    fixture_book_make(&s->book, 4);
    s->book.tiers[2].id = "<i>t2</i>";
    s->book.tiers[3].name = hostile;
    s->book.criteria[0].name = hostile;
    s->book.book.name = hostile;
    s->items = ag_calloc(n, sizeof *s->items);
    s->ids = ag_calloc(n, sizeof *s->ids);
    s->queries = ag_calloc(n, sizeof *s->queries);
    s->names[0] = hostile, s->names[1] = "type", s->values[0] = hostile, s->values[1] = "plain";
    s->ratings[0] = 1, s->ratings[1] = -1;
    for (size_t i = 0; i < n; i++) {
        ag_rng rng = ag_rng_at(3, AG_RNG_TEST, i, 0, 0, 0);
        int gold = (int)ag_rng_below(&rng, 5) - 1, tier = (int)ag_rng_below(&rng, 4);
        snprintf(s->ids[i], sizeof s->ids[i], "p%u", (unsigned)i);
        snprintf(s->queries[i], sizeof s->queries[i], "<q>%u", (unsigned)(i / 7));
        ag_record *r = &s->items[i];
        *r = fixture_record(s->queries[i], gold, tier);
        for (int k = 0; k < 4; k++) r->probability[k] = k == tier ? 0.55 : 0.15;
        r->id = s->ids[i], r->title = hostile, r->answer = hostile;
        r->answered = true, r->format = i % 4 != 0, r->gate = r->format && i % 3 != 0;
        r->answer_tier = r->format ? tier : -1, r->derived_tier = r->gate ? tier : -1;
        r->verdicts_known = true, r->verdict_count[0] = 1, r->verdict_hits[0] = i % 2;
        r->gold_rule = 0, r->rule = r->format ? 1 : -1;
        r->slice_names = s->names, r->slice_values = s->values, r->slice_count = 2;
        r->ratings = s->ratings, r->rating_count = 2;
    }
    s->records = (ag_records){&s->book.book, s->items, n};
    if (ag_metrics_json(&s->metrics, &s->records, 20, 1, &err)) fail_msg("%s", err.message);
    snprintf(s->dir, sizeof s->dir, "/tmp/agrl-report-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->page, sizeof s->page, "%s/report.html", s->dir);
    snprintf(s->log, sizeof s->log, "%s/metrics.jsonl", s->dir);
}

static void report_free(report_set *s)
{
    ag_dir_remove(s->dir, NULL);
    json_decref(s->metrics);
    ag_free(s->items), ag_free(s->ids), ag_free(s->queries);
}

static void write_log(const report_set *s, const char *text)
{
    FILE *f = fopen(s->log, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static char *write_page(const report_set *s, const ag_report_input *input, size_t *len)
{
    ag_error err = {0};
    char *text;
    if (ag_report_write(s->page, input, &err)) fail_msg("%s", err.message);
    if (ag_file_read(s->page, 0, &text, len, &err)) fail_msg("%s", err.message);
    return text;
}

static size_t count_of(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what)) n++;
    return n;
}

static const char log_text[] =
    "{\"step\":1,\"loss\":2.5,\"lr\":0.001,\"grad_norm\":0.8,\"tokens\":4096,\"note\":\"x\"}\n"
    "{\"step\":2,\"loss\":2.0,\"lr\":0.002,\"<b>&\\\"key\":1e17,\"flag\":true}\n"
    "{\"step\":2,\"valid\":{\"nll\":1.5,\"accuracy\":0.5,\"deep\":{\"er\":1}}}\n"
    "{\"step\":3,\"stage\":\"<grpo>\",\"reward\":{\"total\":-1,\"tier\":0},\"<b>&\\\"key\":1."
    "0000000000000001e17}\n"
    "\n"
    "{\"step\":4,\"loss\":1e308}\n";

/* No tag comes from the data, nothing is fetched, and the tags that the page opens it closes. */
static void test_hostile(void **state)
{
    static const char *const pairs[] = {"details", "section", "table", "article", "svg", "figure", "span",
                                        "p",       "a",       "div",   "summary", "td",  "th",     "tr",
                                        "g",       "dl",      "pre",   "ul",      "li"};
    report_set s;
    size_t len;
    (void)state;
    report_make(&s, 70);
    write_log(&s, log_text);
    ag_report_input input = {hostile, hostile, s.log, s.metrics, &s.records};
    char *page = write_page(&s, &input, &len);
    assert_int_equal(strlen(page), len);
    assert_true(ag_utf8_valid(page, len, NULL));
    assert_int_equal(count_of(page, "<script"), 1);
    assert_int_equal(count_of(page, "<img"), 0);
    assert_int_equal(count_of(page, "<q>"), 0);
    assert_int_equal(count_of(page, "<i>t2"), 0);
    assert_int_equal(count_of(page, "<b>&amp;"), 0);
    assert_int_equal(count_of(page, "</title>"), count_of(page, "<title>"));
    assert_int_equal(count_of(page, "src="), count_of(page, "src=x onerror"));
    assert_int_equal(count_of(page, "url("), 0);
    assert_int_equal(count_of(page, "@import"), 0);
    assert_int_equal(count_of(page, "https:"), 0);
    assert_int_equal(count_of(page, "http:"), 1); /* the name of the SVG name space */
    assert_non_null(
        strstr(page, "Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
                     "script-src 'unsafe-inline'; img-src data:\""));
    assert_non_null(strstr(page, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;quoted&quot;"));
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char open[16], open_with[16], close[16];
        snprintf(open, sizeof open, "<%s>", pairs[i]);
        snprintf(open_with, sizeof open_with, "<%s ", pairs[i]);
        snprintf(close, sizeof close, "</%s>", pairs[i]);
        if (count_of(page, open) + count_of(page, open_with) != count_of(page, close))
            fail_msg("<%s> and </%s>", pairs[i], pairs[i]);
    }
    assert_null(strstr(page, "nan"));
    assert_null(strstr(page, "inf,"));
    ag_free(page);
    report_free(&s);
}

/* Every link inside the page has a target, and no id stands twice. */
static void test_links(void **state)
{
    report_set s;
    size_t len;
    (void)state;
    report_make(&s, 70);
    ag_report_input input = {"links", NULL, NULL, s.metrics, &s.records};
    char *page = write_page(&s, &input, &len);
    size_t links = 0;
    for (const char *at = page; (at = strstr(at, " href=\"#")); links++) {
        char id[64];
        at += 8;
        size_t n = strcspn(at, "\"");
        assert_true(n > 0 && n < 40);
        snprintf(id, sizeof id, " id=\"%.*s\"", (int)n, at);
        if (count_of(page, id) != 1) fail_msg("%s stands %zu times", id, count_of(page, id));
    }
    assert_true(links > 200);
    assert_int_equal(count_of(page, "<article"), 70 + count_of(page, "class=\"qline\""));
    assert_non_null(strstr(page, "href=\"#s-gate\""));
    assert_non_null(strstr(page, "href=\"#s-cell-"));
    assert_non_null(strstr(page, "href=\"#s-bin-"));
    assert_non_null(strstr(page, "href=\"#s-slice-"));
    ag_free(page);
    report_free(&s);
}

static void test_same_bytes(void **state)
{
    report_set s;
    size_t len, again_len;
    (void)state;
    report_make(&s, 35);
    write_log(&s, log_text);
    ag_report_input input = {"same", "a: 1", s.log, s.metrics, &s.records};
    char *page = write_page(&s, &input, &len), *again = write_page(&s, &input, &again_len);
    assert_int_equal(len, again_len);
    assert_memory_equal(page, again, len);
    ag_free(page), ag_free(again);
    report_free(&s);
}

/* More rows than fit: a bounded page that says what it left out. */
static void test_large(void **state)
{
    report_set s;
    size_t len;
    (void)state;
    report_make(&s, 7000);
    for (size_t i = 0; i < 1000; i++) s.items[i].query = s.items[i].group = "one query with many items";
    ag_report_input input = {"large", NULL, NULL, s.metrics, &s.records};
    char *page = write_page(&s, &input, &len);
    size_t rows = count_of(page, "<article") - count_of(page, "class=\"qline\"");
    assert_in_range(rows, 1500, 2000);
    char left[64];
    snprintf(left, sizeof left, "%zu rows are left out", 7000 - rows);
    assert_non_null(strstr(page, left));
    assert_true(len < 8u << 20);
    ag_free(page);
    report_free(&s);
}

/* Any part may be missing; a page still comes. */
static void test_parts(void **state)
{
    report_set s;
    size_t len;
    (void)state;
    report_make(&s, 14);
    write_log(&s, "{\"loss\":1}\n");
    ag_records none = {&s.book.book, NULL, 0};
    json_t *empty;
    assert_int_equal(ag_metrics_json(&empty, &none, 10, 1, NULL), AG_OK);
    const ag_report_input inputs[] = {{0},
                                      {.metrics = s.metrics},
                                      {.records = &s.records},
                                      {.metrics_jsonl = s.log},
                                      {.metrics = empty, .records = &none},
                                      {.config_yaml = "seed: 1"}};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        char *page = write_page(&s, &inputs[i], &len);
        assert_non_null(strstr(page, "</html>"));
        assert_null(strstr(page, ">nan<"));
        ag_free(page);
    }
    json_decref(empty);
    report_free(&s);
}

/* A log whose last line is cut is a run that is still writing; damage before that is an error with its
 * place. */
static void test_log(void **state)
{
    report_set s;
    ag_error err = {0};
    size_t len;
    (void)state;
    report_make(&s, 7);
    ag_report_input input = {"log", NULL, s.log, NULL, NULL};
    write_log(&s, "{\"step\":1,\"loss\":2}\n{\"step\":2,\"loss\":1.5}\n{\"step\":3,\"lo");
    char *page = write_page(&s, &input, &len);
    assert_non_null(strstr(page, "data-y=\"2 1.5\""));
    ag_free(page);
    unlink(s.page);
    write_log(&s, "{\"step\":1,\"loss\":2}\n{\"step\":\n{\"step\":3}\n");
    assert_int_equal(ag_report_write(s.page, &input, &err), AG_ERR_INPUT);
    assert_non_null(strstr(err.message, "metrics.jsonl:2"));
    assert_false(ag_path_exists(s.page));
    unlink(s.log);
    assert_int_equal(ag_report_write(s.page, &input, &err), AG_ERR_IO);
    report_free(&s);
}

static void test_out_of_memory(void **state)
{
    report_set s;
    json_t *warm;
    (void)state;
    report_make(&s, 14);
    write_log(&s, log_text);
    ag_report_input input = {"memory", "a: 1", s.log, s.metrics, &s.records};
    assert_int_equal(ag_json_parse(&warm, "{}", 2, "warm", 1, NULL), AG_OK);
    json_decref(warm);
    for (long n = 1;; n++) {
        ag_error err = {0};
        ag_mem_fail_at(n, true);
        ag_status status = ag_report_write(s.page, &input, &err);
        ag_mem_fail_at(0, false);
        if (!status) break;
        if (status != AG_ERR_MEMORY) fail_msg("allocation %ld: %s", n, err.message);
        assert_false(ag_path_exists(s.page));
        assert_true(n < 100000);
    }
    assert_true(ag_path_exists(s.page));
    report_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),       cmocka_unit_test(test_links), cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_large),         cmocka_unit_test(test_parts), cmocka_unit_test(test_log),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
