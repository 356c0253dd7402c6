/* ranking.c: the measures of a ranking, their table and their names. */
#include "eval/ranking.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

/* --- orders --------------------------------------------------------------------------------------------- */

/* What the field's tools do with equal scores differs, and numbers are only comparable with the tool's own order. */

static int by_score(double a, double b)
{
    return (a < b) - (a > b);
}

/* trec_eval, as pytrec_eval has it: scores are single precision; equal ones by document id, the last first. */
static int trec_order(const void *pa, const void *pb)
{
    const ag_ranked *a = pa, *b = pb;
    int order = by_score((float)a->score, (float)b->score);
    return order ? order : strcmp(b->id, a->id);
}

/* gdeval: the same with scores in double precision. */
static int gdeval_order(const void *pa, const void *pb)
{
    const ag_ranked *a = pa, *b = pb;
    int order = by_score(a->score, b->score);
    return order ? order : strcmp(b->id, a->id);
}

/* What ir_measures itself does for RR@k and Judged@k: the first document id first. */
static int first_order(const void *pa, const void *pb)
{
    const ag_ranked *a = pa, *b = pb;
    int order = by_score(a->score, b->score);
    return order ? order : strcmp(a->id, b->id);
}

/* --- measures ------------------------------------------------------------------------------------------- */

static size_t depth(const ag_ranking *r, const ag_rank_measure *m)
{
    return r->count < m->cut ? r->count : m->cut;
}

/* Relevant documents among the ranks that count. */
static double hits(const ag_ranking *r, const ag_rank_measure *m)
{
    size_t n = 0;
    for (size_t i = 0; i < depth(r, m); i++) n += r->docs[i].grade >= m->rel;
    return (double)n;
}

/* All relevant documents of the query, returned or not. */
static double relevant(const ag_ranking *r, const ag_rank_measure *m)
{
    size_t n = 0;
    while (n < r->judged && r->grades[n] >= m->rel) n++;
    return (double)n;
}

/* Precision: k is the denominator even where fewer documents were returned. */
static double precision(const ag_ranking *r, const ag_rank_measure *m)
{
    return hits(r, m) / (double)m->cut;
}

static double recall(const ag_ranking *r, const ag_rank_measure *m)
{
    double all = relevant(r, m);
    return all > 0 ? hits(r, m) / all : 0;
}

static double success(const ag_ranking *r, const ag_rank_measure *m)
{
    return hits(r, m) > 0;
}

/* Average precision: the precision at each relevant document, over all relevant documents, also those behind rank k. */
static double average_precision(const ag_ranking *r, const ag_rank_measure *m)
{
    double all = relevant(r, m), found = 0, sum = 0;
    for (size_t i = 0; i < depth(r, m); i++)
        if (r->docs[i].grade >= m->rel) sum += ++found / (double)(i + 1);
    return all > 0 ? sum / all : 0;
}

static double reciprocal_rank(const ag_ranking *r, const ag_rank_measure *m)
{
    for (size_t i = 0; i < depth(r, m); i++)
        if (r->docs[i].grade >= m->rel) return 1.0 / (double)(i + 1);
    return 0;
}

/* NDCG (Jarvelin and Kekalainen 2002): the grade is the gain; the ideal order is that of all judged documents, cut alike. */
static double ndcg(const ag_ranking *r, const ag_rank_measure *m)
{
    double dcg = 0, ideal = 0;
    for (size_t i = 0; i < depth(r, m); i++) dcg += r->docs[i].grade / log2((double)i + 2);
    for (size_t i = 0; i < r->judged && i < m->cut && r->grades[i] > 0; i++)
        ideal += r->grades[i] / log2((double)i + 2);
    return ideal > 0 ? dcg / ideal : 0;
}

enum { ERR_MAX_GRADE = 4 };

/* Expected reciprocal rank (Chapelle et al. 2009): a reader stops at a document with a chance that grows with its grade. */
static double expected_reciprocal_rank(const ag_ranking *r, const ag_rank_measure *m)
{
    double sum = 0, going_on = 1;
    for (size_t i = 0; i < depth(r, m); i++) {
        double stops = (exp2(r->docs[i].grade) - 1) / exp2(ERR_MAX_GRADE);
        sum += going_on * stops / (double)(i + 1);
        going_on *= 1 - stops;
    }
    return sum;
}

/* Share of what was returned, up to rank k, that somebody judged. */
static double judged(const ag_ranking *r, const ag_rank_measure *m)
{
    size_t n = 0;
    for (size_t i = 0; i < depth(r, m); i++) n += r->docs[i].judged;
    return r->count ? (double)n / (double)depth(r, m) : 0;
}

const ag_rank_kind ag_rank_kinds[] = {
    {"nDCG", "NDCG", "gain of the ranking over that of the best one; the grade is the gain", AG_CUT_MAY,
     false, 0, trec_order, ndcg},
    {"P", "Precision", "share of the first k that is relevant", AG_CUT_MUST, true, 0, trec_order, precision},
    {"R", "Recall", "share of the relevant documents that is among the first k", AG_CUT_MUST, true, 0,
     trec_order, recall},
    {"AP", "MAP", "mean precision at the relevant documents", AG_CUT_MAY, true, 0, trec_order,
     average_precision},
    {"RR", "MRR", "one over the rank of the first relevant document", AG_CUT_NONE, true, 0, trec_order,
     reciprocal_rank},
    {"RR", "MRR", "the same, 0 where that is behind rank k", AG_CUT_MUST, true, 0, first_order,
     reciprocal_rank},
    {"ERR", NULL, "expected reciprocal rank, for grades 0 to 4", AG_CUT_MUST, false, ERR_MAX_GRADE,
     gdeval_order, expected_reciprocal_rank},
    {"Success", NULL, "1 where a relevant document is among the first k", AG_CUT_MUST, true, 0, trec_order,
     success},
    {"Judged", NULL, "share of the returned documents that was judged", AG_CUT_MAY, false, 0, first_order,
     judged},
    {0},
};

