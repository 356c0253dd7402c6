/* log.c: queries, rankings, checks and items of a side-by-side study, read line by line; see log.h. */
#include "sxs/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "eval/trec.h"

enum { TYPES = 64 };

/* --- lines ---------------------------------------------------------------------------------------------- */

typedef struct line {
    json_t *json;
    char where[512];
} line;

typedef ag_status (*line_visit)(ag_sxs_log *log, const line *l, int system, ag_error *err);

static ag_status each_line(ag_sxs_log *log, const char *path, line_visit visit, int system, ag_error *err)
{
    ag_lines *lines = NULL;
    char *text;
    size_t len;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && (status = ag_lines_next(lines, &text, &len, err)) == AG_OK && text) {
        line l = {.json = NULL};
        long number = ag_lines_number(lines);
        if (text[strspn(text, " \t\r")] == '\0') continue;
        snprintf(l.where, sizeof l.where, "%.400s:%ld", ag_lines_path(lines), number);
        status = ag_json_parse(&l.json, text, len, ag_lines_path(lines), number, err);
        if (status == AG_OK && !json_is_object(l.json))
            status = ag_fail(err, AG_ERR_INPUT, "%s: must be an object", l.where);
        if (status == AG_OK) status = visit(log, &l, system, err);
        json_decref(l.json);
    }
    ag_lines_close(lines);
    return status;
}

static const char *keep(ag_sxs_log *log, const char *text)
{
    return ag_arena_strdup(&log->texts, text);
}

/* A list of ids, or of objects with one: the first k, each once. */
static ag_status read_list(ag_sxs_list *list, ag_sxs_log *log, const json_t *json, const char *where,
                           const char *key, ag_error *err)
{
    size_t i;
    json_t *one;
    if (!json_is_array(json))
        return ag_fail(err, AG_ERR_INPUT, "%s: '%s' must be a list of item ids, best first", where, key);
    list->ids = ag_arena_alloc(&log->texts, (size_t)log->k, sizeof *list->ids);
    if (!list->ids) return ag_fail_memory(err, "rankings");
    json_array_foreach(json, i, one)
    {
        const char *id = json_string_value(json_is_object(one) ? json_object_get(one, "id") : one);
        if (!id || !*id)
            return ag_fail(err, AG_ERR_INPUT, "%s: %s: result %zu must be an id or {\"id\": \"...\"}", where,
                           key, i + 1);
        if (list->count == log->k) continue;
        for (int k = 0; k < list->count; k++)
            if (strcmp(list->ids[k], id) == 0)
                return ag_fail(err, AG_ERR_INPUT, "%s: %s: '%.80s' twice: keep one of the two", where, key,
                               id);
        if (!(list->ids[list->count++] = keep(log, id))) return ag_fail_memory(err, "rankings");
    }
    return AG_OK;
}

/* --- queries -------------------------------------------------------------------------------------------- */

static ag_status read_types(ag_sxs_log_query *q, ag_sxs_log *log, const line *l, ag_error *err)
{
    const json_t *type = json_object_get(l->json, "type");
    size_t n = json_is_array(type) ? json_array_size(type) : json_is_string(type) ? 1 : 0;
    if (type && !json_is_null(type) && !json_is_array(type) && !json_is_string(type))
        return ag_fail(err, AG_ERR_INPUT, "%s: 'type' must be a name or a list of names", l->where);
    if (n > AG_MAX_TYPES) return ag_fail(err, AG_ERR_INPUT, "%s: more than %d types", l->where, AG_MAX_TYPES);
    q->types = ag_arena_alloc(&log->texts, n + 1, sizeof *q->types);
    if (!q->types) return ag_fail_memory(err, "queries");
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_is_array(type) ? json_array_get(type, i) : type);
        size_t t = 0;
        if (!name || !*name) return ag_fail(err, AG_ERR_INPUT, "%s: a type must be a name", l->where);
        while (t < log->type_count && strcmp(log->types[t], name) != 0) t++;
        if (t == TYPES)
            return ag_fail(err, AG_ERR_INPUT, "%s: type '%.80s' is one too many: at most %d types", l->where,
                           name, TYPES);
        if (t == log->type_count && !(log->types[log->type_count++] = keep(log, name)))
            return ag_fail_memory(err, "queries");
        bool again = false;
        for (int k = 0; k < q->type_count; k++) again = again || q->types[k] == log->types[t];
        if (!again) q->types[q->type_count++] = log->types[t];
    }
    return AG_OK;
}

