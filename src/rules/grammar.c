/* grammar.c: the token automaton of the answer. It walks the plan of answer_steps.h; each step is one of
 *
 *   SEQ   one text (labels, names, separators; rule and tier where derive forces them): the tokens in order
 *   TRIE  one of several texts (tiers, verdicts, rules): a trie of their token sequences; where one is the beginning
 *         of another, what follows the step is allowed beside the trie's children and decides
 *   WHY   free text: a UTF-8 automaton over the bytes of tokens, with a budget of characters
 *   END   the end token
 *
 * No step's text can begin with the byte that follows it (ids hold no newline and no ';'), so the choice
 * between going on and moving on is never ambiguous.
 */
#include "rules/answer.h"

#include <string.h>

#include "base/rng.h"
#include "rules/answer_steps.h"
#include "rules/why_mask.h"

/* Token ids of one text. */
typedef struct piece {
    const int32_t *ids;
    int count;
} piece;

typedef struct node {
    int32_t token;
    int child, sibling; /* -1: none */
    int alternative;    /* the text that ends here, or -1 */
} node;

/* Node 0 is the root. */
typedef struct trie {
    node *nodes;
    size_t count, cap;
} trie;

/* A cached asked name; chained by hash. */
typedef struct name {
    const char *text;
    piece tokens;
    struct name *next;
} name;

enum { NAME_BUCKETS = 256 };

struct ag_grammar {
    ag_arena arena, names_arena;
    const ag_book *book;
    const ag_tokenizer *tokenizer;
    int32_t end_id;
    int vocab;
    piece fixed[AG_STEP_FIXED_COUNT];
    piece *labels, *tiers, *rules; /* rules: one more at the end, "no rule", where the book allows it */
    int rule_choices, no_rule;     /* which of rules says that none holds */
    trie tier_trie, rule_trie, *verdict_tries;
    ag_why_mask why; /* only where the book requires a why */
    name *names[NAME_BUCKETS];
    ag_step *plans[AG_MAX_ASKED + 1]; /* by number of asked entries, when prepared */
    int plan_length[AG_MAX_ASKED + 1];
};

/* --- building --------------------------------------------------------------------------------------------- */

/* Tokens of a text, checked to give the text back: a tokenizer that normalises could otherwise force an answer
 * that the verifier refuses. */
static ag_status piece_make(ag_grammar *g, ag_arena *arena, const char *text, piece *out, ag_error *err)
{
    ag_tokens ids = {0};
    ag_str back = {0};
    ag_status status = ag_tokenizer_encode(g->tokenizer, text, strlen(text), false, &ids, err);
    if (!status) status = ag_tokenizer_decode(g->tokenizer, ids.ids, ids.len, false, &back, err);
    if (!status) status = ag_str_ok(&back, err);
    if (status) goto out;
    if (!ids.len || strcmp(ag_str_text(&back), text) != 0) {
        status = ag_fail(err, AG_ERR_INPUT,
                         "the tokenizer cannot write '%s' unchanged: put it in Unicode form NFC", text);
        goto out;
    }
    int32_t *copy = ag_arena_alloc(arena, ids.len, sizeof *copy);
    if (!copy) {
        status = ag_fail_memory(err, "answer grammar");
        goto out;
    }
    memcpy(copy, ids.ids, ids.len * sizeof *copy);
    *out = (piece){copy, (int)ids.len};
out:
    ag_tokens_free(&ids);
    ag_str_free(&back);
    return status;
}

static int trie_child(const trie *t, int at, int32_t token)
{
    int child = t->nodes[at].child;
    while (child >= 0 && t->nodes[child].token != token) child = t->nodes[child].sibling;
    return child;
}

/* Appends a node; -1 when out of memory. */
static int trie_node(trie *t, int32_t token, int sibling)
{
    if (!ag_grow(&t->nodes, &t->cap, t->count + 1, sizeof *t->nodes)) return -1;
    t->nodes[t->count] = (node){token, -1, sibling, -1};
    return (int)t->count++;
}

static ag_status trie_add(trie *t, piece tokens, int alternative, ag_error *err)
{
    int at = 0;
    if (!t->count && trie_node(t, -1, -1) < 0) return ag_fail_memory(err, "answer grammar");
    for (int i = 0; i < tokens.count; i++) {
        int child = trie_child(t, at, tokens.ids[i]);
        if (child < 0) {
            child = trie_node(t, tokens.ids[i], t->nodes[at].child);
            if (child < 0) return ag_fail_memory(err, "answer grammar");
            t->nodes[at].child = child;
        }
        at = child;
    }
    t->nodes[at].alternative = alternative;
    return AG_OK;
}