/* --- names ---------------------------------------------------------------------------------------------- */

/* A whole number of 1 to 999,999,999; returns what follows it, or NULL. */
static const char *read_count(const char *at, long *count)
{
    size_t digits = strspn(at, "0123456789");
    *count = 0;
    if (digits == 0 || digits > 9) return NULL;
    for (size_t i = 0; i < digits; i++) *count = *count * 10 + (at[i] - '0');
    return *count > 0 ? at + digits : NULL;
}

/* What follows a name: "(rel=2)", "@10", both or nothing. A number that is not there is 0. */
static bool read_parameters(const char *at, long *rel, long *cut)
{
    static const char open[] = "(rel=";
    *rel = *cut = 0;
    if (*at == '(') {
        if (strncmp(at, open, strlen(open)) != 0) return false;
        at = read_count(at + strlen(open), rel);
        if (!at || *at++ != ')') return false;
    }
    if (*at == '@' && !(at = read_count(at + 1, cut))) return false;
    return *at == '\0';
}

static ag_status unknown_name(const char *name, ag_error *err)
{
    const char *names[32];
    size_t n = 0;
    ag_str known = {0};
    for (const ag_rank_kind *kind = ag_rank_kinds; kind->name; kind++) {
        if (n && ag_streq(kind->name, kind[-1].name)) continue;
        ag_str_addf(&known, "%s%s", n ? ", " : "", kind->name);
        names[n++] = kind->name;
        if (kind->alias) names[n++] = kind->alias;
    }
    ag_status status = ag_fail(err, AG_ERR_USAGE, "unknown measure '%s' (known: %s)%s", name,
                               ag_str_text(&known), ag_suggest(name, names, n).text);
    ag_str_free(&known);
    return status;
}

/* The row of a name in any case, with @k or without. */
static ag_status find_kind(const ag_rank_kind **found, const char *name, bool cut, ag_error *err)
{
    bool known = false;
    for (const ag_rank_kind *kind = ag_rank_kinds; kind->name; kind++) {
        if (strcasecmp(kind->name, name) != 0 && (!kind->alias || strcasecmp(kind->alias, name) != 0))
            continue;
        known = true;
        *found = kind;
        if (kind->cut != (cut ? AG_CUT_NONE : AG_CUT_MUST)) return AG_OK;
    }
    if (!known) return unknown_name(name, err);
    return ag_fail(err, AG_ERR_USAGE, "measure '%s' needs a rank: %s@10", name, (*found)->name);
}

static ag_status parse_one(ag_rank_measure *m, const char *text, size_t n, ag_error *err)
{
    char word[48], name[48];
    long rel, cut;
    if (n >= sizeof word)
        return ag_fail(err, AG_ERR_USAGE, "'%.*s...' is too long for a measure", (int)sizeof word - 1, text);
    memcpy(word, text, n);
    word[n] = '\0';
    size_t length = strcspn(word, "(@");
    memcpy(name, word, length);
    name[length] = '\0';
    if (!read_parameters(word + length, &rel, &cut))
        return ag_fail(err, AG_ERR_USAGE,
                       "measure '%s': must look like P, P@10 or P(rel=2)@10, with numbers of at least 1",
                       word);
    *m = (ag_rank_measure){.cut = cut ? (size_t)cut : SIZE_MAX, .rel = rel ? (double)rel : 1};
    AG_TRY(find_kind(&m->kind, name, cut > 0, err));
    if (rel && !m->kind->rel)
        return ag_fail(err, AG_ERR_USAGE, "measure '%s': %s takes no rel", word, m->kind->name);
    size_t at = (size_t)snprintf(m->name, sizeof m->name, "%s", m->kind->name);
    if (rel > 1) at += (size_t)snprintf(m->name + at, sizeof m->name - at, "(rel=%ld)", rel);
    if (cut) snprintf(m->name + at, sizeof m->name - at, "@%ld", cut);
    return AG_OK;
}

void ag_rank_measures_help(ag_str *out)
{
    for (const ag_rank_kind *kind = ag_rank_kinds; kind->name; kind++) {
        static const char *const cuts[] = {[AG_CUT_NONE] = "", [AG_CUT_MAY] = "[@k]", [AG_CUT_MUST] = "@k"};
        ag_str_addf(out, "\n%s%s%s: %s", kind->name, kind->rel ? "[(rel=N)]" : "", cuts[kind->cut],
                    kind->help);
    }
}

ag_status ag_rank_measures_parse(ag_rank_measure **measures, size_t *count, const char *list, ag_error *err)
{
    static const char between[] = ", \t";
    size_t capacity = 0;
    ag_status status = AG_OK;
    *measures = NULL;
    *count = 0;
    for (const char *at = list + strspn(list, between); *at && !status; at += strspn(at, between)) {
        size_t n = strcspn(at, between), same = 0;
        if (!ag_grow(measures, &capacity, *count + 1, sizeof **measures)) {
            status = ag_fail_memory(err, "measures");
            break;
        }
        ag_rank_measure *m = &(*measures)[*count];
        status = parse_one(m, at, n, err);
        while (!status && same < *count && strcmp((*measures)[same].name, m->name) != 0) same++;
        if (!status && same == *count) ++*count;
        at += n;
    }
    if (!status && *count == 0)
        status = ag_fail(err, AG_ERR_USAGE, "no measure is named: for example AP,P@10");
    if (status) {
        ag_free(*measures);
        *measures = NULL;
    }
    return status;
}