static ag_status read_query(ag_sxs_log *log, const line *l, int system, ag_error *err)
{
    ag_sxs_log_query q = {.traffic = 1};
    uint32_t at = (uint32_t)log->count;
    (void)system;
    AG_TRY(ag_json_get_string(l->json, "query", &q.text, l->where, err));
    if (!q.text || !q.text[strspn(q.text, " \t\r\n")])
        return ag_fail(err, AG_ERR_INPUT, "%s: 'query' must be the query's text", l->where);
    q.id = q.text;
    AG_TRY(ag_json_get_string(l->json, "id", &q.id, l->where, err));
    AG_TRY(ag_json_get_string(l->json, "stratum", &q.stratum, l->where, err));
    AG_TRY(ag_json_get_double(l->json, "traffic", &q.traffic, l->where, err));
    if (!(q.traffic > 0) || q.traffic > 1e15)
        return ag_fail(err, AG_ERR_INPUT, "%s: 'traffic' must be above 0, and at most 1e15", l->where);
    AG_TRY(read_types(&q, log, l, err));
    if (at == UINT32_MAX || !ag_grow(&log->queries, &log->capacity, log->count + 1, sizeof q))
        return ag_fail_memory(err, "queries");
    int added = ag_table_add(&log->ids, ag_table_key(q.id, strlen(q.id)), &at);
    if (added == 0)
        return ag_fail(err, AG_ERR_INPUT, "%s: query '%.80s' is there already: keep one of the two", l->where,
                       q.id);
    q.id = keep(log, q.id);
    q.text = keep(log, q.text);
    if (q.stratum) q.stratum = keep(log, q.stratum);
    if (added < 0 || !q.id || !q.text) return ag_fail_memory(err, "queries");
    log->queries[log->count++] = q;
    return AG_OK;
}

typedef struct ranked_query {
    double traffic;
    size_t at;
} ranked_query;

