/* answer_parse.c: reads an answer, accepting exactly what answer.c writes and nothing near it.
 *
 * The text comes from a model that is being trained to please this parser, so nothing is forgiven: no spaces, no
 * other order, no second try. The refusal says the line and what was wrong there, for people who read rollouts.
 */
#include "rules/answer.h"

#include <string.h>

#include "rules/answer_steps.h"

typedef struct reader {
    const ag_book *book;
    const ag_asked *asked;
    ag_answer *answer;
    ag_str *refusal; /* or NULL */
    const char *at, *end;
    bool more; /* another line stands at `at` (it may be empty) */
    int line;  /* number of the line last read, from 1 */
} reader;

typedef struct span {
    const char *text;
    size_t len;
} span;

/* --- refusals --------------------------------------------------------------------------------------------- */

/* The answer's own text, shortened and made printable: it goes into JSON and on terminals. */
static void add_quoted(ag_str *out, span s)
{
    enum { SHOWN = 40 };
    size_t at = 0;
    ag_str_addc(out, '\'');
    for (int chars = 0; at < s.len; chars++) {
        char utf8[4];
        if (chars == SHOWN) {
            ag_str_add(out, "...");
            break;
        }
        uint32_t c = ag_utf8_next(s.text, s.len, &at);
        if (c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029) c = '?';
        ag_str_addn(out, utf8, (size_t)ag_utf8_put(c, utf8));
    }
    ag_str_addc(out, '\'');
}

static span span_of(const char *text)
{
    return (span){text, strlen(text)};
}

/* "line N: <before> 'quoted' <after>"; always false. */
static bool refuse(reader *r, const char *before, span quoted, const char *after)
{
    if (!r->refusal) return false;
    ag_str_addf(r->refusal, "line %d: %s", r->line, before);
    if (quoted.text) add_quoted(r->refusal, quoted);
    ag_str_add(r->refusal, after);
    return false;
}

/* --- lines ------------------------------------------------------------------------------------------------ */

/* Takes the next line; `what` was to stand on it. */
static bool next_line(reader *r, const char *what, span *line)
{
    r->line++;
    if (!r->more) return refuse(r, "the answer ends where ", span_of(what), " should stand");
    size_t left = (size_t)(r->end - r->at);
    const char *newline = left ? memchr(r->at, '\n', left) : NULL;
    *line = (span){r->at, newline ? (size_t)(newline - r->at) : left};
    r->more = newline != NULL;
    r->at = newline ? newline + 1 : r->end;
    return true;
}

static bool equals(span s, const char *text)
{
    return strlen(text) == s.len && !memcmp(s.text, text, s.len);
}

/* Takes `label=` off the front of a line. */
static bool strip_label(span *line, const char *label)
{
    size_t n = strlen(label);
    if (line->len <= n || memcmp(line->text, label, n) || line->text[n] != '=') return false;
    *line = (span){line->text + n + 1, line->len - n - 1};
    return true;
}

static bool next_labelled(reader *r, const char *label, span *rest)
{
    if (!next_line(r, label, rest)) return false;
    if (strip_label(rest, label)) return true;
    if (r->refusal) {
        ag_str_addf(r->refusal, "line %d: '%s=' should stand here, not ", r->line, label);
        add_quoted(r->refusal, *rest);
    }
    return false;
}

/* --- what stands on them ------------------------------------------------------------------------------------ */

static bool read_tier(reader *r)
{
    span line;
    if (!next_line(r, "the tier", &line)) return false;
    for (int t = 0; t < r->book->tier_count; t++) {
        if (!equals(line, r->book->tiers[t].id)) continue;
        r->answer->tier = t;
        return true;
    }
    return refuse(r, "no tier is called ", line, "");
}

static bool read_verdict(reader *r, int c, int a, span text)
{
    const ag_criterion *criterion = &r->book->criteria[c];
    for (int v = 0; v < criterion->verdict_count; v++) {
        if (!equals(text, criterion->verdicts[v])) continue;
        r->answer->verdicts.v[c][a] = (int8_t)v;
        return true;
    }
    return refuse(r, "no verdict of this criterion is called ", text, "");
}

/* Entry a should be called as asked; says what is wrong otherwise. */
static bool check_name(reader *r, int a, span name)
{
    const ag_asked *asked = r->asked;
    int found = 0;
    if (a < asked->count && equals(name, asked->entries[a].id)) return true;
    while (found < asked->count && !equals(name, asked->entries[found].id)) found++;
    if (found == asked->count) return refuse(r, "attribute ", name, " was not asked for");
    if (found < a) return refuse(r, "attribute ", name, " given twice");
    return refuse(r, "attribute ", span_of(asked->entries[a].id), " is missing or out of order");
}