static ag_status plan_make(ag_grammar *g, int asked_count, ag_error *err)
{
    ag_step steps[AG_STEPS_MAX];
    if (g->plans[asked_count]) return AG_OK;
    int n = ag_answer_plan(g->book, asked_count, g->book->why_required, steps);
    ag_step *copy = ag_arena_alloc(&g->arena, (size_t)n, sizeof *copy);
    if (!copy) return ag_fail_memory(err, "answer grammar");
    memcpy(copy, steps, (size_t)n * sizeof *copy);
    g->plans[asked_count] = copy;
    g->plan_length[asked_count] = n;
    return AG_OK;
}

static ag_status build_choices(ag_grammar *g, ag_error *err)
{
    const ag_book *book = g->book;
    ag_status status = AG_OK;
    for (int t = 0; t < book->tier_count && !status; t++) {
        status = piece_make(g, &g->arena, book->tiers[t].id, &g->tiers[t], err);
        if (!status) status = trie_add(&g->tier_trie, g->tiers[t], t, err);
    }
    int dash = ag_book_rule(book, ag_step_text[AG_STEP_DASH]);
    g->no_rule = dash < 0 ? book->rule_count : dash;
    g->rule_choices = book->rule_count + (dash < 0 && ag_rule_may_be_none(book));
    for (int r = 0; r < g->rule_choices && !status; r++) {
        const char *id = r < book->rule_count ? book->rules[r].id : ag_step_text[AG_STEP_DASH];
        status = piece_make(g, &g->arena, id, &g->rules[r], err);
        if (!status) status = trie_add(&g->rule_trie, g->rules[r], r, err);
    }
    for (int c = 0; c < book->criterion_count && !status; c++) {
        const ag_criterion *criterion = &book->criteria[c];
        for (int v = 0; v < criterion->verdict_count && !status; v++) {
            piece tokens;
            status = piece_make(g, &g->arena, criterion->verdicts[v], &tokens, err);
            if (!status) status = trie_add(&g->verdict_tries[c], tokens, v, err);
        }
    }
    return status;
}

static ag_status build_texts(ag_grammar *g, ag_error *err)
{
    ag_str label = {0};
    ag_status status = AG_OK;
    for (int k = 0; k < AG_STEP_FIXED_COUNT && !status; k++) {
        status = piece_make(g, &g->arena, ag_step_text[k], &g->fixed[k], err);
    }
    for (int c = 0; c < g->book->criterion_count && !status; c++) {
        ag_str_clear(&label);
        ag_str_add(&label, g->book->criteria[c].id);
        ag_str_addc(&label, '=');
        status = ag_str_ok(&label, err);
        if (!status) status = piece_make(g, &g->arena, label.data, &g->labels[c], err);
    }
    ag_str_free(&label);
    return status;
}

ag_status ag_grammar_build(ag_grammar **grammar, const ag_book *book, const ag_tokenizer *tokenizer,
                           int32_t end_id, ag_error *err)
{
    ag_status status = AG_OK;
    ag_grammar *g = ag_calloc(1, sizeof *g);
    *grammar = NULL;
    if (!g) return ag_fail_memory(err, "answer grammar");
    g->arena.name = "answer grammar";
    g->names_arena.name = "asked names";
    g->book = book;
    g->tokenizer = tokenizer;
    g->end_id = end_id;
    g->vocab = ag_tokenizer_vocab(tokenizer);
    if (end_id < 0 || end_id >= g->vocab) {
        status = ag_fail(err, AG_ERR_INPUT, "end token %d is not in the vocabulary", (int)end_id);
        goto out;
    }
    g->labels = ag_arena_alloc(&g->arena, (size_t)book->criterion_count, sizeof *g->labels);
    g->tiers = ag_arena_alloc(&g->arena, (size_t)book->tier_count, sizeof *g->tiers);
    g->rules = ag_arena_alloc(&g->arena, (size_t)book->rule_count + 1, sizeof *g->rules);
    g->verdict_tries = ag_arena_alloc(&g->arena, (size_t)book->criterion_count, sizeof *g->verdict_tries);
    if (!g->labels || !g->tiers || !g->rules || !g->verdict_tries) {
        status = ag_fail_memory(err, "answer grammar");
        goto out;
    }
    if ((status = build_texts(g, err))) goto out;
    if ((status = build_choices(g, err))) goto out;
    if (book->why_required) status = ag_why_mask_build(&g->why, tokenizer, end_id, err);
    if (!status) status = plan_make(g, 0, err);
out:
    if (status) {
        ag_grammar_free(g);
        g = NULL;
    }
    *grammar = g;
    return status;
}

