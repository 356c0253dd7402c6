/* dataset.c: prompt and answer of each pair as tokens; hints for a share of prompts (METHOD.md section 16, hint literacy). */
#include "train/dataset.h"

#include <stdio.h>
#include <string.h>
#include "base/rng.h"

void ag_dataset_free(ag_dataset *d)
{
    ag_arena_free(&d->arena);
    ag_free(d->sequences);
    ag_free(d->examples);
    *d = (ag_dataset){0};
}

/* What a pair is trained to answer. */
typedef struct teaching {
    ag_gold gold;
    bool complete; /* verdicts and rule are known: the whole answer is trained */
    const char *hint;
    char rule_id[16]; /* of a rule that the hint invents; empty: none */
    bool invented;    /* what the hint says is not so: no reason is trained for it */
} teaching;

typedef struct builder {
    ag_dataset *d;
    const ag_dataset_options *o;
    bool rule_seen[AG_MAX_RULES]; /* rules that decide some gold: invented facts never show another */
    ag_str hint;
    ag_tokens prompt, answer, segment_of;
    ag_segment *segments;
    size_t segment_cap;
} builder;

static bool gold_complete(const ag_book *book, const ag_pair *pair)
{
    return pair->gold.tier >= 0 && pair->gold.rule >= 0 &&
           ag_verdicts_complete(book, &pair->asked, &pair->gold.verdicts);
}

/* Verdicts drawn at random, tier and rule derived; false when no draw gave a rule that the data knows. */
static bool invent_gold(const builder *b, const ag_pair *pair, ag_rng *r, ag_gold *gold)
{
    const ag_book *book = b->o->book;
    for (int attempt = 0; attempt < 32; attempt++) {
        *gold = (ag_gold){.rule = -1, .tier = -1};
        ag_verdicts_clear(&gold->verdicts);
        for (int c = 0; c < book->criterion_count; c++) {
            int entries = book->criteria[c].per_asked ? pair->asked.count : 1;
            for (int a = 0; a < entries; a++)
                gold->verdicts.v[c][a] = (int8_t)ag_rng_below(r, (uint32_t)book->criteria[c].verdict_count);
        }
        ag_derive(book, &pair->asked, &gold->verdicts, &gold->tier, &gold->rule);
        if (gold->rule >= 0 && b->rule_seen[gold->rule]) return true;
    }
    return false;
}

/* One verdict changed so that another tier or rule follows, a rule that the data knows: what a hint of that rule or tier alone asks
 * for. *field: the changed one. false when no single change does. Reservoir sampling: every such change is as likely. */
static bool bend_gold(const builder *b, const ag_pair *pair, ag_rng *r, bool tier, ag_gold *gold,
                      ag_hint_fields *field)
{
    const ag_book *book = b->o->book;
    uint32_t found = 0;
    *gold = (ag_gold){.rule = -1, .tier = -1};
    for (int c = 0; c < book->criterion_count; c++) {
        int entries = book->criteria[c].per_asked ? pair->asked.count : 1;
        for (int a = 0; a < entries; a++)
            for (int v = 0; v < book->criteria[c].verdict_count; v++) {
                ag_gold bent = {.verdicts = pair->gold.verdicts};
                bent.verdicts.v[c][a] = (int8_t)v;
                ag_derive(book, &pair->asked, &bent.verdicts, &bent.tier, &bent.rule);
                bool fits = (tier ? bent.tier != pair->gold.tier : bent.rule != pair->gold.rule) &&
                            bent.rule >= 0 && b->rule_seen[bent.rule];
                if (!fits || ag_rng_below(r, ++found) != 0) continue;
                *gold = bent;
                *field = (ag_hint_fields){0};
                field->wrong[c][a] = true;
            }
    }
    return found > 0;
}

/* What hints say: verdicts and perhaps the rule and the answer; the rule alone; the tier alone; a rule that no book has. */
typedef enum hint_kind { SAYS_FIELDS, SAYS_RULE, SAYS_TIER, SAYS_NEW_RULE } hint_kind;

/* Facts that are not so: all verdicts where the hint says them; one bent where it says the rule or the tier, so that the rest of the
 * answer still looks at the item. false: none fit. */
