/* answer.c: the answer as a list of segments, as text and as tokens.
 *
 * The plan (answer_steps.h) is the one place that knows which segment follows which. Segments are tokenised
 * alone so that the tokens of a verdict do not depend on its neighbours: then the targets of training, the
 * masks of the grammar and the forced runs of the decoder agree token for token.
 */
#include "rules/answer.h"

#include <string.h>

#include "rules/answer_steps.h"

const ag_block ag_answer_blocks[3][AG_BLOCKS] = {
    [AG_RESPOND_THEN_THINK] = {AG_BLOCK_TIER, AG_BLOCK_CRITERIA, AG_BLOCK_RULE, AG_BLOCK_WHY},
    [AG_THINK_THEN_RESPOND] = {AG_BLOCK_CRITERIA, AG_BLOCK_RULE, AG_BLOCK_WHY, AG_BLOCK_TIER},
    [AG_VERDICTS_THEN_TIER] = {AG_BLOCK_CRITERIA, AG_BLOCK_RULE, AG_BLOCK_TIER, AG_BLOCK_WHY},
};

const char *const ag_step_text[AG_STEP_FIXED_COUNT] = {
    [AG_STEP_NEWLINE] = "\n",  [AG_STEP_DASH] = "-",           [AG_STEP_COLON] = ":",
    [AG_STEP_SEMICOLON] = ";", [AG_STEP_RULE_LABEL] = "rule=", [AG_STEP_WHY_LABEL] = "why=",
};

/* What credit each kind of segment gets; FORM is what the grammar leaves no choice in. */
static const ag_part step_part[] = {
    [AG_STEP_NEWLINE] = AG_PART_FORM,    [AG_STEP_DASH] = AG_PART_FORM,
    [AG_STEP_COLON] = AG_PART_FORM,      [AG_STEP_SEMICOLON] = AG_PART_FORM,
    [AG_STEP_RULE_LABEL] = AG_PART_FORM, [AG_STEP_WHY_LABEL] = AG_PART_FORM,
    [AG_STEP_LABEL] = AG_PART_FORM,      [AG_STEP_NAME] = AG_PART_FORM,
    [AG_STEP_TIER] = AG_PART_TIER,       [AG_STEP_VERDICT] = AG_PART_CRITERION,
    [AG_STEP_RULE] = AG_PART_RULE,       [AG_STEP_WHY] = AG_PART_WHY,
    [AG_STEP_END] = AG_PART_END,
};

/* --- the plan --------------------------------------------------------------------------------------------- */

typedef struct plan {
    ag_step *steps;
    int count;
} plan;

static void put(plan *p, ag_step_kind kind, int criterion, int asked)
{
    p->steps[p->count++] = (ag_step){(uint8_t)kind, (int8_t)criterion, (int8_t)asked};
}

/* A newline stands before every line but the first. */
static void begin_line(plan *p)
{
    if (p->count) put(p, AG_STEP_NEWLINE, -1, -1);
}

static void put_criterion(plan *p, const ag_criterion *criterion, int c, int asked_count)
{
    begin_line(p);
    put(p, AG_STEP_LABEL, c, -1);
    if (!criterion->per_asked) {
        put(p, AG_STEP_VERDICT, c, -1);
        return;
    }
    if (!asked_count) put(p, AG_STEP_DASH, c, -1);
    for (int a = 0; a < asked_count; a++) {
        if (a) put(p, AG_STEP_SEMICOLON, -1, -1);
        put(p, AG_STEP_NAME, c, a);
        put(p, AG_STEP_COLON, -1, -1);
        put(p, AG_STEP_VERDICT, c, a);
    }
}

int ag_answer_plan(const ag_book *book, int asked_count, bool with_why, ag_step *steps)
{
    plan p = {steps, 0};
    for (int b = 0; b < AG_BLOCKS; b++) {
        switch (ag_answer_blocks[book->order][b]) {
        case AG_BLOCK_TIER:
            begin_line(&p);
            put(&p, AG_STEP_TIER, -1, -1);
            break;
        case AG_BLOCK_CRITERIA:
            for (int c = 0; c < book->criterion_count; c++)
                put_criterion(&p, &book->criteria[c], c, asked_count);
            break;
        case AG_BLOCK_RULE:
            begin_line(&p);
            put(&p, AG_STEP_RULE_LABEL, -1, -1);
            put(&p, AG_STEP_RULE, -1, -1);
            break;
        case AG_BLOCK_WHY:
            if (!with_why) break;
            begin_line(&p);
            put(&p, AG_STEP_WHY_LABEL, -1, -1);
            put(&p, AG_STEP_WHY, -1, -1);
            break;
        }
    }
    put(&p, AG_STEP_END, -1, -1);
    return p.count;
}

bool ag_rule_may_be_none(const ag_book *book)
{
    for (int r = 0; r < book->rule_count; r++) {
        if (!book->rules[r].condition) return false;
    }
    return true;
}

