/* test_load.c: files that come from anywhere: each damaged or hostile one gets one clear error that names the
 * place, and what is not supported is refused rather than read wrongly.
 */
#include "unit/text/text_help.h"

static char dir[64];

static void put(const char *name, const char *text)
{
    char *path = ag_path_join(dir, name);
    ag_out *out = NULL;
    ag_error err = {0};

    check_ok(ag_out_open(&out, path, &err), &err);
    ag_out_write(out, text, strlen(text));
    check_ok(ag_out_commit(out, &err), &err);
    ag_free(path);
}

static ag_status load(ag_tokenizer **t, ag_error *err)
{
    char path[128]; /* not allocated: allocations are counted below */

    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    return ag_tokenizer_load(t, path, err);
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/agrl_test_XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int teardown(void **state)
{
    (void)state;
    return ag_dir_remove(dir, NULL) != AG_OK;
}

#define BYTES   "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"
#define NOREGEX "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define MODEL                                                                                                \
    "{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"c\":3,\"\xc4\xa0\":4},\"merges\":[\"a b\"]}"
#define FILE_OF(pre, rest, model) "{\"pre_tokenizer\":" pre "," rest "\"model\":" model "}"
#define SEQ(list)                 "{\"type\":\"Sequence\",\"pretokenizers\":[" list "]}"
#define REGEX(text)                                                                                          \
    SEQ("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" text                                                 \
        "\"},\"behavior\":\"Isolated\",\"invert\":false}," NOREGEX)

/* What the file says, the status, and a word that the message must have. */
static const struct {
    const char *text;
    ag_status status;
    const char *word;
} cases[] = {
    {FILE_OF(BYTES, "", MODEL), AG_OK, NULL},
    {"", AG_ERR_INPUT, "tokenizer.json"},
    {"[]", AG_ERR_INPUT, "object"},
    {"{", AG_ERR_INPUT, "tokenizer.json:1"},
    {"{\"pre_tokenizer\":" BYTES "}", AG_ERR_INPUT, "model"},
    {FILE_OF(BYTES, "", "{\"type\":\"BPE\"}"), AG_ERR_INPUT, "vocab"},
    {FILE_OF(BYTES, "", "{\"vocab\":{},\"merges\":[]}"), AG_ERR_INPUT, "empty"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":\"0\"},\"merges\":[]}"), AG_ERR_INPUT, "'a'"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0.5},\"merges\":[]}"), AG_ERR_INPUT, "'a'"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":-1},\"merges\":[]}"), AG_ERR_INPUT, "-1"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":9000000000000},\"merges\":[]}"), AG_ERR_INPUT, "9000000000000"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":1048576},\"merges\":[]}"), AG_ERR_INPUT, "1048576"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}"), AG_ERR_INPUT, "id 0"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}"), AG_ERR_INPUT, "tokenizer.json"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0},\"merges\":{}}"), AG_ERR_INPUT, "merges"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0},\"merges\":[7]}"), AG_ERR_INPUT, "merge 1"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}"), AG_ERR_INPUT, "merge 1"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0},\"merges\":[\"a\"]}"), AG_ERR_INPUT, "merge 1"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0},\"merges\":[\" a\"]}"), AG_ERR_INPUT, "merge 1"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]}"), AG_ERR_INPUT, "merge 1"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0},\"merges\":[\"a x\"]}"), AG_ERR_INPUT, "'x'"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}"), AG_ERR_INPUT, "make"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0,\"\":1},\"merges\":[[\"\",\"a\"]]}"), AG_ERR_INPUT, "merge 1"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0,\"aa\":1},\"merges\":[\"a a\",\"a a\"]}"), AG_ERR_INPUT,
     "merge 2"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"?\"}"), AG_ERR_INPUT,
     "unk_token"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0},\"merges\":[],\"dropout\":0.1}"), AG_ERR_UNSUPPORTED,
     "dropout"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0},\"merges\":[],\"byte_fallback\":true}"), AG_ERR_UNSUPPORTED,
     "byte_fallback"},
    {FILE_OF(BYTES, "", "{\"vocab\":{\"a\":0},\"merges\":[],\"end_of_word_suffix\":\"</w>\"}"),
     AG_ERR_UNSUPPORTED, "suffix"},
    {FILE_OF(BYTES, "", "{\"type\":\"Unigram\",\"vocab\":{}}"), AG_ERR_UNSUPPORTED, "Unigram"},
    {FILE_OF(BYTES, "\"normalizer\":{\"type\":\"NFC\"},", MODEL), AG_OK, NULL},
    {FILE_OF(BYTES, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}]},", MODEL),
     AG_OK, NULL},
    {FILE_OF(BYTES, "\"normalizer\":{\"type\":\"Lowercase\"},", MODEL), AG_ERR_UNSUPPORTED, "Lowercase"},
    {FILE_OF(BYTES, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"}]},", MODEL),
     AG_ERR_UNSUPPORTED, "NFKC"},
    {FILE_OF(BYTES, "\"normalizer\":7,", MODEL), AG_ERR_UNSUPPORTED, "normalizer"},
    {FILE_OF("null", "", MODEL), AG_ERR_UNSUPPORTED, "pre_tokenizer"},
    {FILE_OF("{\"type\":\"Whitespace\"}", "", MODEL), AG_ERR_UNSUPPORTED, "Whitespace"},
    {FILE_OF("{\"type\":\"Digits\"}", "", MODEL), AG_ERR_UNSUPPORTED, "byte level"},
    {FILE_OF("{\"type\":\"ByteLevel\"}", "", MODEL), AG_ERR_UNSUPPORTED, "add_prefix_space"},
    {FILE_OF("{\"type\":\"ByteLevel\",\"add_prefix_space\":1}", "", MODEL), AG_ERR_INPUT, "add_prefix_space"},
    {FILE_OF(SEQ(BYTES ",{\"type\":\"Digits\"}"), "", MODEL), AG_ERR_UNSUPPORTED, "after ByteLevel"},
    {FILE_OF(SEQ("{\"type\":\"Digits\",\"individual_digits\":true}," BYTES), "", MODEL), AG_OK, NULL},
    {FILE_OF(REGEX("\\\\p{L}+|\\\\s+"), "", MODEL), AG_OK, NULL},
    {FILE_OF(REGEX("(a"), "", MODEL), AG_ERR_INPUT, "pattern"},
    {FILE_OF(REGEX("a*"), "", MODEL), AG_ERR_UNSUPPORTED, "empty"},
    {FILE_OF(REGEX("\\\\w+"), "", MODEL), AG_ERR_UNSUPPORTED, "escape"},
    {FILE_OF(REGEX("a\\\\"), "", MODEL), AG_ERR_UNSUPPORTED, "backslash"},
    {FILE_OF(REGEX("[a[b]]"), "", MODEL), AG_ERR_UNSUPPORTED, "set"},
    {FILE_OF(REGEX("[a&&b]"), "", MODEL), AG_ERR_UNSUPPORTED, "intersection"},
    {FILE_OF(REGEX("a{1,3}+"), "", MODEL), AG_ERR_UNSUPPORTED, "repeat"},
    {FILE_OF(REGEX("(?<n>a)"), "", MODEL), AG_ERR_UNSUPPORTED, "group"},
    {FILE_OF(REGEX("(*LIMIT_MATCH=1)a"), "", MODEL), AG_ERR_UNSUPPORTED, "group"},
    {FILE_OF(REGEX("^a"), "", MODEL), AG_ERR_UNSUPPORTED, "anchor"},
    {FILE_OF(REGEX("\\\\p{Nonsense}"), "", MODEL), AG_ERR_INPUT, "pattern"},
    {FILE_OF(REGEX("\\\\x{41"), "", MODEL), AG_ERR_UNSUPPORTED, "hexadecimal"},
    {FILE_OF(REGEX(""), "", MODEL), AG_ERR_UNSUPPORTED, "empty"},
    {FILE_OF(SEQ("{\"type\":\"Split\",\"pattern\":{\"String\":\"(\"},\"behavior\":\"Isolated\"}," NOREGEX),
             "", MODEL),
     AG_OK, NULL},
    {FILE_OF(
         SEQ("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"MergedWithNext\"}," NOREGEX),
         "", MODEL),
     AG_ERR_UNSUPPORTED, "MergedWithNext"},
    {FILE_OF(SEQ("{\"type\":\"Split\",\"behavior\":\"Isolated\"}," NOREGEX), "", MODEL), AG_ERR_INPUT,
     "pattern"},
    {FILE_OF(SEQ("{\"type\":\"Sequence\",\"pretokenizers\":[]}," NOREGEX), "", MODEL), AG_ERR_UNSUPPORTED,
     "Sequence"},
    {FILE_OF(BYTES, "\"added_tokens\":[{\"id\":9,\"content\":\"<x>\",\"special\":true}],", MODEL), AG_OK,
     NULL},
    {FILE_OF(BYTES, "\"added_tokens\":{},", MODEL), AG_ERR_INPUT, "added_tokens"},
    {FILE_OF(BYTES, "\"added_tokens\":[3],", MODEL), AG_ERR_INPUT, "entry 1"},
    {FILE_OF(BYTES, "\"added_tokens\":[{\"id\":9}],", MODEL), AG_ERR_INPUT, "content"},
    {FILE_OF(BYTES, "\"added_tokens\":[{\"id\":9,\"content\":\"\"}],", MODEL), AG_ERR_INPUT, "0 bytes"},
    {FILE_OF(BYTES, "\"added_tokens\":[{\"id\":-9,\"content\":\"x\"}],", MODEL), AG_ERR_INPUT, "-9"},
    {FILE_OF(BYTES, "\"added_tokens\":[{\"id\":99999999,\"content\":\"x\"}],", MODEL), AG_ERR_INPUT,
     "99999999"},
    {FILE_OF(BYTES, "\"added_tokens\":[{\"id\":1,\"content\":\"x\"}],", MODEL), AG_ERR_INPUT, "already"},
    {FILE_OF(BYTES, "\"added_tokens\":[{\"id\":9,\"content\":\"x\"},{\"id\":10,\"content\":\"x\"}],", MODEL),
     AG_ERR_INPUT, "twice"},
    {FILE_OF(BYTES, "\"added_tokens\":[{\"id\":9,\"content\":\"x\",\"lstrip\":true}],", MODEL),
     AG_ERR_UNSUPPORTED, "lstrip"},
    {FILE_OF(BYTES, "\"added_tokens\":[{\"id\":9,\"content\":\"x\",\"special\":1}],", MODEL), AG_ERR_INPUT,
     "special"},
    {FILE_OF(BYTES, "\"post_processor\":{\"type\":\"BertProcessing\"},", MODEL), AG_ERR_UNSUPPORTED,
     "BertProcessing"},
    {FILE_OF(BYTES, "\"post_processor\":{\"type\":\"TemplateProcessing\"},", MODEL), AG_ERR_INPUT, "single"},
    {FILE_OF(BYTES,
             "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
             "\"zz\"}}]},",
             MODEL),
     AG_ERR_INPUT, "'zz'"},
    {FILE_OF(BYTES,
             "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}},{"
             "\"SpecialToken\":{\"id\":\"a\"}}]},",
             MODEL),
     AG_ERR_UNSUPPORTED, "start token"},
    {FILE_OF(BYTES,
             "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[" BYTES
             ",{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"a\"}},{\"Sequence\":{"
             "\"id\":\"A\"}}]}]},",
             MODEL),
     AG_OK, NULL},
};