static bool invent(const builder *b, const ag_pair *pair, ag_rng *r, hint_kind kind, ag_gold *gold,
                   ag_hint_fields *fields)
{
    bool some = ag_rng_below(r, 2) == 0; /* the changed verdict is said, too */
    if (kind == SAYS_FIELDS) {
        memset(fields, 1, sizeof *fields);
        return invent_gold(b, pair, r, gold);
    }
    if (!bend_gold(b, pair, r, kind == SAYS_TIER, gold, fields)) return false;
    if (!some || kind == SAYS_TIER) *fields = (ag_hint_fields){0};
    return true;
}

/* A number that no rule of the book has: of two digits, or of one where there is one. */
static void invent_rule_id(const ag_book *book, ag_rng *r, char id[16])
{
    bool one = ag_rng_below(r, 4) == 0;
    for (int attempt = 0;; attempt++) {
        snprintf(id, 16, "R%u", one && attempt < 30 ? ag_rng_below(r, 10) : 10 + ag_rng_below(r, 90));
        if (ag_book_rule(book, id) < 0) return;
    }
}

/* Segments of the answer that a lesson wants, with the rule that its hint invents. */
static ag_status lesson_segments(builder *b, const ag_pair *pair, const teaching *lesson,
                                 const ag_answer *answer, int *n, ag_error *err)
{
    size_t max = (size_t)ag_answer_segment_max(b->o->book, pair->asked.count);
    if (!ag_grow(&b->segments, &b->segment_cap, max, sizeof *b->segments))
        return ag_fail_memory(err, "answer");
    *n = ag_answer_segments(b->o->book, &pair->asked, answer, b->segments);
    for (int i = 0; i < *n; i++)
        if (b->segments[i].part == AG_PART_RULE && *lesson->rule_id) {
            b->segments[i].text = lesson->rule_id;
            b->segments[i].len = strlen(lesson->rule_id);
        }
    return AG_OK;
}

/* The same as text behind a hint, as level 5 has it. */
static ag_status add_answer_text(builder *b, const ag_pair *pair, const teaching *lesson, ag_error *err)
{
    int n = 0;
    const ag_answer answer = {
        .tier = lesson->gold.tier, .rule = lesson->gold.rule, .verdicts = lesson->gold.verdicts};
    AG_TRY(lesson_segments(b, pair, lesson, &answer, &n, err));
    ag_str_add(&b->hint, "\nAnswer:\n");
    for (int i = 0; i < n && b->segments[i].text; i++) {
        ag_str_addn(&b->hint, b->segments[i].text, b->segments[i].len);
        if (b->segments[i].tail) ag_str_addc(&b->hint, b->segments[i].tail);
    }
    return AG_OK;
}

/* A rule that no book has, with a number, a tier and a text at random, behind verdicts some of which may be invented: an answer that
 * follows it copies. A rule that the data never shows can then be taken from a hint (METHOD.md section 16: hint literacy). */
static ag_status invent_rule(builder *b, const ag_pair *pair, ag_rng *r, teaching *lesson, ag_error *err)
{
    const ag_book *book = b->o->book;
    ag_gold *gold = &lesson->gold;
    ag_hint_fields fields = {0};
    bool reveals;
    invent_rule_id(book, r, lesson->rule_id);
    for (int c = 0; c < book->criterion_count; c++)
        for (int a = 0; a < (book->criteria[c].per_asked ? pair->asked.count : 1); a++) {
            uint32_t draw = ag_rng_below(r, 3); /* a third is not said, a third is invented */
            fields.wrong[c][a] = draw >= 1;
            if (draw == 2)
                gold->verdicts.v[c][a] = (int8_t)ag_rng_below(r, (uint32_t)book->criteria[c].verdict_count);
        }
    gold->tier = (int)ag_rng_below(r, (uint32_t)book->tier_count);
    const ag_rule *words = &book->rules[gold->rule];
    AG_TRY(ag_hint_build(&b->hint, &reveals, book, &pair->item, &pair->asked, gold, &fields, 3, err));
    ag_hint_rule(&b->hint, book, lesson->rule_id, gold->tier, ag_hint_rule_text(words));
    if (ag_rng_below(r, 3) == 0) AG_TRY(add_answer_text(b, pair, lesson, err));
    return ag_str_ok(&b->hint, err);
}