size_t ag_why_fit(const ag_book *book, const char *why, size_t len)
{
    size_t at = 0, fits = len, chars = 0;
    const char *newline = len ? memchr(why, '\n', len) : NULL;
    if (newline) fits = (size_t)(newline - why);
    ag_utf8_valid(why, fits, &fits);
    while (at < fits && chars < (size_t)book->why_chars) {
        ag_utf8_next(why, fits, &at);
        chars++;
    }
    return at;
}

/* --- segments --------------------------------------------------------------------------------------------- */

int ag_answer_segment_max(const ag_book *book, int asked_count)
{
    ag_step steps[AG_STEPS_MAX];
    return ag_answer_plan(book, asked_count, true, steps);
}

/* The verdict text of a step, or NULL when it is absent. */
static const char *verdict_text(const ag_book *book, const ag_answer *answer, ag_step step)
{
    const ag_criterion *criterion = &book->criteria[step.criterion];
    int v = answer->verdicts.v[step.criterion][step.asked < 0 ? 0 : step.asked];
    return v >= 0 && v < criterion->verdict_count ? criterion->verdicts[v] : NULL;
}

static const char *rule_text(const ag_book *book, int rule)
{
    if (rule >= 0 && rule < book->rule_count) return book->rules[rule].id;
    return rule == -1 && ag_rule_may_be_none(book) ? ag_step_text[AG_STEP_DASH] : NULL;
}

/* The text of a step whose text is NUL terminated, or NULL when the answer lacks it. */
static const char *step_string(const ag_book *book, const ag_asked *asked, const ag_answer *answer,
                               ag_step step)
{
    switch ((ag_step_kind)step.kind) {
    case AG_STEP_LABEL: return book->criteria[step.criterion].id;
    case AG_STEP_NAME: return asked->entries[step.asked].id;
    case AG_STEP_TIER:
        return answer->tier >= 0 && answer->tier < book->tier_count ? book->tiers[answer->tier].id : NULL;
    case AG_STEP_VERDICT: return verdict_text(book, answer, step);
    case AG_STEP_RULE: return rule_text(book, answer->rule);
    default: return step.kind < AG_STEP_FIXED_COUNT ? ag_step_text[step.kind] : NULL;
    }
}

int ag_answer_segments(const ag_book *book, const ag_asked *asked, const ag_answer *answer,
                       ag_segment *segments)
{
    ag_step steps[AG_STEPS_MAX];
    int n = ag_answer_plan(book, asked->count, book->why_required, steps);
    for (int i = 0; i < n; i++) {
        ag_segment *s = &segments[i];
        ag_step_kind kind = steps[i].kind;
        *s = (ag_segment){.part = step_part[kind], .criterion = -1, .asked = -1};
        if (s->part == AG_PART_CRITERION) {
            s->criterion = steps[i].criterion;
            s->asked = steps[i].asked;
        }
        if (kind == AG_STEP_END) continue;
        if (kind == AG_STEP_WHY) {
            s->text = answer->why ? answer->why : "";
            s->len = answer->why ? ag_why_fit(book, answer->why, answer->why_len) : 0;
            continue;
        }
        s->text = step_string(book, asked, answer, steps[i]);
        if (!s->text) return i;
        s->len = strlen(s->text);
        if (kind == AG_STEP_LABEL) s->tail = '=';
    }
    return n;
}

ag_status ag_answer_render(ag_str *out, const ag_book *book, const ag_asked *asked, const ag_answer *answer,
                           ag_error *err)
{
    ag_segment *segments = ag_calloc((size_t)ag_answer_segment_max(book, asked->count), sizeof *segments);
    if (!segments) return ag_fail_memory(err, "answer");
    ag_status status = AG_OK;
    int n = ag_answer_segments(book, asked, answer, segments);
    if (!n || segments[n - 1].part != AG_PART_END) {
        status = ag_fail(err, AG_ERR_INPUT, "an answer needs a tier, a rule and every verdict");
        goto out;
    }
    for (int i = 0; i < n - 1; i++) {
        ag_str_addn(out, segments[i].text, segments[i].len);
        if (segments[i].tail) ag_str_addc(out, segments[i].tail);
    }
    status = ag_str_ok(out, err);
out:
    ag_free(segments);
    return status;
}

/* Tokens of one segment that is text. */
static ag_status encode_text(const ag_tokenizer *tokenizer, const ag_segment *segment, ag_tokens *ids,
                             ag_error *err)
{
    if (!segment->tail) return ag_tokenizer_encode(tokenizer, segment->text, segment->len, false, ids, err);
    ag_str whole = {0};
    ag_str_addn(&whole, segment->text, segment->len);
    ag_str_addc(&whole, segment->tail);
    ag_status status = ag_str_ok(&whole, err);
    if (!status) status = ag_tokenizer_encode(tokenizer, whole.data, whole.len, false, ids, err);
    ag_str_free(&whole);
    return status;
}

