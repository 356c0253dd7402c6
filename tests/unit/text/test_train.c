/* test_train.c: the trainer against one that is too simple to be wrong; digits; the same result every time;
 * saving. */
#include "unit/text/text_help.h"

typedef struct corpus {
    const char *text;
    size_t len, at, step; /* handed out in documents of `step` bytes */
} corpus;

static ag_status next(void *user, const char **text, size_t *len, ag_error *err)
{
    corpus *c = user;

    (void)err;
    *text = NULL;
    if (c->at == c->len) return AG_OK;
    *len = c->step < c->len - c->at ? c->step : c->len - c->at;
    *text = c->text + c->at;
    c->at += *len;
    return AG_OK;
}

static ag_tokenizer *train(const char *text, size_t len, size_t step, int vocab)
{
    static const char *const special[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    corpus c = {text, len, 0, step};
    ag_tokenizer *t = NULL;
    ag_error err = {0};

    check_ok(ag_tokenizer_train(&t, next, &c, vocab, special, 3, &err), &err);
    return t;
}

/* A word as a list of parts. */
typedef struct word {
    const char *part[40];
    size_t size[40];
    int count;
} word;

static int compare(const char *a, size_t n, const char *b, size_t m)
{
    int c = memcmp(a, b, n < m ? n : m);

    return c != 0 ? c : (n > m) - (n < m);
}

/* The pair seen most often; ties by bytes. Returns its count. */
static int best_pair(const word *words, int n, const word **where, int *at)
{
    int best = 0;

    for (int w = 0; w < n; w++) {
        for (int i = 0; i + 1 < words[w].count; i++) {
            const word *x = &words[w];
            int count = 0, c;
            for (int v = 0; v < n; v++)
                for (int k = 0; k + 1 < words[v].count; k++)
                    count += compare(words[v].part[k], words[v].size[k], x->part[i], x->size[i]) == 0 &&
                             compare(words[v].part[k + 1], words[v].size[k + 1], x->part[i + 1],
                                     x->size[i + 1]) == 0;
            if (count < best) continue;
            if (count == best) {
                const word *y = *where;
                c = compare(x->part[i], x->size[i], y->part[*at], y->size[*at]);
                if (c == 0) c = compare(x->part[i + 1], x->size[i + 1], y->part[*at + 1], y->size[*at + 1]);
                if (c >= 0) continue;
            }
            best = count;
            *where = x;
            *at = i;
        }
    }
    return best;
}

/* Trains on words of letters with one space between by brute force, and checks the k-th new token each time.
 */
static void check_brute(const char *text, int merges)
{
    static word words[200];
    int n = 0, id = 3 + 256;
    ag_tokenizer *t = train(text, strlen(text), strlen(text), 3 + 256 + merges);

    for (const char *p = text; *p != '\0'; n++) {
        word *w = &words[n];
        w->count = 0;
        do {
            w->part[w->count] = p++;
            w->size[w->count++] = 1;
        } while (*p != '\0' && *p != ' ');
    }
    for (;;) {
        const word *where = NULL;
        int at = 0;
        char l[64], r[64], both[128];
        if (id == ag_tokenizer_vocab(t) && id == 3 + 256 + merges) break;
        if (best_pair(words, n, &where, &at) < 2) break;
        size_t a = where->size[at], b = where->size[at + 1], len = 0;
        memcpy(l, where->part[at], a);
        memcpy(r, where->part[at + 1], b);
        memcpy(both, l, a);
        memcpy(both + a, r, b);
        if (ag_tokenizer_find(t, both, a + b) >= id) { /* new; else a second way to a token that is there */
            const char *bytes = ag_tokenizer_bytes(t, id, &len);
            if (len != a + b || memcmp(bytes, both, len) != 0)
                fail_msg("token %d is '%.*s', not '%.*s'", id, (int)len, bytes, (int)(a + b), both);
            id++;
        }
        for (int v = 0; v < n; v++) {
            word *w = &words[v];
            int to = 0;
            for (int i = 0; i < w->count; i++) {
                bool hit = i + 1 < w->count && compare(w->part[i], w->size[i], l, a) == 0 &&
                           compare(w->part[i + 1], w->size[i + 1], r, b) == 0;
                w->part[to] = w->part[i];
                w->size[to++] = hit ? a + b : w->size[i];
                i += hit;
            }
            w->count = to;
        }
    }
    assert_int_equal(id, ag_tokenizer_vocab(t));
    ag_tokenizer_free(t);
}

static void test_brute_force(void **state)
{
    ag_rng r = ag_rng_at(5, AG_RNG_TEST, 0, 0, 0, 0);

    (void)state;
    check_brute("the cat sat on the mat the cats sat there then", 30);
    check_brute("aaaa aaaaaaa aaa aaaaaaaaaaaaa aa", 20);
    check_brute("abab ababab babab aabb abba bababa", 25);
    for (int round = 0; round < 40; round++) {
        char text[500];
        size_t len = 0;
        uint32_t letters = 1 + ag_rng_below(&r, 4);
        while (len < 400) {
            uint32_t size = 1 + ag_rng_below(&r, 9);
            if (len > 0) text[len++] = ' ';
            for (uint32_t i = 0; i < size; i++) text[len++] = (char)('a' + ag_rng_below(&r, letters));
        }
        text[len] = '\0';
        check_brute(text, 1 + (int)ag_rng_below(&r, 60));
    }
}

/* Some text to learn from: catalogue lines with numbers and rule ids. */
static char *some_text(size_t lines, size_t *len)
{
    static const char *const words[] = {"red",
                                        "leather",
                                        "boots",
                                        "not",
                                        "suede",
                                        "crème",
                                        "brûlée",
                                        "size",
                                        "navy",
                                        "blue",
                                        "price",
                                        "rule=R",
                                        "attr=colour:MATCH",
                                        "\xe6\x88\x91\xe4\xbb\xac",
                                        "waterproof",
                                        "jacket"};
    ag_rng r = ag_rng_at(6, AG_RNG_TEST, 0, 0, 0, 0);
    ag_str s = {0};

    for (size_t i = 0; i < lines; i++) {
        for (int k = 0; k < 8; k++)
            ag_str_addf(&s, "%s%s", k ? " " : "", words[ag_rng_below(&r, sizeof words / sizeof *words)]);
        ag_str_addf(&s, " %u.%02u\n", ag_rng_below(&r, 500), ag_rng_below(&r, 100));
    }
    *len = s.len;
    return ag_str_take(&s);
}

static void test_digits_and_order(void **state)
{
    size_t len = 0, n = 0, m = 0;
    char *text = some_text(300, &len);
    ag_tokenizer *a = train(text, len, len, 600), *b = train(text, len, len, 600);

    (void)state;
    assert_int_equal(ag_tokenizer_vocab(a), ag_tokenizer_vocab(b));
    assert_true(ag_tokenizer_vocab(a) > 320);
    for (int32_t id = 0; id < ag_tokenizer_vocab(a); id++) {
        const char *x = ag_tokenizer_bytes(a, id, &n), *y = ag_tokenizer_bytes(b, id, &m);
        assert_int_equal(n, m);
        assert_memory_equal(x, y, n);
        for (size_t k = 0; k < n && n > 1; k++) assert_false(x[k] >= '0' && x[k] <= '9');
    }
    assert_int_equal(ag_tokenizer_find(a, "<|im_end|>", 10), 2);
    assert_true(ag_tokenizer_is_special(a, 2));
    assert_int_equal(ag_tokenizer_eos(a), 2);
    assert_int_equal(ag_tokenizer_pad(a), 0);
    assert_int_equal(ag_tokenizer_bos(a), -1);
    assert_non_null(strstr(ag_tokenizer_chat_template(a), "<|im_start|>"));
    ag_tokens ids = {0};
    check_ok(ag_tokenizer_encode(a, "rule=R12", 8, false, &ids, NULL), NULL);
    assert_int_equal(ids.ids[ids.len - 1], ag_tokenizer_find(a, "2", 1));
    assert_int_equal(ids.ids[ids.len - 2], ag_tokenizer_find(a, "1", 1));
    ag_tokens_free(&ids);
    check_round_trips(a, 2000);
    write_peer(a, "trained");
    ag_tokenizer_free(a);
    ag_tokenizer_free(b);
    ag_free(text);
}

static void test_save(void **state)
{
    char dir[] = "/tmp/agrl_test_XXXXXX";
    ag_rng r = ag_rng_at(8, AG_RNG_TEST, 0, 0, 0, 0);
    ag_error err = {0};
    size_t len = 0;
    char *text = some_text(200, &len);
    ag_tokenizer *a = train(text, len, 777, 500), *b = NULL;

    (void)state;
    assert_non_null(mkdtemp(dir));
    check_ok(ag_tokenizer_save(a, dir, &err), &err);
    char *path = ag_path_join(dir, "tokenizer.json");
    check_ok(ag_tokenizer_load(&b, path, &err), &err);
    for (int i = 0; i < 2000; i++) {
        char bytes[200];
        size_t n = random_text(&r, bytes, sizeof bytes);
        ag_tokens x = {0}, y = {0};
        check_ok(ag_tokenizer_encode(a, bytes, n, i & 1, &x, &err), &err);
        check_ok(ag_tokenizer_encode(b, bytes, n, i & 1, &y, &err), &err);
        assert_int_equal(x.len, y.len);
        if (x.len > 0) assert_memory_equal(x.ids, y.ids, x.len * sizeof *x.ids);
        ag_tokens_free(&x);
        ag_tokens_free(&y);
    }
    assert_string_equal(ag_tokenizer_chat_template(a), ag_tokenizer_chat_template(b));
    assert_int_equal(ag_tokenizer_eos(b), ag_tokenizer_eos(a));
    assert_int_equal(ag_tokenizer_pad(b), ag_tokenizer_pad(a));
    for (long n = 1, made = 1; n <= made; n++) { /* no memory: an error, and the old files stay */
        ag_mem_fail_at(n, false);
        ag_status st = ag_tokenizer_save(a, dir, &err);
        made = ag_mem_fail_at(0, false);
        if (st != AG_OK) assert_int_equal(st, AG_ERR_MEMORY);
        if (st != AG_OK && made < n + 1) made = n + 1;
        assert_true(ag_path_exists(path));
    }
    ag_tokenizer_free(a);
    ag_tokenizer_free(b);
    ag_free(path);
    ag_free(text);
    check_ok(ag_dir_remove(dir, &err), &err);
}

static void test_edges(void **state)
{
    static const char *const special[] = {"the"};
    char junk[3000];
    ag_tokenizer *t = NULL;
    ag_error err = {0};
    corpus none = {"", 0, 0, 1}, the = {"the the the the the", 19, 0, 19};

    (void)state;
    assert_int_equal(ag_tokenizer_train(&t, next, &none, 256, special, 1, &err), AG_ERR_USAGE);
    assert_int_equal(ag_tokenizer_train(&t, next, &none, 1 << 21, special, 1, &err), AG_ERR_USAGE);
    check_ok(ag_tokenizer_train(&t, next, &none, 1000, special, 1, &err),
             &err); /* nothing to learn: the bytes */
    assert_int_equal(ag_tokenizer_vocab(t), 257);
    check_round_trips(t, 200);
    ag_tokenizer_free(t);
    check_ok(ag_tokenizer_train(&t, next, &the, 1000, special, 1, &err), &err);
    assert_int_equal(ag_tokenizer_find(t, "the", 3), 0); /* no merge makes a special token */
    ag_tokenizer_free(t);
    for (size_t i = 0; i < sizeof junk; i++) junk[i] = (char)(i % 7 ? 'x' + i % 3 : 0xff - i % 256);
    t = train(junk, sizeof junk, sizeof junk, 300);
    check_round_trips(t, 200);
    ag_tokenizer_free(t);
    memset(junk, 'a', sizeof junk); /* one endless word */
    t = train(junk, sizeof junk, sizeof junk, 300);
    assert_true(ag_tokenizer_vocab(t) > 259 + 5);
    ag_tokenizer_free(t);
}

static ag_status broken(void *user, const char **text, size_t *len, ag_error *err)
{
    (void)user;
    (void)text;
    (void)len;
    return ag_fail(err, AG_ERR_IO, "no more");
}

static void test_failures(void **state)
{
    ag_tokenizer *t = NULL;
    ag_error err = {0};
    const char *text = "the cat sat on the mat the cats sat there then 12";

    (void)state;
    assert_int_equal(ag_tokenizer_train(&t, broken, NULL, 300, NULL, 0, &err), AG_ERR_IO);
    assert_null(t);
    for (long n = 1, made = 1; n <= made; n++) {
        corpus c = {text, strlen(text), 0, 10};
        ag_mem_fail_at(n, false);
        ag_status st = ag_tokenizer_train(&t, next, &c, 280, NULL, 0, &err);
        made = ag_mem_fail_at(0, false);
        if (st != AG_OK) assert_int_equal(st, AG_ERR_MEMORY);
        if (st != AG_OK) assert_null(t);
        if (st != AG_OK && made < n + 1) made = n + 1;
        ag_tokenizer_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_brute_force),
                                       cmocka_unit_test(test_digits_and_order), cmocka_unit_test(test_save),
                                       cmocka_unit_test(test_edges), cmocka_unit_test(test_failures)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