static void test_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ag_tokenizer *t = NULL;
        ag_error err = {0};
        put("tokenizer.json", cases[i].text);
        ag_status st = load(&t, &err);
        if (st != cases[i].status) fail_msg("%s: status %d (%s)", cases[i].text, st, err.message);
        if (st != AG_OK &&
            (strstr(err.message, cases[i].word) == NULL || strstr(err.message, "tokenizer.json") == NULL))
            fail_msg("%s: '%s' does not name '%s'", cases[i].text, err.message, cases[i].word);
        if (st != AG_OK) assert_null(t);
        ag_tokenizer_free(t);
    }
}

/* Every prefix of a good file, and the file with single bytes changed: an error or a tokenizer, never worse.
 */
static void test_damage(void **state)
{
    const char *good = FILE_OF(SEQ("{\"type\":\"Digits\",\"individual_digits\":true}," BYTES),
                               "\"added_tokens\":[{\"id\":9,\"content\":\"<x>\",\"special\":true}],", MODEL);
    char text[1024];
    size_t n = strlen(good);
    ag_rng r = ag_rng_at(11, AG_RNG_TEST, 5, 0, 0, 0);

    (void)state;
    for (size_t i = 0; i < n + 1500; i++) {
        ag_tokenizer *t = NULL;
        ag_error err = {0};
        memcpy(text, good, n + 1);
        if (i < n)
            text[i] = '\0';
        else
            text[ag_rng_below(&r, (uint32_t)n)] = (char)(1 + ag_rng_below(&r, 255));
        put("tokenizer.json", text);
        ag_status st = load(&t, &err);
        ag_tokens ids = {0};
        if (st != AG_OK)
            assert_true(err.message[0] != '\0');
        else
            check_ok(ag_tokenizer_encode(t, "ab 12<x>", 8, true, &ids, &err), &err);
        ag_tokens_free(&ids);
        ag_tokenizer_free(t);
    }
}

