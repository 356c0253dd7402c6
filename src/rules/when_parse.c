/* when_parse.c: from the text of a `when` to a postfix program, by recursive descent.
 *
 *   condition := "otherwise" | or             test     := criterion verdicts | "query.type" words
 *   or        := and ("or" and)*                        | ("any" | "all") "(" criterion ["," selector] ")" verdicts
 *   and       := unary ("and" unary)*                   | ("count" | "share") "(" criterion ["," selector] ","
 *   unary     := "not" unary | "(" or ")" | test            (verdict | list) ")" compare number
 *   verdicts  := ("==" | "!=") verdict | "in" list      selector := word ("+" word)*
 *
 * Names are in any script and may hold spaces, so a name is the longest known one that fits at the cursor and ends
 * where a word can end; quotes are never needed but allowed. The caller turns byte offsets into places.
 */
#include "rules/when.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct parser {
    ag_book *book;
    const char *text;
    size_t at, len;
    int depth;
    ag_when_step *steps;
    size_t count, cap;
    const char *criteria[AG_MAX_CRITERIA];
    const char **attributes; /* the selector words, then the attributes but "default" */
    size_t attribute_count;
    ag_status status;
    size_t error_at;
    ag_error *err;
} parser;

enum { SELECTOR_WORDS = 4, WORD_SHOWN = 48 };
static const char *const selector_words[SELECTOR_WORDS] = {"core", "minor", "negated", "asserted"};

static const struct {
    const char *word;
    ag_when_op op;
} functions[] = {
    {"any", AG_WHEN_ANY}, {"all", AG_WHEN_ALL}, {"count", AG_WHEN_COUNT}, {"share", AG_WHEN_SHARE}};

static const struct {
    const char *sign;
    ag_when_compare compare;
} compares[] = {{"==", AG_IS_EQ}, {"!=", AG_IS_NE}, {">=", AG_IS_GE},
                {"<=", AG_IS_LE}, {">", AG_IS_GT},  {"<", AG_IS_LT}};

/* What people write who come from other languages. */
static const struct {
    const char *wrong, *right;
} habits[] = {{"&&", "and"},  {"||", "or"},   {"&", "and"},
              {"|", "or"},    {"AND", "and"}, {"OR", "or"},
              {"NOT", "not"}, {"!", "not"},   {"=", "== for equality"},
              {"IN", "in"}};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* --- errors and characters -------------------------------------------------------------------------------- */

AG_PRINTF(3, 4) static bool fail_at(parser *p, size_t at, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    p->error_at = at;
    p->status = ag_fail(p->err, AG_ERR_INPUT, "%s", message);
    return false;
}

