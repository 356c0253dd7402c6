/* pre.c: pre-tokenizers: compiling their patterns and running them.
 *
 * PCRE2 sees valid UTF-8 only (the caller cuts around wrong bytes), so its own check is off: it would read
 * the whole rest of the text once a piece. A pattern is run by the JIT where there is one and by the
 * interpreter where there is none or where the JIT's stack does not do; both within limits, so that a hostile
 * pattern fails and does not hang.
 */
#include <string.h>
#include <utf8proc.h>
#include "base/mem.h"
#include "text/pre.h"

/* GPT-2's pattern, which ByteLevel brings along. */
#define GPT2_PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/* Llama 3's and Qwen's differ only in how many digits stay together. */
#define CL100K_PATTERN(digits)                                                                               \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                                     \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* Steps of the backtracking matcher for one piece, and KiB of its memory: far beyond what a sound pattern
 * needs. */
#define MATCH_LIMIT 50000000u
#define HEAP_LIMIT  262144u

/* What a pre-tokenizer name in a GGUF file stands for. */
static const struct named {
    const char *name;
    bool digits;         /* every digit alone, then GPT-2's pattern */
    const char *pattern; /* or this pattern; NULL: GPT-2's */
    bool nfc, ignore_merges;
} named_pre[] = {
    {"gpt-2", false, NULL, false, false},
    {"smollm", true, NULL, false, false},
    {"starcoder", true, NULL, false, false},
    {"qwen2", false, CL100K_PATTERN("\\p{N}"), true, false},
    {"llama-bpe", false, CL100K_PATTERN("\\p{N}{1,3}"), false, true},
    {"llama3", false, CL100K_PATTERN("\\p{N}{1,3}"), false, true},
    {"llama-v3", false, CL100K_PATTERN("\\p{N}{1,3}"), false, true},
};

static void *pcre_alloc(PCRE2_SIZE size, void *user)
{
    (void)user;
    return ag_calloc(size, 1);
}

static void pcre_release(void *block, void *user)
{
    (void)user;
    ag_free(block);
}

