/* random_book.h: random rulebooks in several scripts, as plain structs and as YAML, for the tests of rules/.
 *
 * The structs are what the test knows to be true; the YAML is what the library is given. Names hold spaces, brackets,
 * quotes and keywords inside words, since ids may.
 */
#ifndef AG_TESTS_RANDOM_BOOK_H
#define AG_TESTS_RANDOM_BOOK_H

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "base/yaml.h"
#include "rules/book.h"

enum { RB_TIERS = 7, RB_CRITERIA = 12, RB_VERDICTS = 7, RB_ATTRIBUTES = 6, RB_TYPES = 4, RB_NAME = 64 };

typedef struct random_criterion {
    char id[RB_NAME], verdicts[RB_VERDICTS][RB_NAME];
    bool per_asked;
    int count;
    double weight;
} random_criterion;

typedef struct random_book {
    int tiers, criteria, attributes, types;
    char tier[RB_TIERS][RB_NAME], attribute[RB_ATTRIBUTES][RB_NAME], type[RB_TYPES][RB_NAME];
    double gain[RB_TIERS];
    bool core[RB_ATTRIBUTES];
    random_criterion criterion[RB_CRITERIA];
} random_book;

static const char *const rb_words[] = {
    "SAME",     "OTHER",     "不一致", "一致",  "カテゴリ",   "色",          "価格帯",      "لون",
    "سعر",      "غير معروف", "бренд",  "цвет",  "не указано", "rouge",       "rouge foncé", "size (EU)",
    "männer's", "χρώμα",     "रंग",     "색상",  "in stock",   "not so good", "android",     "origin",
    "any",      "all",       "count",  "share", "notes",      "a\"b",        "🙂",        "x&y",
    "<new>",    "C-3/b",     "0.5",    "true",  "null",       "~",           "core set",    "minor!",
};
enum { RB_WORDS = sizeof(rb_words) / sizeof(rb_words[0]) };

/* A name that none of names[0..n) has. */
static inline void rb_name(ag_rng *rng, char *name, char (*names)[RB_NAME], int n)
{
    for (;;) {
        const char *word = rb_words[ag_rng_below(rng, RB_WORDS)];
        if (ag_rng_below(rng, 3) == 0)
            snprintf(name, RB_NAME, "%s%u", word, ag_rng_below(rng, 100));
        else
            snprintf(name, RB_NAME, "%s", word);
        int same = 0;
        for (int i = 0; i < n; i++) same += strcmp(names[i], name) == 0;
        if (!same) return;
    }
}

static inline void rb_make(random_book *b, ag_rng *rng, int max_criteria)
{
    char ids[RB_CRITERIA][RB_NAME];
    memset(b, 0, sizeof(*b));
    b->tiers = 2 + (int)ag_rng_below(rng, RB_TIERS - 1);
    b->criteria = (int)ag_rng_below(rng, (uint32_t)max_criteria + 1);
    b->attributes = (int)ag_rng_below(rng, RB_ATTRIBUTES + 1);
    b->types = 1 + (int)ag_rng_below(rng, RB_TYPES);
    for (int t = 0; t < b->tiers; t++) {
        rb_name(rng, b->tier[t], b->tier, t);
        b->gain[t] = (b->tiers - t) * 1.5;
    }
    for (int a = 0; a < b->attributes; a++) {
        rb_name(rng, b->attribute[a], b->attribute, a);
        b->core[a] = ag_rng_below(rng, 2) == 0;
    }
    for (int t = 0; t < b->types; t++) rb_name(rng, b->type[t], b->type, t);
    for (int c = 0; c < b->criteria; c++) {
        random_criterion *criterion = &b->criterion[c];
        rb_name(rng, ids[c], ids, c);
        memcpy(criterion->id, ids[c], RB_NAME);
        criterion->per_asked = ag_rng_below(rng, 2) == 0;
        criterion->count = 1 + (int)ag_rng_below(rng, RB_VERDICTS);
        criterion->weight = ag_rng_below(rng, 10) / 8.0;
        for (int v = 0; v < criterion->count; v++)
            rb_name(rng, criterion->verdicts[v], criterion->verdicts, v);
    }
}

