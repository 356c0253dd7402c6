/* test_tokenizer.c: encoding and decoding over a small vocabulary: merges against a plain one, any bytes,
 * special tokens, normalization, bytes that the vocabulary lacks, long pieces in reasonable time, and no
 * memory.
 */
#include "unit/text/text_help.h"
#include <pthread.h>
#include <time.h>
#include "text/tok.h"

static ag_tokenizer *build(toy *v)
{
    ag_tokenizer *t = NULL;
    ag_error err = {0};

    check_ok(ag_tokenizer_from_vocab(&t, &v->source, &err), &err);
    return t;
}

/* A vocabulary over a and b with merges in an order that makes ranks and lengths disagree. */
static const char *const ab_merges[] = {"b b",   "a b",   "a a",    "ab a",   "aa aa",     "bb a",
                                        "b ab",  "aba b", "aaaa a", "a aba",  "aaaa aaaa", "bb bb",
                                        "ab ab", "aa b",  "a aa",   "aaa ab", "bba bba"};

static void toy_ab(toy *v, const char *pre)
{
    toy_init(v, pre);
    for (size_t i = 0; i < sizeof ab_merges / sizeof *ab_merges; i++) toy_merge(v, ab_merges[i]);
    toy_add(v, "<|im_start|>", 3);
    toy_add(v, "<|im_end|>", 3);
    toy_add(v, "<|im_end|>x", 3);
    toy_add(v, "<tool>", 4);
}

/* Merging by the definition: look for the lowest rank, leftmost, over and over, on texts. */
static size_t plain_merge(const toy *v, const char *text, size_t len, const char **part, size_t *size)
{
    size_t n = len;

    for (size_t i = 0; i < len; i++) part[i] = text + i, size[i] = 1;
    for (;;) {
        int best = v->source.merge_count;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            for (int m = 0; m < best; m++) {
                const char *l = v->merges[m], *space = strchr(l, ' '), *r = space + 1;
                if ((size_t)(space - l) != size[i] || memcmp(l, part[i], size[i]) != 0) continue;
                if (strlen(r) != size[i + 1] || memcmp(r, part[i + 1], size[i + 1]) != 0) continue;
                best = m;
                at = i;
            }
        }
        if (best == v->source.merge_count) return n;
        size[at] += size[at + 1];
        for (size_t i = at + 1; i + 1 < n; i++) part[i] = part[i + 1], size[i] = size[i + 1];
        n--;
    }
}

static void test_merges(void **state)
{
    toy v;
    ag_rng r = ag_rng_at(3, AG_RNG_TEST, 0, 0, 0, 0);
    ag_tokens ids = {0};
    static char text[400];
    static const char *part[400];
    static size_t size[400];

    (void)state;
    toy_ab(&v, "gpt-2");
    ag_tokenizer *t = build(&v);
    for (int round = 0; round < 600; round++) {
        size_t len = 1 + ag_rng_below(&r, round % 3 == 0 ? 399 : 60), n, at = 0;
        uint32_t bias = 1 + ag_rng_below(&r, 9);
        for (size_t i = 0; i < len; i++) text[i] = ag_rng_below(&r, 10) < bias ? 'a' : 'b';
        n = plain_merge(&v, text, len, part, size);
        ids.len = 0;
        check_ok(ag_tokenizer_encode(t, text, len, false, &ids, NULL), NULL);
        assert_int_equal(ids.len, n);
        for (size_t i = 0; i < n; i++) {
            size_t got = 0;
            const char *bytes = ag_tokenizer_bytes(t, ids.ids[i], &got);
            assert_int_equal(got, size[i]);
            assert_memory_equal(bytes, text + at, got);
            at += got;
        }
    }
    ag_tokens_free(&ids);
    ag_tokenizer_free(t);
    toy_free(&v);
}