static int most_traffic(const void *pa, const void *pb)
{
    const ranked_query *a = pa, *b = pb;
    if (a->traffic != b->traffic) return a->traffic > b->traffic ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* Head, torso and tail: a query belongs where the middle of its traffic lies. */
static ag_status cut_by_traffic(ag_sxs_log *log, ag_error *err)
{
    static const char *const names[] = {"head", "torso", "tail"};
    ranked_query *order = ag_calloc(log->count, sizeof *order);
    double all = 0, before = 0;
    if (!order) return ag_fail_memory(err, "queries");
    for (size_t i = 0; i < log->count; i++) {
        order[i] = (ranked_query){log->queries[i].traffic, i};
        all += log->queries[i].traffic;
    }
    qsort(order, log->count, sizeof *order, most_traffic);
    bool flat = order[0].traffic == order[log->count - 1].traffic;
    for (size_t i = 0; i < log->count; i++) {
        double middle = (before + order[i].traffic / 2) / all;
        int third = middle < 1 / 3.0 ? 0 : middle < 2 / 3.0 ? 1 : 2;
        log->queries[order[i].at].stratum = flat ? "all" : names[third];
        before += order[i].traffic;
    }
    ag_free(order);
    return AG_OK;
}

static ag_status set_strata(ag_sxs_log *log, const char *path, ag_error *err)
{
    size_t named = 0;
    for (size_t i = 0; i < log->count; i++) named += log->queries[i].stratum != NULL;
    if (named == 0) AG_TRY(cut_by_traffic(log, err));
    for (size_t i = 0; i < log->count; i++) {
        const char *name = log->queries[i].stratum;
        size_t h = 0;
        if (!name)
            return ag_fail(err, AG_ERR_INPUT,
                           "%s: query '%.80s' has no 'stratum', but others have one: give all or none", path,
                           log->queries[i].id);
        while (h < log->strata_count && strcmp(log->strata[h], name) != 0) h++;
        if (h == AG_SXS_STRATA)
            return ag_fail(err, AG_ERR_INPUT, "%s: more than %d strata", path, AG_SXS_STRATA);
        if (h == log->strata_count) log->strata[log->strata_count++] = name;
        log->units[i].stratum = (uint32_t)h;
        log->units[i].traffic = log->queries[i].traffic;
    }
    return AG_OK;
}

/* --- rankings ------------------------------------------------------------------------------------------- */

static ag_status read_ranking(ag_sxs_log *log, const line *l, int system, ag_error *err)
{
    const char *id = NULL;
    AG_TRY(ag_json_get_string(l->json, "query", &id, l->where, err));
    if (!id) return ag_fail(err, AG_ERR_INPUT, "%s: 'query' must be the id of a query", l->where);
    int64_t at = ag_table_find(&log->ids, ag_table_key(id, strlen(id)));
    ag_sxs_list unused = {NULL, 0}, *list = at < 0 ? &unused : &log->queries[at].lists[system];
    if (list->ids)
        return ag_fail(err, AG_ERR_INPUT, "%s: query '%.80s' is there already: keep one of the two", l->where,
                       id);
    log->unknown[system] += at < 0;
    return read_list(list, log, json_object_get(l->json, "list"), l->where, "list", err);
}

static int best_first(const void *pa, const void *pb)
{
    const ag_trec_doc *a = pa, *b = pb;
    if (a->value != b->value) return a->value > b->value ? -1 : 1;
    return (a->line > b->line) - (a->line < b->line);
}

static ag_status read_run(ag_sxs_log *log, const char *path, int system, ag_error *err)
{
    ag_trec run = {.path = NULL};
    ag_status status = ag_trec_load_run(&run, path, err);
    for (size_t q = 0; q < run.count && status == AG_OK; q++) {
        ag_trec_query *query = &run.queries[q];
        int64_t at = ag_table_find(&log->ids, ag_table_key(query->id, strlen(query->id)));
        log->unknown[system] += at < 0;
        if (at < 0) continue;
        ag_sxs_list *list = &log->queries[at].lists[system];
        qsort(query->docs, query->count, sizeof *query->docs, best_first);
        list->ids = ag_arena_alloc(&log->texts, (size_t)log->k, sizeof *list->ids);
        for (size_t d = 0; d < query->count && d < (size_t)log->k && list->ids; d++)
            if (!(list->ids[list->count++] = keep(log, query->docs[d].id))) list->ids = NULL;
        if (!list->ids) status = ag_fail_memory(err, "rankings");
    }
    ag_trec_free(&run);
    return status;
}

/* Does the first line with anything in it begin an object? */
static ag_status is_jsonl(bool *json, const char *path, ag_error *err)
{
    ag_lines *lines = NULL;
    char *text;
    size_t len;
    ag_status status = ag_lines_open(&lines, path, err);
    *json = false;
    while (status == AG_OK && (status = ag_lines_next(lines, &text, &len, err)) == AG_OK && text) {
        const char *first = text + strspn(text, " \t\r");
        if (!*first) continue;
        *json = *first == '{';
        break;
    }
    ag_lines_close(lines);
    return status;
}

static bool equal(const ag_sxs_list *a, const ag_sxs_list *b)
{
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++)
        if (strcmp(a->ids[i], b->ids[i]) != 0) return false;
    return true;
}