/* Everything but the rules. */
static inline void rb_yaml(ag_str *out, const random_book *b)
{
    ag_str_add(out, "rulebook: random\ntiers:\n");
    for (int t = 0; t < b->tiers; t++) {
        ag_str_add(out, "  - id: ");
        ag_yaml_quote(out, b->tier[t]);
        ag_str_addf(out, "\n    gain: %g\n    good: %s\n", b->gain[t], t == 0 ? "true" : "false");
    }
    ag_str_add(out, "criteria:");
    ag_str_add(out, b->criteria ? "\n" : " []\n");
    for (int c = 0; c < b->criteria; c++) {
        const random_criterion *criterion = &b->criterion[c];
        ag_str_add(out, "  - id: ");
        ag_yaml_quote(out, criterion->id);
        ag_str_addf(out, "\n    weight: %g\n%s    verdicts: [", criterion->weight,
                    criterion->per_asked ? "    per: asked\n" : "");
        for (int v = 0; v < criterion->count; v++) {
            if (v) ag_str_add(out, ", ");
            ag_yaml_quote(out, criterion->verdicts[v]);
        }
        ag_str_add(out, "]\n");
    }
    ag_str_add(out, "attributes:\n  default: {importance: minor}\n");
    for (int a = 0; a < b->attributes; a++) {
        ag_str_add(out, "  ");
        ag_yaml_quote(out, b->attribute[a]);
        ag_str_addf(out, ": {importance: %s}\n", b->core[a] ? "core" : "minor");
    }
}

/* One rule; `when` as it is, or NULL for otherwise. */
static inline void rb_rule(ag_str *out, const char *id, const char *when, const char *cap)
{
    ag_str_addf(out, "  - id: %s\n    when: ", id);
    ag_yaml_quote(out, when ? when : "otherwise");
    ag_str_add(out, "\n    cap: ");
    ag_yaml_quote(out, cap);
    ag_str_addc(out, '\n');
}

/* --- random conditions: a tree, its text, and what it means -------------------------------------------------- */

typedef enum rb_kind {
    RB_AND,
    RB_OR,
    RB_NOT,
    RB_SINGLE,
    RB_ANY,
    RB_ALL,
    RB_COUNT,
    RB_SHARE,
    RB_TYPE
} rb_kind;

typedef struct rb_node rb_node;
struct rb_node {
    rb_kind kind;
    rb_node *child[4];
    int children;
    int criterion;
    int op;                 /* 0 ==, 1 !=, 2 in; of numbers: 0 >=, 1 >, 2 <=, 3 <, 4 ==, 5 != */
    char names[4][RB_NAME]; /* verdicts or types */
    int name_count;
    char selector[3][RB_NAME];
    int selector_count;
    double bound;
};

enum { RB_POOL = 256 };
typedef struct rb_pool {
    rb_node nodes[RB_POOL];
    int used;
} rb_pool;

static inline bool rb_word_is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static inline void rb_selector(const random_book *b, ag_rng *rng, rb_node *node)
{
    static const char *const words[] = {"core", "minor", "negated", "asserted"};
    node->selector_count = (int)ag_rng_below(rng, 4);
    for (int i = 0; i < node->selector_count; i++) {
        uint32_t pick = ag_rng_below(rng, 4 + (uint32_t)b->attributes);
        snprintf(node->selector[i], RB_NAME, "%s", pick < 4 ? words[pick] : b->attribute[pick - 4]);
    }
}