/* What a hinted prompt shows and is answered with. */
static ag_status build_hint(builder *b, const ag_pair *pair, ag_rng *r, bool invented, teaching *lesson,
                            ag_error *err)
{
    static const hint_kind kinds[] = {SAYS_FIELDS,   SAYS_RULE,     SAYS_TIER,
                                      SAYS_NEW_RULE, SAYS_NEW_RULE, SAYS_NEW_RULE};
    const ag_book *book = b->o->book;
    hint_kind kind = kinds[ag_rng_below(r, 6)];
    if (kind == SAYS_NEW_RULE && invented) return invent_rule(b, pair, r, lesson, err);
    ag_gold gold = lesson->gold;
    ag_hint_fields fields = {0};
    bool reveals, fields_only = kind == SAYS_FIELDS || kind == SAYS_NEW_RULE;
    int level = kind == SAYS_TIER   ? 5
                : kind == SAYS_RULE ? 4 + (int)ag_rng_below(r, 2)
                : invented          ? 3 + (int)ag_rng_below(r, 3)
                                    : 1 + (int)ag_rng_below(r, 5);
    if (invented && !invent(b, pair, r, kind, &gold, &fields)) return AG_OK;
    for (int c = 0; c < book->criterion_count && !invented && fields_only; c++)
        for (int a = 0; a < (book->criteria[c].per_asked ? pair->asked.count : 1); a++)
            fields.wrong[c][a] = ag_rng_below(r, 2) == 0;
    ag_gold shown = gold;
    if (kind == SAYS_TIER) {
        shown = (ag_gold){.tier = gold.tier, .rule = -1};
        ag_verdicts_clear(&shown.verdicts);
    }
    AG_TRY(ag_hint_build(&b->hint, &reveals, book, &pair->item, &pair->asked, &shown, &fields, level, err));
    if (b->hint.len > 0) lesson->gold = gold; /* else there was nothing to say at this level */
    return AG_OK;
}

/* Some prompts get a hint; a share of those says what is not so, and the answer follows the hint (METHOD.md section 16). */
static ag_status choose_hint(builder *b, const ag_pair *pair, size_t index, teaching *lesson, ag_error *err)
{
    ag_rng r = ag_rng_at(b->o->seed, AG_RNG_HINT, index, 0, 0, 0);
    if (!lesson->complete || ag_rng_double(&r) >= b->o->hint_share) return AG_OK;
    bool invented = ag_rng_double(&r) < b->o->hint_counterfactual;
    ag_str_clear(&b->hint);
    AG_TRY(build_hint(b, pair, &r, invented, lesson, err));
    if (b->hint.len == 0) return AG_OK;
    lesson->hint = ag_str_text(&b->hint);
    lesson->invented = invented;
    if (invented) lesson->gold.why = NULL;
    b->d->hinted++;
    return AG_OK;
}

static ag_status add_sequence(builder *b, const ag_tokens *answer, const uint8_t *wanted, double weight,
                              ag_error *err)
{
    ag_dataset *d = b->d;
    size_t n = b->prompt.len + answer->len;
    if (!ag_grow(&d->sequences, &d->sequence_cap, d->sequence_count + 1, sizeof *d->sequences))
        return ag_fail_memory(err, "training pairs");
    ag_sequence s = {.tokens = ag_arena_alloc(&d->arena, n, sizeof *s.tokens),
                     .wanted = ag_arena_alloc(&d->arena, n, 1),
                     .count = (int32_t)n,
                     .answer = (int32_t)answer->len,
                     .weight = weight};
    if (!s.tokens || !s.wanted) return ag_fail_memory(err, "training pairs");
    memcpy(s.tokens, b->prompt.ids, b->prompt.len * sizeof *s.tokens);
    memcpy(s.tokens + b->prompt.len, answer->ids, answer->len * sizeof *s.tokens);
    memcpy(s.wanted + b->prompt.len, wanted, answer->len);
    d->sequences[d->sequence_count++] = s;
    ag_example *e = &d->examples[d->count];
    e->count++;
    for (size_t i = 0; i < answer->len; i++)
        *(wanted[i] == AG_WANTED_CHOICE ? &e->choice_tokens : &e->form_tokens) += wanted[i] ? weight : 0;
    if (s.count > d->longest) d->longest = s.count;
    return AG_OK;
}