void ag_grammar_free(ag_grammar *g)
{
    if (!g) return;
    for (int c = 0; g->verdict_tries && c < g->book->criterion_count; c++) ag_free(g->verdict_tries[c].nodes);
    ag_free(g->tier_trie.nodes);
    ag_free(g->rule_trie.nodes);
    ag_why_mask_free(&g->why);
    ag_arena_free(&g->names_arena);
    ag_arena_free(&g->arena);
    ag_free(g);
}

/* --- asked names ------------------------------------------------------------------------------------------- */

static const name *name_find(const ag_grammar *g, const char *text)
{
    const name *n = g->names[ag_hash64(text, strlen(text)) % NAME_BUCKETS];
    while (n && strcmp(n->text, text) != 0) n = n->next;
    return n;
}

ag_status ag_grammar_prepare(ag_grammar *g, const ag_asked *asked, ag_error *err)
{
    ag_status status = plan_make(g, asked->count, err);
    for (int a = 0; a < asked->count && !status; a++) {
        const char *text = asked->entries[a].id;
        if (name_find(g, text)) continue;
        name *n = ag_arena_alloc(&g->names_arena, 1, sizeof *n);
        if (!n || !(n->text = ag_arena_strdup(&g->names_arena, text)))
            return ag_fail_memory(err, "asked names");
        if ((status = piece_make(g, &g->names_arena, text, &n->tokens, err))) break;
        name **bucket = &g->names[ag_hash64(text, strlen(text)) % NAME_BUCKETS];
        n->next = *bucket;
        *bucket = n;
    }
    return status;
}

void ag_grammar_forget(ag_grammar *g)
{
    memset(g->names, 0, sizeof g->names);
    ag_arena_free(&g->names_arena);
    g->names_arena.name = "asked names";
}

/* --- steps ------------------------------------------------------------------------------------------------- */

typedef enum view_kind { VIEW_NOTHING, VIEW_SEQ, VIEW_TRIE, VIEW_WHY, VIEW_END } view_kind;

/* A step as one of the four kinds above. */
typedef struct view {
    view_kind kind;
    piece seq;
    const trie *trie;
} view;

static view view_seq(piece tokens)
{
    return (view){.kind = VIEW_SEQ, .seq = tokens};
}

static view view_of(const ag_grammar *g, const ag_grammar_state *s, int index)
{
    int count = s->asked->count;
    bool forced = g->book->order == AG_VERDICTS_THEN_TIER;
    if (s->done || !g->plans[count] || index >= g->plan_length[count]) return (view){0};
    ag_step step = g->plans[count][index];
    switch ((ag_step_kind)step.kind) {
    case AG_STEP_LABEL: return view_seq(g->labels[step.criterion]);
    case AG_STEP_NAME: {
        const name *n = name_find(g, s->asked->entries[step.asked].id);
        return n ? view_seq(n->tokens) : (view){0};
    }
    case AG_STEP_VERDICT: return (view){.kind = VIEW_TRIE, .trie = &g->verdict_tries[step.criterion]};
    case AG_STEP_TIER:
        return forced ? view_seq(g->tiers[s->node]) : (view){.kind = VIEW_TRIE, .trie = &g->tier_trie};
    case AG_STEP_RULE:
        return forced ? view_seq(g->rules[s->node]) : (view){.kind = VIEW_TRIE, .trie = &g->rule_trie};
    case AG_STEP_WHY: return (view){.kind = VIEW_WHY};
    case AG_STEP_END: return (view){.kind = VIEW_END};
    default: return view_seq(g->fixed[step.kind]);
    }
}

/* Moves to step `index`. What derive forces is found once, here. */
static void enter(const ag_grammar *g, ag_grammar_state *s, int index)
{
    int tier, rule;
    s->step = index;
    s->at = s->node = s->utf8_len = 0;
    if (!g->plans[s->asked->count] || index >= g->plan_length[s->asked->count]) return;
    ag_step_kind kind = g->plans[s->asked->count][index].kind;
    if (kind == AG_STEP_WHY) s->chars_left = g->book->why_chars;
    if (g->book->order != AG_VERDICTS_THEN_TIER || (kind != AG_STEP_TIER && kind != AG_STEP_RULE)) return;
    ag_derive(g->book, s->asked, &s->verdicts, &tier, &rule);
    s->node = kind == AG_STEP_TIER ? tier : rule < 0 ? g->no_rule : rule;
}

void ag_grammar_start(const ag_grammar *g, const ag_asked *asked, ag_grammar_state *s)
{
    memset(s, 0, sizeof *s);
    s->asked = asked;
    ag_verdicts_clear(&s->verdicts);
    enter(g, s, 0);
}