static ag_status ready(ag_pre *pre, ag_error *err)
{
    if (pre->limits != NULL) return AG_OK;
    if (pre->memory == NULL) pre->memory = pcre2_general_context_create(pcre_alloc, pcre_release, NULL);
    if (pre->memory != NULL) pre->limits = pcre2_match_context_create(pre->memory);
    if (pre->limits == NULL) return ag_fail_memory(err, "pre-tokenizer");
    pcre2_set_match_limit(pre->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(pre->limits, HEAP_LIMIT);
    return AG_OK;
}

/* Compiles step->pattern. */
static ag_status compile(ag_pre *pre, ag_step *step, ag_error *err)
{
    ag_str text = {0};
    pcre2_compile_context *context = NULL;
    int code = 0;
    PCRE2_SIZE place = 0;
    uint32_t empty = 0;
    ag_status st = AG_OK;

    if (step->literal)
        ag_str_add(&text, step->pattern);
    else
        st = ag_pattern_translate(&text, step->pattern, err);
    if (st == AG_OK) st = ag_str_ok(&text, err);
    if (st != AG_OK) goto out;
    context = pcre2_compile_context_create(pre->memory);
    if (context == NULL) {
        st = ag_fail_memory(err, "pre-tokenizer");
        goto out;
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    step->code = pcre2_compile((PCRE2_SPTR)ag_str_text(&text), text.len,
                               PCRE2_UTF | (step->literal ? PCRE2_LITERAL : PCRE2_UCP), &code, &place,
                               context);
    if (step->code == NULL) {
        char why[128] = "";
        if (code == PCRE2_ERROR_HEAPLIMIT || code == 121) { /* 121: no memory while compiling */
            st = ag_fail_memory(err, "pre-tokenizer");
            goto out;
        }
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        st = ag_fail(err, AG_ERR_INPUT, "pre-tokenizer pattern '%.200s': %s", step->pattern, why);
        goto out;
    }
    if (pcre2_pattern_info(step->code, PCRE2_INFO_MATCHEMPTY, &empty) == 0 && empty != 0) {
        st = ag_fail(err, AG_ERR_UNSUPPORTED, "pre-tokenizer pattern '%.200s' matches the empty text",
                     step->pattern);
        goto out;
    }
    step->jit = pcre2_jit_compile(step->code, PCRE2_JIT_COMPLETE) == 0;
out:
    pcre2_compile_context_free(context);
    ag_str_free(&text);
    return st;
}

/* The next free step, zeroed; NULL when there are too many. */
static ag_step *add_step(ag_pre *pre, ag_step_kind kind, ag_error *err)
{
    if (ready(pre, err) != AG_OK) return NULL;
    if (pre->count == AG_PRE_STEPS) {
        ag_fail(err, AG_ERR_UNSUPPORTED, "a pre-tokenizer of more than %d steps", AG_PRE_STEPS);
        return NULL;
    }
    ag_step *step = &pre->steps[pre->count++];
    *step = (ag_step){.kind = kind};
    return step;
}

static ag_status failed_step(const ag_pre *pre)
{
    return pre->count == AG_PRE_STEPS ? AG_ERR_UNSUPPORTED : AG_ERR_MEMORY;
}

ag_status ag_pre_digits(ag_pre *pre, bool individual, ag_error *err)
{
    ag_step *step = add_step(pre, AG_STEP_DIGITS, err);

    if (step == NULL) return failed_step(pre);
    step->individual = individual;
    return AG_OK;
}

static ag_status add_pattern(ag_pre *pre, ag_step_kind kind, const char *pattern, bool literal,
                             bool drop_gaps, ag_error *err)
{
    ag_step *step = add_step(pre, kind, err);

    if (step == NULL) return failed_step(pre);
    step->literal = literal;
    step->drop_gaps = drop_gaps;
    step->pattern = ag_strdup(pattern);
    if (step->pattern == NULL) return ag_fail_memory(err, "pre-tokenizer");
    return compile(pre, step, err);
}

ag_status ag_pre_split(ag_pre *pre, const char *pattern, bool literal, bool drop_gaps, ag_error *err)
{
    if (pattern[0] == '\0') return ag_fail(err, AG_ERR_UNSUPPORTED, "an empty pre-tokenizer pattern");
    return add_pattern(pre, AG_STEP_SPLIT, pattern, literal, drop_gaps, err);
}

ag_status ag_pre_bytes(ag_pre *pre, ag_error *err)
{
    return add_pattern(pre, AG_STEP_BYTES, GPT2_PATTERN, false, false, err);
}

ag_status ag_pre_named(ag_pre *pre, const char *name, bool *nfc, bool *ignore_merges, ag_error *err)
{
    for (size_t i = 0; name != NULL && i < sizeof named_pre / sizeof *named_pre; i++) {
        const struct named *n = &named_pre[i];
        ag_status st = AG_OK;
        if (!ag_streq(n->name, name)) continue;
        *nfc = n->nfc;
        *ignore_merges = n->ignore_merges;
        if (n->digits) st = ag_pre_digits(pre, true, err);
        if (st != AG_OK) return st;
        return n->pattern != NULL ? ag_pre_split(pre, n->pattern, false, false, err) : ag_pre_bytes(pre, err);
    }
    return ag_fail(err, AG_ERR_UNSUPPORTED,
                   "pre-tokenizer '%.60s' is not known; known are gpt-2, smollm, starcoder, qwen2, llama-bpe",
                   name != NULL ? name : "");
}

void ag_pre_free(ag_pre *pre)
{
    for (int i = 0; i < pre->count; i++) {
        pcre2_code_free(pre->steps[i].code);
        ag_free(pre->steps[i].pattern);
    }
    pcre2_match_context_free(pre->limits);
    pcre2_general_context_free(pre->memory);
    memset(pre, 0, sizeof *pre);
}

/* --- running ---------------------------------------------------------------------------------------------
 */

typedef struct runner {
    const ag_pre *pre;
    ag_pre_work *work;
    ag_piece_fn fn;
    void *user;
    ag_error *err;
} runner;

static ag_status run_step(const runner *r, int k, const char *text, size_t len);

static bool is_digit(uint32_t c)
{
    if (c < 0x80) return c >= '0' && c <= '9';
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO;
}

static ag_status run_digits(const runner *r, int k, const char *text, size_t len)
{
    const bool individual = r->pre->steps[k].individual;
    size_t from = 0, at = 0;
    bool run = false; /* the open piece [from, at) is a run of digits */
    ag_status st = AG_OK;

    while (st == AG_OK && at < len) {
        size_t here = at;
        bool digit = is_digit(ag_utf8_next(text, len, &at));
        if (here > from && (digit != run || (digit && individual))) {
            st = run_step(r, k + 1, text + from, here - from);
            from = here;
        }
        run = digit;
    }
    if (st == AG_OK && len > from) st = run_step(r, k + 1, text + from, len - from);
    return st;
}

/* One match at or after `at`. *found false: none. */
static ag_status match(const runner *r, const ag_step *step, const char *text, size_t len, size_t at,
                       bool *found)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)text;
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    char why[128] = "";

    if (step->jit)
        rc = pcre2_jit_match(step->code, subject, len, at, PCRE2_NO_UTF_CHECK, r->work->match,
                             r->pre->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(step->code, subject, len, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, r->work->match,
                         r->pre->limits);
    *found = rc >= 0;
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) return AG_OK;
    if (rc == PCRE2_ERROR_NOMEMORY) return ag_fail_memory(r->err, "pre-tokenizer");
    pcre2_get_error_message(rc, (PCRE2_UCHAR *)why, sizeof why);
    return ag_fail(r->err, AG_ERR_INPUT, "pre-tokenizer pattern '%.100s' on a text of %zu bytes: %s",
                   step->pattern, len, why);
}