static inline rb_node *rb_leaf(const random_book *b, ag_rng *rng, rb_pool *pool)
{
    rb_node *node = &pool->nodes[pool->used++];
    memset(node, 0, sizeof(*node));
    node->op = (int)ag_rng_below(rng, 3);
    node->name_count = node->op == 2 ? 1 + (int)ag_rng_below(rng, 4) : 1;
    if (b->criteria == 0 || ag_rng_below(rng, 5) == 0) {
        node->kind = RB_TYPE;
        for (int i = 0; i < node->name_count; i++)
            memcpy(node->names[i], b->type[ag_rng_below(rng, (uint32_t)b->types)], RB_NAME);
        return node;
    }
    node->criterion = (int)ag_rng_below(rng, (uint32_t)b->criteria);
    const random_criterion *criterion = &b->criterion[node->criterion];
    for (int i = 0; i < node->name_count; i++)
        memcpy(node->names[i], criterion->verdicts[ag_rng_below(rng, (uint32_t)criterion->count)], RB_NAME);
    node->kind = RB_SINGLE;
    if (!criterion->per_asked) return node;
    node->kind = (rb_kind)(RB_ANY + ag_rng_below(rng, 4));
    rb_selector(b, rng, node);
    if (node->kind == RB_COUNT || node->kind == RB_SHARE) {
        node->name_count = 1 + (int)ag_rng_below(rng, 3);
        for (int i = 1; i < node->name_count; i++)
            memcpy(node->names[i], criterion->verdicts[ag_rng_below(rng, (uint32_t)criterion->count)],
                   RB_NAME);
        node->op = (int)ag_rng_below(rng, 6);
        node->bound = node->kind == RB_COUNT ? ag_rng_below(rng, 5) : ag_rng_below(rng, 5) / 4.0;
    }
    return node;
}

static inline rb_node *rb_tree(const random_book *b, ag_rng *rng, rb_pool *pool, int depth)
{
    uint32_t pick = ag_rng_below(rng, 6);
    if (depth == 0 || pick < 2 || pool->used > RB_POOL - 64) return rb_leaf(b, rng, pool);
    rb_node *node = &pool->nodes[pool->used++];
    memset(node, 0, sizeof(*node));
    node->kind = pick == 2 ? RB_NOT : pick < 5 ? RB_AND : RB_OR;
    node->children = node->kind == RB_NOT ? 1 : 2 + (int)ag_rng_below(rng, 2);
    for (int i = 0; i < node->children; i++) node->child[i] = rb_tree(b, rng, pool, depth - 1);
    return node;
}

static inline void rb_blank(ag_str *out, ag_rng *rng, bool needed)
{
    static const char *const blanks[] = {" ", "  ", "\t", "\n", " \r\n "};
    if (needed || ag_rng_below(rng, 2) == 0)
        ag_str_add(out, blanks[ag_rng_below(rng, 8) < 4 ? 0 : ag_rng_below(rng, 5)]);
}

/* A name, now and then in quotes; always where it is a type of several words, which nothing declares. */
static inline void rb_write_name(ag_str *out, ag_rng *rng, const char *name, bool type)
{
    bool plain = strcspn(name, " \t()[],+=!<>'\"&|") == strlen(name);
    const char *quote = strchr(name, '"') ? "'" : "\"";
    if ((type && !plain) || ag_rng_below(rng, 6) == 0)
        ag_str_addf(out, "%s%s%s", quote, name, quote);
    else
        ag_str_add(out, name);
}

static inline void rb_write_names(ag_str *out, ag_rng *rng, const rb_node *node, bool list)
{
    if (list) ag_str_add(out, "[");
    for (int i = 0; i < node->name_count; i++) {
        if (i) ag_str_add(out, ",");
        rb_blank(out, rng, false);
        rb_write_name(out, rng, node->names[i], node->kind == RB_TYPE);
        rb_blank(out, rng, false);
    }
    if (list) ag_str_add(out, "]");
}

static inline void rb_write_test(ag_str *out, ag_rng *rng, const rb_node *node)
{
    static const char *const ops[] = {"==", "!=", "in"};
    rb_blank(out, rng, node->op == 2);
    ag_str_add(out, ops[node->op]);
    rb_blank(out, rng, false);
    rb_write_names(out, rng, node, node->op == 2);
}