static void test_any_bytes(void **state)
{
    static const char *const pres[] = {"gpt-2", "smollm", "starcoder", "llama-bpe"};

    (void)state;
    for (size_t i = 0; i < sizeof pres / sizeof *pres; i++) {
        toy v;
        toy_ab(&v, pres[i]);
        ag_tokenizer *t = build(&v);
        check_round_trips(t, 3000);
        ag_tokens ids = {0};
        check_ok(ag_tokenizer_encode(t, "a\0b\0\0", 5, true, &ids, NULL), NULL);
        assert_int_equal(ids.len, 5);
        ag_tokens_free(&ids);
        ag_tokenizer_free(t);
        toy_free(&v);
    }
}

static void test_specials(void **state)
{
    toy v;
    ag_tokens ids = {0};
    ag_str text = {0};
    ag_error err = {0};
    const char *in = "a<|im_end|>x<|im_end|><|im_en<|im_start|>b<tool>";

    (void)state;
    toy_ab(&v, "gpt-2");
    ag_tokenizer *t = build(&v);
    const int32_t start = ag_tokenizer_find(t, "<|im_start|>", 12),
                  end = ag_tokenizer_find(t, "<|im_end|>", 10),
                  endx = ag_tokenizer_find(t, "<|im_end|>x", 11), tool = ag_tokenizer_find(t, "<tool>", 6);
    check_ok(ag_tokenizer_encode(t, in, strlen(in), true, &ids, &err), &err);
    assert_int_equal(ids.len, 1 + 1 + 1 + 7 + 1 + 1 + 1);
    assert_int_equal(ids.ids[1], endx); /* the longest at its place */
    assert_int_equal(ids.ids[2], end);
    assert_int_equal(ids.ids[10], start);
    assert_int_equal(ids.ids[12], tool);
    assert_true(ag_tokenizer_is_special(t, end));
    assert_false(ag_tokenizer_is_special(t, tool));
    assert_false(ag_tokenizer_is_special(t, 'a'));
    assert_false(ag_tokenizer_is_special(t, -1));
    assert_false(ag_tokenizer_is_special(t, 1 << 30));
    check_ok(ag_tokenizer_decode(t, ids.ids, ids.len, false, &text, &err), &err);
    assert_string_equal(ag_str_text(&text), in);
    ag_str_clear(&text);
    check_ok(ag_tokenizer_decode(t, ids.ids, ids.len, true, &text, &err), &err);
    assert_string_equal(ag_str_text(&text), "a<|im_enb<tool>");
    ids.len = 0;
    check_ok(ag_tokenizer_encode(t, in, strlen(in), false, &ids, &err), &err);
    for (size_t i = 0; i < ids.len; i++) assert_true(ids.ids[i] < start);
    int32_t wrong[] = {0, ag_tokenizer_vocab(t)};
    assert_int_equal(ag_tokenizer_decode(t, wrong, 2, false, &text, &err), AG_ERR_INPUT);
    assert_non_null(strstr(err.message, "token 2 "));
    wrong[0] = -1;
    assert_int_equal(ag_tokenizer_decode(t, wrong, 1, false, &text, NULL), AG_ERR_INPUT);
    ag_tokens_free(&ids);
    ag_str_free(&text);
    ag_tokenizer_free(t);
    toy_free(&v);
}