static void test_config(void **state)
{
    static const struct {
        const char *text;
        ag_status status;
        const char *word;
    } configs[] = {
        {"{\"bos_token\":\"a\",\"eos_token\":{\"content\":\"<x>\"},\"pad_token\":null}", AG_OK, NULL},
        {"{\"eos_token\":\"zz\"}", AG_ERR_INPUT, "'zz'"},
        {"{\"eos_token\":3}", AG_ERR_INPUT, "eos_token"},
        {"{\"added_tokens_decoder\":{\"9\":{\"content\":\"<x>\"}}}", AG_OK, NULL},
        {"{\"added_tokens_decoder\":{\"8\":{\"content\":\"<x>\"}}}", AG_ERR_INPUT, "id 8"},
        {"{\"added_tokens_decoder\":{\"x\":{}}}", AG_ERR_INPUT, "'x'"},
        {"{\"chat_template\":[{\"name\":\"tool\",\"template\":\"T\"},{\"name\":\"default\",\"template\":"
         "\"D\"}]}",
         AG_OK, NULL},
        {"{\"chat_template\":5}", AG_ERR_INPUT, "chat_template"},
        {"[]", AG_ERR_INPUT, "object"},
        {"{", AG_ERR_INPUT, "config"},
    };

    (void)state;
    put("tokenizer.json",
        FILE_OF(BYTES, "\"added_tokens\":[{\"id\":9,\"content\":\"<x>\",\"special\":true}],", MODEL));
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        ag_tokenizer *t = NULL;
        ag_error err = {0};
        put("tokenizer_config.json", configs[i].text);
        ag_status st = load(&t, &err);
        if (st != configs[i].status) fail_msg("%s: status %d (%s)", configs[i].text, st, err.message);
        if (st != AG_OK && (strstr(err.message, configs[i].word) == NULL ||
                            strstr(err.message, "tokenizer_config.json") == NULL))
            fail_msg("%s: '%s' does not name '%s'", configs[i].text, err.message, configs[i].word);
        if (i == 0) {
            size_t len = 0;
            assert_int_equal(ag_tokenizer_bos(t), 0);
            assert_int_equal(ag_tokenizer_eos(t), 9);
            assert_int_equal(ag_tokenizer_pad(t), -1);
            assert_int_equal(ag_tokenizer_vocab(t), 10);
            assert_null(ag_tokenizer_bytes(t, 7, &len)); /* no token has this id */
        }
        if (i == 6) assert_string_equal(ag_tokenizer_chat_template(t), "D");
        ag_tokenizer_free(t);
    }
    put("tokenizer_config.json", "{\"chat_template\":\"old\"}");
    put("chat_template.jinja", "new");
    ag_tokenizer *t = NULL;
    check_ok(load(&t, NULL), NULL);
    assert_string_equal(ag_tokenizer_chat_template(t), "new");
    ag_tokenizer_free(t);
}