/* --- what is allowed --------------------------------------------------------------------------------------- */

/* Collects allowed ids: how many, the last one, and their bits when words is not NULL. */
typedef struct collector {
    uint32_t *words;
    int count;
    int32_t last;
} collector;

static void collect(collector *c, int32_t id)
{
    c->count++;
    c->last = id;
    if (c->words) c->words[id / 32] |= 1u << (id % 32);
}

static void collect_children(collector *c, const trie *t, int at)
{
    for (int child = t->nodes[at].child; child >= 0; child = t->nodes[child].sibling) {
        collect(c, t->nodes[child].token);
    }
}

/* The tokens that can begin a step (never free text: a label stands before it). */
static void collect_first(collector *c, const ag_grammar *g, view v)
{
    if (v.kind == VIEW_SEQ) collect(c, v.seq.ids[0]);
    if (v.kind == VIEW_TRIE) collect_children(c, v.trie, 0);
    if (v.kind == VIEW_END) collect(c, g->end_id);
}

static void collect_allowed(collector *c, const ag_grammar *g, const ag_grammar_state *s)
{
    view v = view_of(g, s, s->step);
    if (v.kind == VIEW_SEQ) collect(c, v.seq.ids[s->at]);
    if (v.kind == VIEW_END) collect(c, g->end_id);
    if (v.kind == VIEW_TRIE) {
        collect_children(c, v.trie, s->node);
        if (v.trie->nodes[s->node].alternative >= 0) collect_first(c, g, view_of(g, s, s->step + 1));
    }
    if (v.kind == VIEW_WHY) {
        int state = ag_utf8_state(s->utf8, s->utf8_len);
        c->count += ag_why_mask_allowed(&g->why, state, s->chars_left, c->words, &c->last);
        if (!state) collect_first(c, g, view_of(g, s, s->step + 1));
    }
}

int ag_grammar_allowed(const ag_grammar *g, const ag_grammar_state *s, uint32_t *words)
{
    collector c = {words, 0, -1};
    memset(words, 0, ((size_t)g->vocab + 31) / 32 * sizeof *words);
    collect_allowed(&c, g, s);
    return c.count;
}

int32_t ag_grammar_forced(const ag_grammar *g, const ag_grammar_state *s)
{
    collector c = {NULL, 0, -1};
    collect_allowed(&c, g, s);
    return c.count == 1 ? c.last : -1;
}

/* --- advancing --------------------------------------------------------------------------------------------- */

/* Notes the verdict just chosen and goes to the next step. */
static void finish(const ag_grammar *g, ag_grammar_state *s, int alternative)
{
    ag_step step = g->plans[s->asked->count][s->step];
    if (step.kind == AG_STEP_VERDICT) {
        s->verdicts.v[step.criterion][step.asked < 0 ? 0 : step.asked] = (int8_t)alternative;
    }
    enter(g, s, s->step + 1);
}

static bool advance_seq(const ag_grammar *g, ag_grammar_state *s, piece seq, int32_t id)
{
    if (seq.ids[s->at] != id) return false;
    s->at++;
    if (s->at == seq.count) finish(g, s, -1);
    return true;
}

static bool advance_trie(const ag_grammar *g, ag_grammar_state *s, const trie *t, int32_t id)
{
    int child = trie_child(t, s->node, id), done = t->nodes[s->node].alternative;
    if (child < 0) {
        if (done < 0) return false;
        finish(g, s, done);
        return ag_grammar_advance(g, s, id);
    }
    s->node = child;
    s->at++;
    if (t->nodes[child].child < 0) finish(g, s, t->nodes[child].alternative);
    return true;
}

static bool advance_why(const ag_grammar *g, ag_grammar_state *s, int32_t id)
{
    int chars = 0;
    if (ag_why_mask_step(&g->why, s->utf8, &s->utf8_len, s->chars_left, id, &chars)) {
        s->chars_left -= chars;
        s->at++;
        return true;
    }
    if (s->utf8_len) return false;
    finish(g, s, -1);
    return ag_grammar_advance(g, s, id);
}

bool ag_grammar_advance(const ag_grammar *g, ag_grammar_state *state, int32_t id)
{
    ag_grammar_state next = *state;
    view v = view_of(g, state, state->step);
    bool good = false;
    if (v.kind == VIEW_SEQ) good = advance_seq(g, &next, v.seq, id);
    if (v.kind == VIEW_TRIE) good = advance_trie(g, &next, v.trie, id);
    if (v.kind == VIEW_WHY) good = advance_why(g, &next, id);
    if (v.kind == VIEW_END) good = next.done = id == g->end_id;
    if (good) *state = next;
    return good;
}