ag_status ag_answer_encode(const ag_tokenizer *tokenizer, const ag_segment *segments, int n, int32_t end_id,
                           ag_tokens *ids, ag_tokens *segment_of, ag_error *err)
{
    for (int32_t i = 0; i < n; i++) {
        size_t before = ids->len;
        ag_status status = segments[i].text ? encode_text(tokenizer, &segments[i], ids, err)
                                            : ag_tokens_add(ids, &end_id, 1, err);
        for (size_t t = before; !status && segment_of && t < ids->len; t++) {
            status = ag_tokens_add(segment_of, &i, 1, err);
        }
        if (status) return status;
    }
    return AG_OK;
}

/* --- tokens of the tiers ----------------------------------------------------------------------------------- */

/* Is tokens a..a_end the beginning of b..b_end (or equal to it)? */
static bool begins(const ag_tokens *t, int a, int a_end, int b, int b_end)
{
    return a_end - a <= b_end - b && !memcmp(t->ids + a, t->ids + b, (size_t)(a_end - a) * sizeof *t->ids);
}

static bool any_begins_another(const ag_tokens *t, const int *offsets, int n)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            if (i != j && begins(t, offsets[i], offsets[i + 1], offsets[j], offsets[j + 1])) return true;
        }
    }
    return false;
}

/* The token after the tier: of a newline, or the end where the tier is the last thing written. */
static ag_status tier_follower(const ag_book *book, const ag_tokenizer *tokenizer, int32_t end_id,
                               int32_t *id, ag_error *err)
{
    ag_tokens newline = {0};
    bool last = book->order == AG_THINK_THEN_RESPOND ||
                (book->order == AG_VERDICTS_THEN_TIER && !book->why_required);
    *id = end_id;
    if (last) return AG_OK;
    ag_status status = ag_tokenizer_encode(tokenizer, "\n", 1, false, &newline, err);
    if (!status && newline.len) *id = newline.ids[0];
    ag_tokens_free(&newline);
    return status;
}

ag_status ag_tier_tokens(const ag_book *book, const ag_tokenizer *tokenizer, int32_t end_id,
                         ag_tokens *tokens, int offsets[AG_MAX_TIERS + 1], ag_error *err)
{
    ag_tokens plain = {0};
    int at[AG_MAX_TIERS + 1] = {0}, n = book->tier_count;
    int32_t follower = -1;
    ag_status status = AG_OK;
    for (int i = 0; i < n && !status; i++) {
        const char *id = book->tiers[i].id;
        status = ag_tokenizer_encode(tokenizer, id, strlen(id), false, &plain, err);
        at[i + 1] = (int)plain.len;
    }
    if (status) goto out;
    bool follow = any_begins_another(&plain, at, n);
    if (follow && (status = tier_follower(book, tokenizer, end_id, &follower, err))) goto out;
    offsets[0] = (int)tokens->len;
    for (int i = 0; i < n; i++) {
        status = ag_tokens_add(tokens, plain.ids + at[i], (size_t)(at[i + 1] - at[i]), err);
        if (!status && follow) status = ag_tokens_add(tokens, &follower, 1, err);
        if (status) goto out;
        offsets[i + 1] = (int)tokens->len;
    }
out:
    ag_tokens_free(&plain);
    return status;
}

/* --- length ---------------------------------------------------------------------------------------------------- */

static int64_t longest(int64_t a, const char *text)
{
    int64_t b = (int64_t)strlen(text);
    return a > b ? a : b;
}

/* No token is shorter than a byte, so the longest form in bytes (4 a character of why) is safe. */
int32_t ag_answer_limit(const ag_book *b, const ag_asked *asked)
{
    int64_t bytes = 16, names = 0, tier = 0, rule = 0; /* 16: newlines, rule=, why=, the end */
    for (int t = 0; t < b->tier_count; t++) tier = longest(tier, b->tiers[t].id);
    for (int r = 0; r < b->rule_count; r++) rule = longest(rule, b->rules[r].id);
    for (int a = 0; a < asked->count; a++) names += (int64_t)strlen(asked->entries[a].id) + 2;
    for (int c = 0; c < b->criterion_count; c++) {
        const ag_criterion *k = &b->criteria[c];
        int64_t verdict = 0;
        for (int v = 0; v < k->verdict_count; v++) verdict = longest(verdict, k->verdicts[v]);
        bytes += (int64_t)strlen(k->id) + 3 + (k->per_asked ? names + asked->count * verdict : verdict);
    }
    bytes += tier + rule;
    if (b->why_required) bytes += 4 * (int64_t)b->why_chars;
    return (int32_t)(bytes < INT32_MAX / 2 ? bytes : INT32_MAX / 2);
}