/* Tokens of an answer; wanted marks those of `tier` (0: all others, 1: the tier's, 2: all). Without a complete gold the
 * answer ends behind its tier. */
static ag_status encode_answer(builder *b, const ag_pair *pair, const teaching *lesson,
                               const ag_answer *answer, bool complete, int which, uint8_t **wanted,
                               ag_error *err)
{
    int n = 0;
    AG_TRY(lesson_segments(b, pair, lesson, answer, &n, err));
    if (!complete) {
        int last = -1;
        for (int i = 0; i < n; i++)
            if (b->segments[i].part == AG_PART_TIER) last = i;
        n = last + 1;
    }
    b->answer.len = b->segment_of.len = 0;
    AG_TRY(ag_answer_encode(b->o->tokenizer, b->segments, n, b->o->end_id, &b->answer, &b->segment_of, err));
    *wanted = ag_calloc(b->answer.len, 1);
    if (!*wanted) return ag_fail_memory(err, "answer");
    bool reasonless = b->o->book->why_required && lesson->invented, after_rule = false;
    for (size_t i = 0; i < b->answer.len; i++) {
        ag_part part = b->segments[b->segment_of.ids[i]].part;
        bool tier = part == AG_PART_TIER, choice = tier || part == AG_PART_CRITERION || part == AG_PART_RULE;
        after_rule = after_rule || part == AG_PART_RULE;
        if (reasonless && after_rule && part != AG_PART_RULE && b->o->book->order != AG_THINK_THEN_RESPOND)
            continue;
        if (which == 2 || (which == 1) == tier) (*wanted)[i] = choice ? AG_WANTED_CHOICE : AG_WANTED_FORM;
    }
    return AG_OK;
}

static ag_status add_answer(builder *b, const ag_pair *pair, const teaching *lesson, int tier, bool complete,
                            int which, double weight, ag_error *err)
{
    ag_answer answer = {.tier = tier,
                        .rule = complete ? lesson->gold.rule : -1,
                        .verdicts = lesson->gold.verdicts,
                        .why = complete ? lesson->gold.why : NULL,
                        .why_len = complete && lesson->gold.why ? strlen(lesson->gold.why) : 0};
    uint8_t *wanted = NULL;
    if (!complete) ag_verdicts_clear(&answer.verdicts);
    ag_status status = encode_answer(b, pair, lesson, &answer, complete, which, &wanted, err);
    if (status == AG_OK) status = add_sequence(b, &b->answer, wanted, weight, err);
    ag_free(wanted);
    return status;
}

static ag_status add_example(builder *b, const ag_pair *pair, size_t index, ag_error *err)
{
    ag_dataset *d = b->d;
    teaching lesson = {.gold = pair->gold, .complete = gold_complete(b->o->book, pair)};
    ag_prompt_loss loss = {0};
    bool tier_first = b->o->book->order == AG_RESPOND_THEN_THINK;
    if (pair->gold.tier < 0 || (!lesson.complete && !tier_first)) { /* nothing that could be trained */
        d->dropped++;
        return AG_OK;
    }
    AG_TRY(choose_hint(b, pair, index, &lesson, err));
    b->prompt.len = 0;
    AG_TRY(ag_prompt_encode(&b->prompt, b->o->book, b->o->tokenizer, &b->o->prompt, pair->query, &pair->item,
                            &pair->asked, lesson.hint, &loss, err));
    d->truncated += loss.attributes > 0 || loss.description_tokens > 0 || loss.title_tokens > 0;
    d->tier_only += !lesson.complete;
    if (!ag_grow(&d->examples, &d->cap, d->count + 1, sizeof *d->examples))
        return ag_fail_memory(err, "training pairs");
    d->examples[d->count] = (ag_example){.first = d->sequence_count};
    const double *soft = lesson.hint ? NULL : pair->gold.soft;
    for (int t = 0; soft && tier_first && t < b->o->book->tier_count; t++)
        if (soft[t] > 0) AG_TRY(add_answer(b, pair, &lesson, t, false, 1, soft[t], err));
    bool soft_tier = soft && tier_first;
    if (!soft_tier || lesson.complete)
        AG_TRY(add_answer(b, pair, &lesson, lesson.gold.tier, lesson.complete, soft_tier ? 0 : 2, 1, err));
    d->count++;
    return AG_OK;
}