/* A merge that spells a control token must not work on what a user typed. */
static void test_merged_special(void **state)
{
    char dir[] = "/tmp/agrl_test_XXXXXX";
    static const char json[] =
        "{\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false},"
        "\"added_tokens\": [{\"id\": 2, \"content\": \"END\", \"special\": true, \"normalized\": false}],"
        "\"model\": {\"type\": \"BPE\", \"vocab\": {\"E\": 0, \"ND\": 1, \"END\": 2, \"N\": 3, \"D\": 4},"
        "\"merges\": [\"N D\", \"E ND\"]}}";
    ag_tokenizer *t = NULL;
    ag_tokens ids = {0};
    ag_error err = {0};
    ag_out *out = NULL;

    (void)state;
    assert_non_null(mkdtemp(dir));
    char *path = ag_path_join(dir, "tokenizer.json");
    check_ok(ag_out_open(&out, path, &err), &err);
    ag_out_write(out, json, strlen(json));
    check_ok(ag_out_commit(out, &err), &err);
    check_ok(ag_tokenizer_load(&t, path, &err), &err);
    check_ok(ag_tokenizer_encode(t, "END", 3, true, &ids, &err), &err);
    assert_int_equal(ids.len, 1);
    assert_int_equal(ids.ids[0], 2);
    ids.len = 0;
    check_ok(ag_tokenizer_encode(t, "END", 3, false, &ids, &err), &err);
    assert_int_equal(ids.len, 2);
    assert_int_equal(ids.ids[0], 0);
    assert_int_equal(ids.ids[1], 1);
    /* Bytes that the vocabulary lacks, with no unknown token, are left out. */
    ids.len = 0;
    check_ok(ag_tokenizer_encode(t, "xNyDz", 5, false, &ids, &err), &err);
    assert_int_equal(ids.len, 1);
    ag_tokens_free(&ids);
    ag_tokenizer_free(t);
    ag_free(path);
    check_ok(ag_dir_remove(dir, &err), &err);
}

static void test_start_token(void **state)
{
    toy v;
    ag_tokens ids = {0};

    (void)state;
    toy_ab(&v, "gpt-2");
    v.source.bos = v.source.vocab - 4;
    v.source.add_bos = true;
    ag_tokenizer *t = build(&v);
    check_ok(ag_tokenizer_encode(t, "a", 1, true, &ids, NULL), NULL);
    assert_int_equal(ids.len, 2);
    assert_int_equal(ids.ids[0], v.source.bos);
    check_ok(ag_tokenizer_encode(t, "a", 1, false, &ids, NULL), NULL);
    assert_int_equal(ids.len, 3);
    ag_tokens_free(&ids);
    ag_tokenizer_free(t);
    toy_free(&v);
}

static void check_nfc(const char *text, const char *want)
{
    ag_str got = {0};

    check_ok(ag_nfc_append(&got, text, strlen(text), NULL), NULL);
    assert_string_equal(ag_str_text(&got), want);
    if (ag_nfc_quick(text, strlen(text))) assert_string_equal(text, want);
    ag_str_free(&got);
}

static void test_nfc(void **state)
{
    toy v;
    ag_tokens a = {0}, b = {0};

    (void)state;
    check_nfc("plain \xc3\xa9", "plain \xc3\xa9");
    check_nfc("e\xcc\x81", "\xc3\xa9");
    check_nfc("q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87");               /* marks in order of class */
    check_nfc("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c"); /* Hangul */
    check_nfc("\xea\xb0\x80\xe1\x86\xa7", "\xea\xb0\x80\xe1\x86\xa7"); /* U+AC00 U+11A7 stay two */
    check_nfc("\xe2\x84\xab", "\xc3\x85");                             /* Angstrom sign */
    check_nfc("\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc");             /* composition exclusion */
    check_nfc("\xcd\xbe", ";");                                        /* Greek question mark */
    check_nfc("\xef\xac\x81", "\xef\xac\x81");                         /* compatibility only: stays */
    toy_ab(&v, "qwen2");
    ag_tokenizer *t = build(&v);
    check_ok(ag_tokenizer_encode(t,
                                 "\xff"
                                 "e\xcc\x81\xff",
                                 5, false, &a, NULL),
             NULL);
    check_ok(ag_tokenizer_encode(t, "\xff\xc3\xa9\xff", 4, false, &b, NULL), NULL);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.ids, b.ids, a.len * sizeof *a.ids);
    ag_tokens_free(&a);
    ag_tokens_free(&b);
    ag_tokenizer_free(t);
    toy_free(&v);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A megabyte that is one piece: quadratic work would take minutes. */