ag_status ag_sxs_log_load(ag_sxs_log *log, const char *queries, const char *const runs[AG_SXS_SYSTEMS], int k,
                          ag_error *err)
{
    *log = (ag_sxs_log){.texts = {.name = "side-by-side log"}, .k = k};
    for (int s = 0; s < AG_SXS_SYSTEMS; s++)
        if (strcmp(runs[s], "-") == 0 || strcmp(queries, "-") == 0)
            return ag_fail(err, AG_ERR_USAGE, "queries and rankings must be files, not standard input");
    AG_TRY(each_line(log, queries, read_query, 0, err));
    if (log->count == 0) return ag_fail(err, AG_ERR_INPUT, "%s: empty: no query", queries);
    if (!(log->units = ag_calloc(log->count, sizeof *log->units))) return ag_fail_memory(err, "queries");
    AG_TRY(set_strata(log, queries, err));
    for (int s = 0; s < AG_SXS_SYSTEMS; s++) {
        bool json;
        AG_TRY(is_jsonl(&json, runs[s], err));
        AG_TRY(json ? each_line(log, runs[s], read_ranking, s, err) : read_run(log, runs[s], s, err));
        for (size_t i = 0; i < log->count; i++) log->missing[s] += log->queries[i].lists[s].ids == NULL;
        if (log->missing[s] == log->count)
            return ag_fail(err, AG_ERR_INPUT, "%s: none of its queries is in %s: do their ids agree?",
                           runs[s], queries);
    }
    for (size_t i = 0; i < log->count; i++)
        log->units[i].same = equal(&log->queries[i].lists[AG_SXS_OLD], &log->queries[i].lists[AG_SXS_NEW]);
    return AG_OK;
}

static ag_status read_check(ag_sxs_log *log, const line *l, int system, ag_error *err)
{
    ag_sxs_check_query c = {.text = NULL};
    (void)system;
    AG_TRY(ag_json_get_string(l->json, "query", &c.text, l->where, err));
    if (!c.text || !c.text[strspn(c.text, " \t\r\n")])
        return ag_fail(err, AG_ERR_INPUT, "%s: 'query' must be the query's text", l->where);
    AG_TRY(read_list(&c.lists[AG_SXS_NEW], log, json_object_get(l->json, "better"), l->where, "better", err));
    AG_TRY(read_list(&c.lists[AG_SXS_OLD], log, json_object_get(l->json, "worse"), l->where, "worse", err));
    if (equal(&c.lists[0], &c.lists[1]))
        return ag_fail(err, AG_ERR_INPUT, "%s: 'better' and 'worse' are the same list", l->where);
    if (!ag_grow(&log->checks, &log->check_capacity, log->check_count + 1, sizeof c) ||
        !(c.text = keep(log, c.text)))
        return ag_fail_memory(err, "checks");
    log->checks[log->check_count++] = c;
    return AG_OK;
}

ag_status ag_sxs_log_checks(ag_sxs_log *log, const char *path, ag_error *err)
{
    AG_TRY(each_line(log, path, read_check, 0, err));
    return log->check_count ? AG_OK : ag_fail(err, AG_ERR_INPUT, "%s: empty: no check", path);
}

void ag_sxs_log_free(ag_sxs_log *log)
{
    for (size_t i = 0; i < log->wanted_count; i++) {
        if (log->items) ag_free(log->items[i]);
        if (log->views) ag_free(log->views[i]);
    }
    ag_free(log->items);
    ag_free(log->views);
    ag_free(log->wanted);
    ag_free(log->checks);
    ag_free(log->units);
    ag_free(log->queries);
    ag_table_free(&log->ids);
    ag_table_free(&log->shown);
    ag_arena_free(&log->texts);
    *log = (ag_sxs_log){.k = 0};
}

/* --- items ---------------------------------------------------------------------------------------------- */