/* A GGUF vocabulary with one thing wrong at a time. */
static void test_source(void **state)
{
    (void)state;
    for (int i = 0; i < 11; i++) {
        static const char *const words[] = {"",        "pre-tokenizer", "pre-tokenizer", "type 9",
                                            "no text", "same text",     "UTF-8",         "end token",
                                            "merge 1", "merge 1",       "1 to"};
        toy v;
        ag_tokenizer *t = NULL;
        ag_error err = {0};
        toy_init(&v, "gpt-2");
        toy_merge(&v, "a b");
        char *kept = v.names[3], wrong[] = {'\xff', '\0'};
        int vocab = v.source.vocab;
        if (i == 1) v.source.pre = "default";
        if (i == 2) v.source.pre = NULL;
        if (i == 3) v.types[5] = 9;
        if (i == 4) v.names[3] = NULL;
        if (i == 5) v.names[3] = v.names[4];
        if (i == 6) v.names[3] = wrong;
        if (i == 7) v.source.eos = 257;
        if (i == 8) v.merges[0] = "ab";
        if (i == 9) v.merges[0] = "a zz";
        if (i == 10) v.source.vocab = 1 << 21;
        ag_status st = ag_tokenizer_from_vocab(&t, &v.source, &err);
        assert_int_equal(st == AG_OK, i == 0);
        if (i == 1 || i == 2) assert_int_equal(st, AG_ERR_UNSUPPORTED);
        if (i > 2) assert_int_equal(st, AG_ERR_INPUT);
        if (i > 0 && strstr(err.message, words[i]) == NULL) fail_msg("case %d: %s", i, err.message);
        ag_tokenizer_free(t);
        v.names[3] = kept;
        v.source.vocab = vocab;
        toy_free(&v);
    }
}