static inline void rb_write_leaf(ag_str *out, ag_rng *rng, const random_book *b, const rb_node *node)
{
    static const char *const functions[] = {
        [RB_ANY] = "any", [RB_ALL] = "all", [RB_COUNT] = "count", [RB_SHARE] = "share"};
    static const char *const compares[] = {">=", ">", "<=", "<", "==", "!="};
    if (node->kind == RB_TYPE || node->kind == RB_SINGLE) {
        ag_str_add(out, node->kind == RB_TYPE ? "query.type" : b->criterion[node->criterion].id);
        rb_write_test(out, rng, node);
        return;
    }
    ag_str_add(out, functions[node->kind]);
    rb_blank(out, rng, false);
    ag_str_add(out, "(");
    rb_blank(out, rng, false);
    rb_write_name(out, rng, b->criterion[node->criterion].id, false);
    for (int i = 0; i < node->selector_count; i++) {
        rb_blank(out, rng, false);
        ag_str_add(out, i ? "+" : ",");
        rb_blank(out, rng, false);
        rb_write_name(out, rng, node->selector[i], false);
    }
    if (node->kind == RB_COUNT || node->kind == RB_SHARE) {
        ag_str_add(out, ",");
        rb_write_names(out, rng, node, node->name_count > 1);
        ag_str_add(out, ")");
        rb_blank(out, rng, false);
        ag_str_add(out, compares[node->op]);
        rb_blank(out, rng, false);
        if (node->kind == RB_SHARE && ag_rng_below(rng, 3) == 0)
            ag_str_addf(out, "%g%%", node->bound * 100);
        else
            ag_str_addf(out, "%g", node->bound);
        return;
    }
    ag_str_add(out, ")");
    rb_write_test(out, rng, node);
}

/* Parentheses where precedence needs them, and now and then where it does not. */
static inline void rb_write(ag_str *out, ag_rng *rng, const random_book *b, const rb_node *node,
                            rb_kind above)
{
    bool leaf = node->kind > RB_NOT;
    bool paren = ag_rng_below(rng, 8) == 0 || (!leaf && above == RB_NOT && node->kind != RB_NOT) ||
                 (node->kind == RB_OR && above == RB_AND);
    if (paren) ag_str_add(out, "(");
    if (leaf) rb_write_leaf(out, rng, b, node);
    if (node->kind == RB_NOT) ag_str_add(out, "not ");
    for (int i = 0; i < node->children; i++) {
        if (i) {
            rb_blank(out, rng, true);
            ag_str_add(out, node->kind == RB_AND ? "and" : "or");
            rb_blank(out, rng, true);
        }
        rb_write(out, rng, b, node->child[i], node->kind);
    }
    if (paren) ag_str_add(out, ")");
}

/* A case in words. */
typedef struct rb_case {
    int entries, types;
    char name[8][RB_NAME], type[3][RB_NAME];
    bool core[8], negated[8];
    const char *verdict[RB_CRITERIA][8]; /* NULL: absent; single criteria use [0] */
} rb_case;

static inline bool rb_selected(const rb_node *node, const rb_case *k, int e)
{
    for (int i = 0; i < node->selector_count; i++) {
        const char *word = node->selector[i];
        bool fits = rb_word_is(word, "core")       ? k->core[e]
                    : rb_word_is(word, "minor")    ? !k->core[e]
                    : rb_word_is(word, "negated")  ? k->negated[e]
                    : rb_word_is(word, "asserted") ? !k->negated[e]
                                                   : rb_word_is(word, k->name[e]);
        if (!fits) return false;
    }
    return true;
}

static inline bool rb_listed(const rb_node *node, const char *word)
{
    for (int i = 0; i < node->name_count; i++)
        if (rb_word_is(node->names[i], word)) return true;
    return false;
}

static inline bool rb_test(const rb_node *node, const char *verdict)
{
    return verdict && (node->op == 1 ? !rb_listed(node, verdict) : rb_listed(node, verdict));
}