static bool fail_memory(parser *p)
{
    p->status = ag_fail_memory(p->err, "a rule's condition");
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool ends_word(const parser *p, size_t at)
{
    return at >= p->len || is_space(p->text[at]) || strchr("()[],+=!<>'\"&|", p->text[at]) != NULL;
}

static void skip_space(parser *p)
{
    while (p->at < p->len && is_space(p->text[p->at])) p->at++;
}

/* The text between quotes at the cursor; *n is 0 and NULL is returned when there is none. */
static const char *quoted(const parser *p, size_t *n)
{
    *n = 0;
    char quote = p->at < p->len ? p->text[p->at] : '\0';
    if (quote != '\'' && quote != '"') return NULL;
    const char *start = p->text + p->at + 1, *end = memchr(start, quote, p->len - p->at - 1);
    if (!end) return NULL;
    *n = (size_t)(end - start);
    return start;
}

/* The word or single sign at the cursor, cut for messages; at least one byte unless the text ends. */
static const char *shown(const parser *p, char out[WORD_SHOWN + 8])
{
    size_t end = p->at;
    while (!ends_word(p, end)) end++;
    if (end == p->at && end < p->len) {
        while (end < p->len && end < p->at + 2 && strchr("=!<>&|", p->text[end])) end++;
        if (end == p->at) end++;
    }
    size_t n = end - p->at;
    bool cut = n > WORD_SHOWN;
    if (cut)
        for (n = WORD_SHOWN; n > 0 && ((unsigned char)p->text[p->at + n] & 0xC0) == 0x80;) n--;
    snprintf(out, WORD_SHOWN + 8, "%.*s%s", (int)n, p->text + p->at, cut ? "..." : "");
    return out;
}

/* "expected X, found Y", with a word of help for habits of other languages. */
static bool fail_expected(parser *p, const char *expected)
{
    char word[WORD_SHOWN + 8];
    skip_space(p);
    if (p->at >= p->len) return fail_at(p, p->at, "expected %s, but the condition ends here", expected);
    shown(p, word);
    for (size_t i = 0; i < COUNT(habits); i++)
        if (strcmp(word, habits[i].wrong) == 0)
            return fail_at(p, p->at, "expected %s, found '%s': write %s", expected, word, habits[i].right);
    return fail_at(p, p->at, "expected %s, found '%s'", expected, word);
}

/* "unknown X 'word'OF; did you mean 'Y'?" or else the known ones. */
static bool fail_unknown(parser *p, const char *what, const char *of, const char *const *names, size_t n)
{
    char word[WORD_SHOWN + 8], known[256] = "";
    skip_space(p);
    size_t inside;
    const char *text = quoted(p, &inside);
    if (!text && ends_word(p, p->at)) return fail_expected(p, what);
    shown(p, word);
    if (text) snprintf(word, sizeof(word), "%.*s", inside < WORD_SHOWN ? (int)inside : WORD_SHOWN, text);
    ag_suggestion near = ag_suggest(word, names, n);
    if (*near.text) return fail_at(p, p->at, "unknown %s '%s'%s%s", what, word, of, near.text);
    size_t used = 0, i = 0;
    for (; i < n && i < 10 && used + strlen(names[i]) + 8 < sizeof(known); i++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", names[i]);
    if (i < n) snprintf(known + used, sizeof(known) - used, ", ...");
    return fail_at(p, p->at, "unknown %s '%s'%s; known: %s", what, word, of, n ? known : "none");
}

/* --- words ------------------------------------------------------------------------------------------------ */

static bool take_word(parser *p, const char *word)
{
    skip_space(p);
    size_t n = strlen(word);
    if (p->len - p->at < n || memcmp(p->text + p->at, word, n) != 0 || !ends_word(p, p->at + n)) return false;
    p->at += n;
    return true;
}

static bool take_sign(parser *p, const char *sign)
{
    skip_space(p);
    size_t n = strlen(sign);
    if (p->len - p->at < n || memcmp(p->text + p->at, sign, n) != 0) return false;
    p->at += n;
    return true;
}

/* Index of the longest of names[0..n) at the cursor, which moves behind it; -1 when none fits. */
static int take_name(parser *p, const char *const *names, size_t n)
{
    skip_space(p);
    size_t best_length = 0, inside;
    int best = -1;
    const char *text = quoted(p, &inside);
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(names[i]);
        if (text) {
            if (length == inside && memcmp(names[i], text, length) == 0) best = (int)i;
        } else if (length > best_length && length <= p->len - p->at &&
                   memcmp(names[i], p->text + p->at, length) == 0 && ends_word(p, p->at + length)) {
            best = (int)i;
            best_length = length;
        }
    }
    if (best >= 0) p->at += text ? inside + 2 : best_length;
    return best;
}

static ag_when_step *add_step(parser *p, ag_when_op op)
{
    if (!ag_grow(&p->steps, &p->cap, p->count + 1, sizeof(*p->steps))) {
        fail_memory(p);
        return NULL;
    }
    ag_when_step *step = &p->steps[p->count++];
    *step = (ag_when_step){.op = op};
    return step;
}

/* --- the parts of a test ---------------------------------------------------------------------------------- */

static bool parse_verdict(parser *p, int criterion, uint64_t *mask)
{
    const ag_criterion *c = &p->book->criteria[criterion];
    int v = take_name(p, c->verdicts, (size_t)c->verdict_count);
    if (v < 0) {
        char of[160];
        snprintf(of, sizeof(of), " of '%.100s'", c->id);
        return fail_unknown(p, "verdict", of, c->verdicts, (size_t)c->verdict_count);
    }
    *mask |= (uint64_t)1 << v;
    return true;
}

static bool parse_verdict_list(parser *p, int criterion, uint64_t *mask)
{
    if (!take_sign(p, "[")) return fail_expected(p, "'[' and a list of verdicts");
    do {
        if (!parse_verdict(p, criterion, mask)) return false;
    } while (take_sign(p, ","));
    return take_sign(p, "]") || fail_expected(p, "',' or ']'");
}

/* `== V`, `!= V` or `in [V, W]` into a mask. */
static bool parse_verdicts(parser *p, int criterion, uint64_t *mask)
{
    int n = p->book->criteria[criterion].verdict_count;
    if (take_sign(p, "==")) return parse_verdict(p, criterion, mask);
    if (take_word(p, "in")) return parse_verdict_list(p, criterion, mask);
    if (!take_sign(p, "!=")) return fail_expected(p, "'==', '!=' or 'in'");
    if (!parse_verdict(p, criterion, mask)) return false;
    uint64_t every = n >= 64 ? UINT64_MAX : ((uint64_t)1 << n) - 1;
    *mask = every & ~*mask;
    return true;
}

static bool add_name(parser *p, const char ***names, int *count, const char *text, size_t n)
{
    const char **grown = ag_arena_alloc(&p->book->arena, (size_t)*count + 1, sizeof(*grown));
    char *copy = ag_arena_strndup(&p->book->arena, text, n);
    if (!grown || !copy) return fail_memory(p);
    if (*count) memcpy(grown, *names, (size_t)*count * sizeof(*grown));
    grown[(*count)++] = copy;
    *names = grown;
    return true;
}

/* A query type: any word, or quoted text, since a book does not list its types. */
static bool parse_type(parser *p, ag_when_step *step)
{
    skip_space(p);
    size_t n;
    const char *text = quoted(p, &n);
    if (text) {
        p->at += n + 2;
    } else {
        text = p->text + p->at;
        while (!ends_word(p, p->at + n)) n++;
        p->at += n;
    }
    if (n == 0) return fail_expected(p, "a query type");
    if (step->type_count >= AG_MAX_VERDICTS) return fail_at(p, p->at, "more than %d types", AG_MAX_VERDICTS);
    return add_name(p, &step->types, &step->type_count, text, n);
}

static bool parse_type_test(parser *p)
{
    ag_when_step *step = add_step(p, AG_WHEN_TYPE);
    if (!step) return false;
    if (take_sign(p, "==")) return parse_type(p, step);
    if (take_sign(p, "!=")) {
        step->op = AG_WHEN_NO_TYPE;
        return parse_type(p, step);
    }
    if (!take_word(p, "in")) return fail_expected(p, "'==', '!=' or 'in'");
    if (!take_sign(p, "[")) return fail_expected(p, "'[' and a list of types");
    do {
        if (!parse_type(p, step)) return false;
    } while (take_sign(p, ","));
    return take_sign(p, "]") || fail_expected(p, "',' or ']'");
}

/* The words that a selector may use, made once a condition. */
static bool selector_names(parser *p)
{
    if (p->attributes) return true;
    p->attributes = ag_calloc((size_t)p->book->attribute_count + SELECTOR_WORDS, sizeof(*p->attributes));
    if (!p->attributes) return fail_memory(p);
    for (int i = 0; i < SELECTOR_WORDS; i++) p->attributes[p->attribute_count++] = selector_words[i];
    for (int i = 1; i < p->book->attribute_count; i++) /* row 0 is "default": no attribute of its own */
        p->attributes[p->attribute_count++] = p->book->attributes[i].name;
    return true;
}

static bool parse_selector(parser *p, ag_selector *selector)
{
    if (!selector_names(p)) return false;
    bool *flags[SELECTOR_WORDS] = {&selector->core, &selector->minor, &selector->negated,
                                   &selector->asserted};
    do {
        int i = take_name(p, p->attributes, p->attribute_count);
        if (i < 0) return fail_unknown(p, "selector or attribute", "", p->attributes, p->attribute_count);
        const char *name = p->attributes[i];
        if (i < SELECTOR_WORDS)
            *flags[i] = true;
        else if (selector->attribute_count >= AG_MAX_VERDICTS)
            return fail_at(p, p->at, "too many attributes in one selector");
        else if (!add_name(p, &selector->attributes, &selector->attribute_count, name, strlen(name)))
            return false;
    } while (take_sign(p, "+"));
    return true;
}

static bool parse_bound(parser *p, ag_when_step *step)
{
    size_t i = 0;
    while (i < COUNT(compares) && !take_sign(p, compares[i].sign)) i++;
    if (i == COUNT(compares)) return fail_expected(p, "'>=', '>', '<=', '<', '==' or '!='");
    step->compare = compares[i].compare;

    char word[64];
    skip_space(p);
    size_t start = p->at, n = 0;
    while (!ends_word(p, start + n)) n++;
    bool percent = n > 1 && step->op == AG_WHEN_SHARE && p->text[start + n - 1] == '%';
    snprintf(word, sizeof(word), "%.*s", (int)(n < sizeof(word) ? n - percent : 0), p->text + start);
    if (!ag_number_parse(word, &step->bound)) return fail_expected(p, "a number");
    if (percent) step->bound /= 100;
    if (step->op == AG_WHEN_COUNT &&
        !(step->bound >= 0 && step->bound <= 1e6 && step->bound == (long)step->bound))
        return fail_at(p, start, "a count is compared with a whole number from 0");
    if (step->op == AG_WHEN_SHARE && !(step->bound >= 0 && step->bound <= 1))
        return fail_at(p, start, "a share is compared with a number from 0 to 1, or a percentage");
    p->at = start + n;
    return true;
}

/* How many commas stand before the closing parenthesis of the arguments at the cursor, lists aside. */
static int commas_ahead(const parser *p)
{
    int commas = 0, lists = 0;
    for (size_t i = p->at; i < p->len && (p->text[i] != ')' || lists > 0); i++) {
        if (p->text[i] == '[') lists++;
        if (p->text[i] == ']') lists--;
        if (p->text[i] == ',' && lists <= 0) commas++;
    }
    return commas;
}

/* `[SEL,] V` or `[SEL,] [V, W]`. A word may name both an attribute and a verdict, so what comes first is a selector
 * only if another argument follows. */
static bool parse_counted(parser *p, ag_when_step *step)
{
    if (!take_sign(p, ",")) return fail_expected(p, "',' and a verdict");
    bool expected = commas_ahead(p) > 0;
    size_t start = p->at;
    ag_error attempt = {0}, *err = p->err;
    p->err = &attempt;
    bool selected = parse_selector(p, &step->selector) && take_sign(p, ",");
    p->err = err;
    if (!selected) {
        if (p->status == AG_ERR_MEMORY) return fail_memory(p);
        if (p->status != AG_OK && expected) return fail_at(p, p->error_at, "%s", attempt.message);
        p->status = AG_OK;
        p->at = start;
        step->selector = (ag_selector){0};
    }
    skip_space(p);
    bool list = p->at < p->len && p->text[p->at] == '[';
    return (list ? parse_verdict_list : parse_verdict)(p, step->criterion, &step->mask);
}

/* any, all, count, share: the name was read. */
static bool parse_function(parser *p, ag_when_op op)
{
    ag_when_step step = {.op = op};
    bool counts = op == AG_WHEN_COUNT || op == AG_WHEN_SHARE;
    if (!take_sign(p, "(")) return fail_expected(p, "'('");
    skip_space(p);
    size_t start = p->at;
    step.criterion = take_name(p, p->criteria, (size_t)p->book->criterion_count);
    if (step.criterion < 0)
        return fail_unknown(p, "criterion", "", p->criteria, (size_t)p->book->criterion_count);
    const ag_criterion *c = &p->book->criteria[step.criterion];
    if (!c->per_asked)
        return fail_at(p, start,
                       "'%.100s' has one verdict, not one for each asked entry: write %.100s == ...", c->id,
                       c->id);
    if (counts && !parse_counted(p, &step)) return false;
    if (!counts && take_sign(p, ",") && !parse_selector(p, &step.selector)) return false;
    if (!take_sign(p, ")")) return fail_expected(p, "')'");
    if (!(counts ? parse_bound(p, &step) : parse_verdicts(p, step.criterion, &step.mask))) return false;
    ag_when_step *added = add_step(p, op);
    if (added) *added = step;
    return added != NULL;
}

static bool parse_test(parser *p)
{
    skip_space(p);
    size_t start = p->at;
    for (size_t i = 0; i < COUNT(functions); i++) {
        if (!take_word(p, functions[i].word)) continue;
        skip_space(p);
        if (p->at < p->len && p->text[p->at] == '(') return parse_function(p, functions[i].op);
        p->at = start; /* a criterion may be called `any` */
    }
    if (take_word(p, "query.type")) return parse_type_test(p);
    int criterion = take_name(p, p->criteria, (size_t)p->book->criterion_count);
    if (criterion < 0) {
        const char *known[AG_MAX_CRITERIA + 6] = {"any(...)", "all(...)", "count(...)", "share(...)",
                                                  "query.type"};
        size_t n = 5;
        if (take_word(p, "otherwise"))
            return fail_at(p, start, "'otherwise' stands alone: it holds when no other rule does");
        for (int c = 0; c < p->book->criterion_count; c++) known[n++] = p->criteria[c];
        return fail_unknown(p, "criterion", "", known, n);
    }
    const ag_criterion *c = &p->book->criteria[criterion];
    if (c->per_asked)
        return fail_at(p, start,
                       "'%.100s' has a verdict for each asked entry: write any(%.100s) or all(%.100s)", c->id,
                       c->id, c->id);
    uint64_t mask = 0;
    if (!parse_verdicts(p, criterion, &mask)) return false;
    ag_when_step *step = add_step(p, AG_WHEN_VERDICT);
    if (!step) return false;
    step->criterion = criterion;
    step->mask = mask;
    return true;
}

/* --- and, or, not ----------------------------------------------------------------------------------------- */

static bool parse_or(parser *p);

static bool parse_unary(parser *p)
{
    skip_space(p);
    size_t start = p->at;
    bool negate = false, inner = false;
    /* A criterion may be called `not so`: known names come before the keyword. */
    if (take_name(p, p->criteria, (size_t)p->book->criterion_count) >= 0)
        p->at = start;
    else if (take_word(p, "not"))
        negate = true;
    else
        inner = take_sign(p, "(");
    if (!negate && !inner) return parse_test(p);

    if (p->depth >= AG_WHEN_DEPTH) return fail_at(p, start, "nested deeper than %d levels", AG_WHEN_DEPTH);
    p->depth++;
    if (negate) {
        if (!parse_unary(p) || !add_step(p, AG_WHEN_NOT)) return false;
    } else {
        if (!parse_or(p)) return false;
        if (!take_sign(p, ")")) return fail_expected(p, "'and', 'or' or ')'");
    }
    p->depth--;
    return true;
}

static bool parse_and(parser *p)
{
    if (!parse_unary(p)) return false;
    while (take_word(p, "and"))
        if (!parse_unary(p) || !add_step(p, AG_WHEN_AND)) return false;
    return true;
}

static bool parse_or(parser *p)
{
    if (!parse_and(p)) return false;
    while (take_word(p, "or"))
        if (!parse_and(p) || !add_step(p, AG_WHEN_OR)) return false;
    return true;
}

static bool parse_condition(parser *p)
{
    if (p->len > AG_WHEN_BYTES) return fail_at(p, 0, "longer than %d bytes", AG_WHEN_BYTES);
    skip_space(p);
    if (p->at >= p->len)
        return fail_at(p, 0, "the condition is empty; write `otherwise` for the rule of last resort");
    if (!parse_or(p)) return false;
    skip_space(p);
    return p->at >= p->len || fail_expected(p, "'and', 'or' or the end");
}

static bool is_otherwise(parser *p)
{
    bool found = take_word(p, "otherwise");
    skip_space(p);
    found = found && p->at >= p->len;
    p->at = 0;
    return found;
}

ag_status ag_when_compile(ag_condition **condition, ag_book *book, const char *text, size_t *at,
                          ag_error *err)
{
    parser p = {.book = book, .text = text, .len = strlen(text), .status = AG_OK, .err = err};
    *condition = NULL;
    *at = 0;
    for (int c = 0; c < book->criterion_count; c++) p.criteria[c] = book->criteria[c].id;
    if (is_otherwise(&p) || !parse_condition(&p)) goto out;

    ag_condition *made = ag_arena_alloc(&book->arena, 1, sizeof(*made));
    ag_when_step *steps = ag_arena_alloc(&book->arena, p.count, sizeof(*steps));
    if (!made || !steps) {
        fail_memory(&p);
        goto out;
    }
    memcpy(steps, p.steps, p.count * sizeof(*steps));
    *made = (ag_condition){.steps = steps, .count = (int)p.count};
    *condition = made;
out:
    *at = p.error_at;
    ag_free(p.steps);
    ag_free(p.attributes);
    return p.status;
}
