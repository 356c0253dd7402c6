/* trec.c: lines gathered by query, then sorted by document, so that doubles lie side by side and a run meets its qrels in one merge. */
#include "eval/trec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* Past it neighbouring whole numbers and their gains are no longer distinct. */
static const double max_grade = 1e9;

/* The query of a line, made when it is new. NULL when out of memory. */
static ag_trec_query *query_of(ag_trec *trec, const char *id)
{
    ag_trec_query *last = trec->count ? &trec->queries[trec->count - 1] : NULL;
    if (last && strcmp(last->id, id) == 0) return last; /* files come sorted by query */
    uint32_t at = (uint32_t)trec->count;
    if (trec->count >= UINT32_MAX) return NULL;
    if (!ag_grow(&trec->queries, &trec->capacity, trec->count + 1, sizeof *trec->queries)) return NULL;
    char *copy = ag_arena_strdup(&trec->texts, id);
    int added = copy ? ag_table_add(&trec->index, ag_table_key(id, strlen(id)), &at) : -1;
    if (added < 0) return NULL;
    if (added) trec->queries[trec->count++] = (ag_trec_query){.id = copy};
    return &trec->queries[at];
}

static ag_status add(void *context, const ag_trec_line *line, ag_error *err)
{
    ag_trec *trec = context;
    if (!trec->path) trec->path = ag_arena_strdup(&trec->texts, line->path);
    ag_trec_query *query = trec->path ? query_of(trec, line->query) : NULL;
    char *id = query ? ag_arena_strdup(&trec->texts, line->doc) : NULL;
    if (!id || !ag_grow(&query->docs, &query->capacity, query->count + 1, sizeof *query->docs))
        return ag_fail_memory(err, "documents of TREC files");
    query->docs[query->count++] = (ag_trec_doc){id, line->number, line->line};
    return AG_OK;
}

static ag_status add_grade(void *context, const ag_trec_line *line, ag_error *err)
{
    if (line->number != trunc(line->number) || fabs(line->number) > max_grade)
        return ag_fail(err, AG_ERR_INPUT, "%s:%ld: relevance %g: grades are whole numbers up to %g",
                       line->path, line->line, line->number, max_grade);
    return add(context, line, err);
}

static int by_id(const void *pa, const void *pb)
{
    const ag_trec_doc *a = pa, *b = pb;
    int order = strcmp(a->id, b->id);
    return order ? order : (a->line > b->line) - (a->line < b->line);
}

static ag_status sort_docs(const ag_trec *trec, ag_trec_query *query, ag_error *err)
{
    ag_trec_doc *docs = query->docs;
    qsort(docs, query->count, sizeof *docs, by_id);
    for (size_t i = 1; i < query->count; i++)
        if (strcmp(docs[i].id, docs[i - 1].id) == 0)
            return ag_fail(err, AG_ERR_INPUT,
                           "%s:%ld: document '%s' of query '%s' is in line %ld already: keep one of the two",
                           trec->path, docs[i].line, docs[i].id, query->id, docs[i - 1].line);
    return AG_OK;
}

static ag_status load(ag_trec *trec, const char *path, const ag_trec_format *format, ag_trec_visit visit,
                      ag_error *err)
{
    *trec = (ag_trec){.texts = {.name = "TREC files"}};
    AG_TRY(ag_trec_scan(path, format, visit, trec, err));
    if (trec->count == 0) return ag_fail(err, AG_ERR_INPUT, "%s: empty: no line %s", path, format->form);
    for (size_t q = 0; q < trec->count; q++) AG_TRY(sort_docs(trec, &trec->queries[q], err));
    return AG_OK;
}

ag_status ag_trec_load_qrels(ag_trec *qrels, const char *path, ag_error *err)
{
    return load(qrels, path, &ag_trec_qrels, add_grade, err);
}

ag_status ag_trec_load_run(ag_trec *run, const char *path, ag_error *err)
{
    return load(run, path, &ag_trec_run, add, err);
}

void ag_trec_free(ag_trec *trec)
{
    for (size_t q = 0; q < trec->count; q++) ag_free(trec->queries[q].docs);
    ag_free(trec->queries);
    ag_table_free(&trec->index);
    ag_arena_free(&trec->texts);
    *trec = (ag_trec){0};
}

const ag_trec_query *ag_trec_find(const ag_trec *trec, const char *query)
{
    int64_t at = ag_table_find(&trec->index, ag_table_key(query, strlen(query)));
    return at < 0 ? NULL : &trec->queries[at];
}