static void test_unknown_token(void **state)
{
    ag_tokenizer *t = NULL;
    ag_tokens ids = {0};

    (void)state;
    put("tokenizer.json",
        FILE_OF(NOREGEX, "",
                "{\"vocab\":{\"?\":0,\"a\":1},\"merges\":[],\"unk_token\":\"?\",\"fuse_unk\":true}"));
    check_ok(load(&t, NULL), NULL);
    check_ok(ag_tokenizer_encode(t, "xyaz", 4, false, &ids, NULL), NULL);
    assert_int_equal(ids.len, 3);
    assert_int_equal(ids.ids[0], 0);
    assert_int_equal(ids.ids[1], 1);
    ag_tokens_free(&ids);
    ag_tokenizer_free(t);
}

static void test_no_memory(void **state)
{
    int failures = 0;

    (void)state;
    put("tokenizer_config.json", "{\"chat_template\":\"x\",\"eos_token\":\"<x>\"}");
    put("tokenizer.json", FILE_OF(REGEX("\\\\s+|\\\\S"),
                                  "\"normalizer\":{\"type\":\"NFC\"},"
                                  "\"added_tokens\":[{\"id\":9,\"content\":\"<x>\",\"special\":false}],",
                                  MODEL));
    for (long n = 1, made = 1; n <= made; n++) {
        ag_tokenizer *t = NULL;
        ag_error err = {0};
        ag_mem_fail_at(n, false);
        ag_status st = load(&t, &err);
        made = ag_mem_fail_at(0, false);
        if (st != AG_OK && st != AG_ERR_MEMORY) fail_msg("allocation %ld: %s", n, err.message);
        failures += st != AG_OK;
        if (st != AG_OK) assert_null(t);
        if (st != AG_OK && made < n + 1) made = n + 1;
        ag_tokenizer_free(t);
    }
    assert_true(failures > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_config, setup, teardown),
        cmocka_unit_test(test_source),
        cmocka_unit_test_setup_teardown(test_unknown_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