ag_status ag_dataset_build(ag_dataset *d, const ag_pair_list *pairs, const ag_dataset_options *options,
                           ag_error *err)
{
    *d = (ag_dataset){.arena = {.name = "training pairs"}};
    builder b = {.d = d, .o = options};
    for (size_t i = 0; i < pairs->count; i++)
        if (pairs->items[i]->gold.rule >= 0) b.rule_seen[pairs->items[i]->gold.rule] = true;
    ag_status status = AG_OK;
    for (size_t i = 0; i < pairs->count && status == AG_OK; i++) {
        status = add_example(&b, pairs->items[i], i, err);
        if (status != AG_OK) ag_error_prefix(err, "%s", pairs->items[i]->where);
    }
    ag_str_free(&b.hint);
    ag_tokens_free(&b.prompt);
    ag_tokens_free(&b.answer);
    ag_tokens_free(&b.segment_of);
    ag_free(b.segments);
    if (status != AG_OK) ag_dataset_free(d);
    return status;
}

void ag_dataset_want_prompts(ag_dataset *d)
{
    int32_t shared = INT32_MAX;
    const ag_sequence *first = d->sequences;
    for (size_t i = 0; i < d->count; i++) {
        const ag_sequence *s = &d->sequences[d->examples[i].first];
        int32_t k = 0;
        while (k < shared && k < s->count && k < first->count && s->tokens[k] == first->tokens[k]) k++;
        shared = k;
    }
    for (size_t i = 0; i < d->count; i++) { /* once an example: further sequences repeat the prompt */
        ag_sequence *s = &d->sequences[d->examples[i].first];
        d->examples[i].prompt_tokens = 0;
        for (int32_t k = shared > 0 ? shared : 1; k < s->count - s->answer; k++) {
            s->wanted[k] = AG_WANTED_PROMPT;
            d->examples[i].prompt_tokens++;
        }
    }
}

/* --- a tokenizer from the pairs' own text -------------------------------------------------------------------------- */

typedef struct text_source {
    const ag_pair_list *pairs;
    const ag_book *book;
    const ag_prompt_options *prompt;
    size_t next;
    ag_str text;
} text_source;

static ag_status next_text(void *user, const char **text, size_t *len, ag_error *err)
{
    text_source *s = user;
    *text = NULL;
    *len = 0;
    if (s->next >= s->pairs->count) return AG_OK;
    const ag_pair *p = s->pairs->items[s->next++];
    ag_str_clear(&s->text);
    AG_TRY(ag_prompt_text(&s->text, s->book, s->prompt, p->query, &p->item, &p->asked, NULL, err));
    if (gold_complete(s->book, p)) {
        ag_answer answer = {.tier = p->gold.tier,
                            .rule = p->gold.rule,
                            .verdicts = p->gold.verdicts,
                            .why = p->gold.why,
                            .why_len = p->gold.why ? strlen(p->gold.why) : 0};
        ag_str_addc(&s->text, '\n');
        AG_TRY(ag_answer_render(&s->text, s->book, &p->asked, &answer, err));
    }
    *text = ag_str_text(&s->text);
    *len = s->text.len;
    return ag_str_ok(&s->text, err);
}

ag_status ag_dataset_tokenizer(ag_tokenizer **tokenizer, const ag_pair_list *pairs, const ag_book *book,
                               const ag_prompt_options *prompt, int vocab, ag_error *err)
{
    static const char *const special[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    text_source source = {.pairs = pairs, .book = book, .prompt = prompt};
    ag_status status = ag_tokenizer_train(tokenizer, next_text, &source, vocab, special, 3, err);
    ag_str_free(&source.text);
    return status;
}