/* `name:VERDICT;...`, each asked entry once and in order; `-` when nothing is asked. */
static bool read_entries(reader *r, int c, span rest)
{
    int a = 0;
    if (!r->asked->count) {
        return equals(rest, "-") ? true
                                 : refuse(r, "nothing is asked, so '-' should stand here, not ", rest, "");
    }
    for (bool more = true; more; a++) {
        const char *semicolon = rest.len ? memchr(rest.text, ';', rest.len) : NULL;
        span piece = {rest.text, semicolon ? (size_t)(semicolon - rest.text) : rest.len};
        const char *colon = piece.len ? memchr(piece.text, ':', piece.len) : NULL;
        if (!colon) return refuse(r, "name:verdict should stand here, not ", piece, "");
        size_t name_len = (size_t)(colon - piece.text);
        if (!check_name(r, a, (span){piece.text, name_len})) return false;
        if (!read_verdict(r, c, a, (span){colon + 1, piece.len - name_len - 1})) return false;
        more = semicolon != NULL;
        if (more) rest = (span){semicolon + 1, rest.len - piece.len - 1};
    }
    if (a < r->asked->count) return refuse(r, "attribute ", span_of(r->asked->entries[a].id), " is missing");
    return true;
}

static bool read_criteria(reader *r)
{
    for (int c = 0; c < r->book->criterion_count; c++) {
        span rest;
        if (!next_labelled(r, r->book->criteria[c].id, &rest)) return false;
        if (r->book->criteria[c].per_asked ? !read_entries(r, c, rest) : !read_verdict(r, c, 0, rest))
            return false;
    }
    return true;
}

static bool read_rule(reader *r)
{
    span id;
    if (!next_labelled(r, "rule", &id)) return false;
    for (int i = 0; i < r->book->rule_count; i++) {
        if (!equals(id, r->book->rules[i].id)) continue;
        r->answer->rule = i;
        return true;
    }
    r->answer->rule = -1;
    if (ag_rule_may_be_none(r->book) && equals(id, ag_step_text[AG_STEP_DASH])) return true;
    return refuse(r, "no rule is called ", id, "");
}

/* The why line: needed where the book requires it, accepted anywhere. */
static bool read_why(reader *r)
{
    static const char label[] = "why=";
    const size_t n = sizeof label - 1;
    span line;
    bool here = r->more && (size_t)(r->end - r->at) >= n && !memcmp(r->at, label, n);
    if (!here && !r->book->why_required) return true;
    if (!here) {
        r->line++;
        return refuse(r, "the book requires 'why=' here", (span){0}, "");
    }
    next_line(r, label, &line);
    r->answer->why = line.text + n;
    r->answer->why_len = line.len - n;
    if (!ag_utf8_valid(r->answer->why, r->answer->why_len, NULL)) {
        return refuse(r, "the reason is not valid UTF-8", (span){0}, "");
    }
    if (ag_utf8_count(r->answer->why, r->answer->why_len) > (size_t)r->book->why_chars) {
        if (r->refusal) {
            ag_str_addf(r->refusal, "line %d: the reason is longer than %d characters", r->line,
                        r->book->why_chars);
        }
        return false;
    }
    return true;
}

bool ag_answer_parse(const ag_book *book, const ag_asked *asked, const char *text, size_t len,
                     ag_answer *answer, ag_str *refusal)
{
    static bool (*const read_block[AG_BLOCKS])(reader *) = {
        [AG_BLOCK_TIER] = read_tier,
        [AG_BLOCK_CRITERIA] = read_criteria,
        [AG_BLOCK_RULE] = read_rule,
        [AG_BLOCK_WHY] = read_why,
    };
    if (!text) text = "";
    reader r = {book, asked, answer, refusal, text, text + len, true, 0};
    memset(answer, 0, sizeof *answer);
    ag_verdicts_clear(&answer->verdicts);
    for (int b = 0; b < AG_BLOCKS; b++) {
        if (!read_block[ag_answer_blocks[book->order][b]](&r)) return false;
    }
    if (!r.more) return true;
    r.line++;
    if (r.at == r.end) return refuse(&r, "a final newline is not part of an answer", (span){0}, "");
    return refuse(&r, "the answer goes on: ", (span){r.at, (size_t)(r.end - r.at)}, "");
}