static void test_long_pieces(void **state)
{
    static const char *const pres[] = {"gpt-2", "qwen2", "llama-bpe"};
    const size_t n = 1 << 20;
    char *text = ag_calloc(n, 1);
    ag_tokens ids = {0};

    (void)state;
    assert_non_null(text);
    for (size_t p = 0; p < 3; p++) {
        toy v;
        toy_ab(&v, pres[p]);
        ag_tokenizer *t = build(&v);
        for (int kind = 0; kind < 6; kind++) {
            double begin = seconds();
            for (size_t i = 0; i < n; i++) {
                static const char marks[] = "\xcc\x81\xcc\xa3"; /* acute above, dot below: out of order */
                text[i] = (char)(kind == 0   ? 'a'
                                 : kind == 1 ? ' '
                                 : kind == 2 ? "ab"[(i * i / 7) & 1]
                                 : kind == 3 ? '\n'
                                 : kind == 4 ? marks[i & 3]
                                             : 0xff);
            }
            ids.len = 0;
            check_ok(ag_tokenizer_encode(t, text, n, false, &ids, NULL), NULL);
            assert_true(ids.len > 0);
            if (kind == 0) assert_int_equal(ids.len, n / 8);
            if (seconds() - begin > 10)
                fail_msg("%s: a piece of kind %d takes %.1f s", pres[p], kind, seconds() - begin);
        }
        ag_tokenizer_free(t);
        toy_free(&v);
    }
    ag_tokens_free(&ids);
    ag_free(text);
}

static void *encode_many(void *user)
{
    check_round_trips(user, 500);
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t thread[3];
    toy v;

    (void)state;
    toy_ab(&v, "smollm");
    ag_tokenizer *t = build(&v);
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&thread[i], NULL, encode_many, t), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_join(thread[i], NULL), 0);
    ag_tokenizer_free(t);
    toy_free(&v);
}

/* Every allocation of building and of encoding fails in turn: a clean error, and no token is left behind.
 * (The JIT's may fail without harm: the pattern is interpreted then.) */
static void test_no_memory(void **state)
{
    toy v;
    char text[200];
    ag_error err;
    ag_tokenizer *t = NULL;
    int failures = 0;
    long n, made;

    (void)state;
    toy_ab(&v, "qwen2");
    v.source.chat_template = "x";
    for (n = 1, made = 1; n <= made; n++) {
        ag_mem_fail_at(n, false);
        ag_status st = ag_tokenizer_from_vocab(&t, &v.source, &err);
        made = ag_mem_fail_at(0, false);
        failures += st != AG_OK;
        if (st != AG_OK) assert_int_equal(st, AG_ERR_MEMORY);
        if (st != AG_OK) assert_null(t);
        ag_tokenizer_free(t);
        if (st != AG_OK && made < n + 1) made = n + 1; /* a failure ends the count early */
    }
    assert_true(failures > 8);
    t = build(&v);
    memset(text, 'a', sizeof text);
    memcpy(text, "e\xcc\x81 <|im_end|> \xff", 15);
    failures = 0;
    for (n = 1, made = 1; n <= made; n++) {
        ag_tokens ids = {0};
        int32_t first = 7;
        check_ok(ag_tokens_add(&ids, &first, 1, NULL), NULL);
        ag_mem_fail_at(n, false);
        ag_status st = ag_tokenizer_encode(t, text, sizeof text, true, &ids, &err);
        made = ag_mem_fail_at(0, false);
        failures += st != AG_OK;
        if (st != AG_OK) assert_int_equal(st, AG_ERR_MEMORY);
        if (st != AG_OK) assert_int_equal(ids.len, 1);
        ag_tokens_free(&ids);
        if (st != AG_OK && made < n + 1) made = n + 1;
    }
    assert_true(failures > 8);
    ag_tokenizer_free(t);
    toy_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges),      cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_specials),    cmocka_unit_test(test_merged_special),
        cmocka_unit_test(test_start_token), cmocka_unit_test(test_nfc),
        cmocka_unit_test(test_long_pieces), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