ag_status ag_sxs_log_want(ag_sxs_log *log, const ag_sxs_list *list, ag_error *err)
{
    for (int i = 0; i < list->count; i++) {
        uint32_t at = (uint32_t)log->wanted_count;
        if (!ag_grow(&log->wanted, &log->wanted_capacity, log->wanted_count + 1, sizeof *log->wanted))
            return ag_fail_memory(err, "items");
        int added = ag_table_add(&log->shown, ag_table_key(list->ids[i], strlen(list->ids[i])), &at);
        if (added < 0) return ag_fail_memory(err, "items");
        if (added) log->wanted[log->wanted_count++] = list->ids[i];
    }
    return AG_OK;
}

/* A member of an item, or of its attributes, under the first of several names. */
static json_t *member(const json_t *item, const char *const *names)
{
    const json_t *attributes = json_object_get(item, "attributes");
    for (; *names; names++) {
        json_t *value = json_object_get(item, *names);
        if (!value) value = json_object_get(attributes, *names);
        if (json_is_array(value)) value = json_array_get(value, 0);
        if (json_is_string(value) || json_is_number(value) || json_is_boolean(value)) return value;
    }
    return NULL;
}

/* What a judge sees of an item, and the names that catalogues have for it. */
static const struct {
    const char *as;
    const char *const names[8];
} shown[] = {
    {"title", {"title", NULL}},
    {"brand", {"brand", NULL}},
    {"price", {"price", NULL}},
    {"currency", {"currency", "price_currency", NULL}},
    {"stock", {"stock", "availability", "in_stock", "inventory", NULL}},
    {"image", {"image", "image_url", "img", "picture", NULL}},
    {"category", {"category", NULL}},
    {"description", {"description", NULL}},
};

/* JSON as text that the caller frees. */
static ag_status dump(char **out, const json_t *json, ag_error *err)
{
    ag_str text = {0};
    ag_status status = ag_json_dump(&text, json, err);
    if (status == AG_OK && !(*out = ag_str_take(&text))) status = ag_fail_memory(err, "items");
    ag_str_free(&text);
    return status;
}

static ag_status visit_item(void *context, const json_t *item, const char *path, long number, ag_error *err)
{
    ag_sxs_log *log = context;
    const char *id = json_string_value(json_object_get(item, "id"));
    int64_t at = id ? ag_table_find(&log->shown, ag_table_key(id, strlen(id))) : -1;
    (void)path;
    (void)number;
    if (at < 0 || log->items[at]) return AG_OK; /* the first of an id counts, as everywhere */
    if (json_string_length(json_object_get(item, "title")) == 0) return AG_OK;
    json_t *view = json_object();
    for (size_t i = 0; i < sizeof shown / sizeof *shown && view; i++) {
        json_t *value = member(item, shown[i].names);
        if (!value || json_object_set(view, shown[i].as, value) == 0) continue;
        json_decref(view);
        view = NULL;
    }
    ag_status status = view ? dump(&log->views[at], view, err) : ag_fail_memory(err, "items");
    if (status == AG_OK) status = dump(&log->items[at], item, err);
    json_decref(view);
    return status;
}

ag_status ag_sxs_log_items(ag_sxs_log *log, const ag_catalogue_file *catalogue, ag_error *err)
{
    size_t missing = 0, first = 0;
    log->items = ag_calloc(log->wanted_count, sizeof *log->items);
    log->views = ag_calloc(log->wanted_count, sizeof *log->views);
    if (!log->items || !log->views) return ag_fail_memory(err, "items");
    AG_TRY(ag_catalogue_scan(catalogue, visit_item, log, err));
    for (size_t i = log->wanted_count; i-- > 0;) {
        if (log->items[i]) continue;
        missing++;
        first = i;
    }
    if (missing)
        return ag_fail(
            err, AG_ERR_INPUT,
            "%s: %zu of the %zu items to be shown are not in it, or have no title (the first: '%.80s')",
            catalogue->path, missing, log->wanted_count, log->wanted[first]);
    return AG_OK;
}