/* What the condition means, from the words alone. */
static inline bool rb_holds(const rb_node *node, const rb_case *k)
{
    int n = 0, met = 0;
    bool all = true, any = false;
    switch (node->kind) {
    case RB_AND:
        for (int i = 0; i < node->children; i++) all = rb_holds(node->child[i], k) && all;
        return all;
    case RB_OR:
        for (int i = 0; i < node->children; i++) any = rb_holds(node->child[i], k) || any;
        return any;
    case RB_NOT: return !rb_holds(node->child[0], k);
    case RB_SINGLE: return rb_test(node, k->verdict[node->criterion][0]);
    case RB_TYPE:
        for (int t = 0; t < k->types; t++) any = any || rb_listed(node, k->type[t]);
        return node->op == 1 ? !any : any;
    default: break;
    }
    for (int e = 0; e < k->entries; e++) {
        const char *verdict = k->verdict[node->criterion][e];
        if (!rb_selected(node, k, e)) continue;
        n++;
        if (node->kind == RB_ANY || node->kind == RB_ALL)
            met += rb_test(node, verdict);
        else
            met += verdict && rb_listed(node, verdict);
    }
    if (node->kind == RB_ANY) return met > 0;
    if (node->kind == RB_ALL) return met == n;
    double x = node->kind == RB_COUNT ? met : n > 0 ? (double)met / n : 0;
    switch (node->op) {
    case 0: return x >= node->bound;
    case 1: return x > node->bound;
    case 2: return x <= node->bound;
    case 3: return x < node->bound;
    case 4: return x == node->bound;
    default: return x != node->bound;
    }
}

static inline void rb_random_case(const random_book *b, ag_rng *rng, rb_case *k)
{
    memset(k, 0, sizeof(*k));
    k->entries = (int)ag_rng_below(rng, 7);
    k->types = (int)ag_rng_below(rng, 4);
    for (int t = 0; t < k->types; t++)
        snprintf(k->type[t], RB_NAME, "%s",
                 ag_rng_below(rng, 5) ? b->type[ag_rng_below(rng, (uint32_t)b->types)] : "plain");
    for (int e = 0; e < k->entries; e++) {
        uint32_t pick = ag_rng_below(rng, (uint32_t)b->attributes + 1);
        snprintf(k->name[e], RB_NAME, "%s", pick < (uint32_t)b->attributes ? b->attribute[pick] : "unlisted");
        k->core[e] = ag_rng_below(rng, 2) == 0;
        k->negated[e] = ag_rng_below(rng, 3) == 0;
    }
    for (int c = 0; c < b->criteria; c++)
        for (int e = 0; e < (b->criterion[c].per_asked ? k->entries : 1); e++)
            if (ag_rng_below(rng, 12) > 0)
                k->verdict[c][e] =
                    b->criterion[c].verdicts[ag_rng_below(rng, (uint32_t)b->criterion[c].count)];
}

/* The case as the library takes it; pointers go into *k. */
static inline void rb_case_structs(const random_book *b, const rb_case *k, const ag_book *book,
                                   ag_ask *entries, ag_asked *asked, ag_verdicts *verdicts)
{
    *asked = (ag_asked){
        .source = AG_ASKED_GIVEN, .entries = entries, .count = k->entries, .type_count = k->types};
    for (int t = 0; t < k->types; t++) asked->types[t] = k->type[t];
    for (int e = 0; e < k->entries; e++)
        entries[e] = (ag_ask){
            .id = k->name[e], .name = k->name[e], .core = k->core[e], .negated = k->negated[e]};
    ag_verdicts_clear(verdicts);
    for (int c = 0; c < b->criteria; c++)
        for (int e = 0; e < 8; e++)
            if (k->verdict[c][e])
                verdicts->v[c][e] = (int8_t)ag_criterion_verdict(&book->criteria[c], k->verdict[c][e]);
}

#endif