static ag_status run_split(const runner *r, int k, const char *text, size_t len)
{
    const ag_step *step = &r->pre->steps[k];
    size_t at = 0;
    ag_status st = AG_OK;

    while (at < len) {
        bool found;
        size_t start = len, end = len;
        st = match(r, step, text, len, at, &found);
        if (st != AG_OK) return st;
        if (found) {
            const PCRE2_SIZE *place = pcre2_get_ovector_pointer(r->work->match);
            start = place[0];
            end = place[1];
            if (start < at || end <= start)
                return ag_fail(r->err, AG_ERR_INTERNAL, "pre-tokenizer: no progress");
        }
        if (start > at && !step->drop_gaps) st = run_step(r, k + 1, text + at, start - at);
        if (st == AG_OK && found) st = run_step(r, k + 1, text + start, end - start);
        if (st != AG_OK) return st;
        at = end;
    }
    return AG_OK;
}

static ag_status run_step(const runner *r, int k, const char *text, size_t len)
{
    if (k == r->pre->count) return r->fn(r->user, text, len, r->err);
    return r->pre->steps[k].kind == AG_STEP_DIGITS ? run_digits(r, k, text, len) : run_split(r, k, text, len);
}

ag_status ag_pre_run(const ag_pre *pre, ag_pre_work *work, const char *text, size_t len, ag_piece_fn fn,
                     void *user, ag_error *err)
{
    runner r = {pre, work, fn, user, err};

    if (len == 0) return AG_OK;
    if (work->match == NULL && pre->count > 0) {
        work->match = pcre2_match_data_create(1, pre->memory);
        if (work->match == NULL) return ag_fail_memory(err, "pre-tokenizer");
    }
    return run_step(&r, 0, text, len);
}

void ag_pre_work_free(ag_pre_work *work)
{
    pcre2_match_data_free(work->match);
    work->match = NULL;
}
