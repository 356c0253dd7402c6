/* api_info.c: what the service tells about itself: models, health, metrics, the rulebook, the catalogue, its files. */
#include "serve/service.h"

#include <stdlib.h>
#include <string.h>

static json_t *model_json(const ag_service *s)
{
    return json_pack("{s:s, s:s, s:I, s:s}", "id", s->options.model, "object", "model", "created",
                     (json_int_t)s->created, "owned_by", "agrl");
}

void ag_serve_models(void *user, const ag_http_request *q, ag_http_response *r)
{
    (void)q;
    ag_service_answer(r, json_pack("{s:s, s:[o]}", "object", "list", "data", model_json(user)));
}

void ag_serve_model(void *user, const ag_http_request *q, ag_http_response *r)
{
    ag_service *s = user;
    if (strcmp(q->rest, s->options.model) == 0)
        ag_service_answer(r, model_json(s));
    else
        ag_http_fail(r, 404, "model", "model_not_found",
                     "there is no model '%.100s' here; this server has '%s'", q->rest, s->options.model);
}

void ag_serve_health(void *user, const ag_http_request *q, ag_http_response *r)
{
    ag_service *s = user;
    (void)q;
    if (ag_service_check(s, r)) ag_service_answer(r, json_pack("{s:s}", "status", "ok"));
}

void ag_serve_metrics(void *user, const ag_http_request *q, ag_http_response *r)
{
    ag_service *s = user;
    ag_engine_stats stats;
    (void)q;
    bool ready = atomic_load(&s->ready);
    ag_http *http = atomic_load(&s->http);
    if (ready) stats = ag_engine_stats_now(s->engine);
    r->content_type = "text/plain; version=0.0.4; charset=utf-8";
    ag_counters_write(s->counters, ready ? &stats : NULL, http ? ag_http_connections(http) : 0, &r->text);
}

void ag_serve_file(void *user, const ag_http_request *q, ag_http_response *r)
{
    const ag_page_file *file = user;
    (void)q;
    r->content_type = file->type;
    r->fixed = file->bytes;
    r->fixed_len = (size_t)(file->end - file->bytes);
    ag_http_add_header(r, "Cache-Control", "no-cache");
}

/* --- the rulebook ------------------------------------------------------------------------------------------------ */

/* Appends a new reference; false when there is no memory for it or for the list. */
static bool append(json_t *list, json_t *value)
{
    return list ? json_array_append_new(list, value) == 0 : (json_decref(value), false);
}

static json_t *tiers_json(const ag_book *b)
{
    json_t *list = json_array();
    for (int t = 0; t < b->tier_count; t++)
        if (!append(list, json_pack("{s:s, s:s, s:f, s:b}", "id", b->tiers[t].id, "name", b->tiers[t].name,
                                    "gain", b->tiers[t].gain, "good", b->tiers[t].good))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *criteria_json(const ag_book *b)
{
    json_t *list = json_array();
    bool good = list != NULL;
    for (int c = 0; c < b->criterion_count && good; c++) {
        const ag_criterion *k = &b->criteria[c];
        json_t *verdicts = json_array();
        for (int v = 0; v < k->verdict_count && good; v++)
            good = append(verdicts, json_string(k->verdicts[v]));
        good = good && append(list, json_pack("{s:s, s:s, s:b, s:O}", "id", k->id, "name", k->name,
                                              "per_asked", k->per_asked, "verdicts", verdicts));
        json_decref(verdicts);
    }
    if (good) return list;
    json_decref(list);
    return NULL;
}

static json_t *rules_json(const ag_book *b)
{
    json_t *list = json_array();
    for (int i = 0; i < b->rule_count; i++) {
        const ag_rule *k = &b->rules[i];
        if (!append(list,
                    json_pack("{s:s, s:s, s:s, s:s}", "id", k->id, "when", k->when ? k->when : "otherwise",
                              "cap", b->tiers[k->cap].id, "text", k->text ? k->text : ""))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *attributes_json(const ag_book *b)
{
    json_t *list = json_array();
    for (int i = 0; i < b->attribute_count; i++)
        if (!append(list, json_pack("{s:s, s:s}", "name", b->attributes[i].name, "importance",
                                    b->attributes[i].core ? "core" : "minor"))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

void ag_serve_rulebook(void *user, const ag_http_request *q, ag_http_response *r)
{
    static const char *const orders[] = {"respond_then_think", "think_then_respond", "verdicts_then_tier"};
    ag_service *s = user;
    (void)q;
    if (!ag_service_check(s, r)) return;
    const ag_book *b = s->book;
    json_t *o = json_object();
    bool good = ag_json_set(o, "name", json_string(b->name)) &&
                ag_json_set(o, "version", json_string(b->version ? b->version : "")) &&
                ag_json_set(o, "language", json_string(b->language ? b->language : "")) &&
                ag_json_set(o, "digest", json_string(b->digest)) &&
                ag_json_set(o, "instruction", json_string(b->instruction ? b->instruction : "")) &&
                ag_json_set(o, "system", json_string(s->system_text)) &&
                ag_json_set(o, "order", json_string(orders[b->order])) &&
                ag_json_set(o, "tiers", tiers_json(b)) && ag_json_set(o, "criteria", criteria_json(b)) &&
                ag_json_set(o, "attributes", attributes_json(b)) && ag_json_set(o, "rules", rules_json(b)) &&
                ag_json_set(o, "model", json_string(s->options.model)) &&
                ag_json_set(o, "catalogue_items",
                            json_integer(s->catalogue ? (json_int_t)s->catalogue->count : 0)) &&
                ag_json_set(o, "max_pairs", json_integer((json_int_t)s->options.max_pairs));
    if (!good) {
        json_decref(o);
        o = NULL;
    }
    ag_service_answer(r, o);
}

/* --- the catalogue -------------------------------------------------------------------------------------------------- */

static bool put_text(json_t *o, const char *key, const char *text)
{
    return !text || ag_json_set(o, key, json_string(text));
}

static bool put_attributes(json_t *o, const ag_item *item)
{
    json_t *all = json_object();
    if (item->field_count == 0) {
        json_decref(all);
        return true;
    }
    bool good = ag_json_set(o, "attributes", all);
    for (int f = 0; f < item->field_count && good; f++) {
        const ag_field *field = &item->fields[f];
        json_t *values = field->count > 1 ? json_array() : NULL;
        for (int v = 0; v < field->count && field->count > 1 && good; v++)
            good = append(values, json_string(field->values[v]));
        good = good &&
               ag_json_set(all, field->name, values ? json_incref(values) : json_string(field->values[0]));
        json_decref(values);
    }
    return good;
}

static json_t *item_json(const ag_item *item)
{
    json_t *o = json_object();
    bool good = put_text(o, "id", item->id) && put_text(o, "title", item->title) &&
                put_text(o, "brand", item->brand) && put_text(o, "category", item->category) &&
                (!item->has_price || ag_json_set(o, "price", json_real(item->price))) &&
                put_attributes(o, item) && put_text(o, "description", item->description);
    if (good) return o;
    json_decref(o);
    return NULL;
}

/* GET /v1/catalogue?query=...&top=20: the best items by BM25. */
void ag_serve_catalogue(void *user, const ag_http_request *q, ag_http_response *r)
{
    enum { TOP = 200 };
    ag_service *s = user;
    const char *query = ag_http_query(q, "query"), *top = ag_http_query(q, "top");
    uint32_t found[TOP];
    double max = 20;
    int count = 0;
    ag_error err = {0};
    if (!ag_service_check(s, r)) return;
    if (!s->index) {
        ag_http_fail(r, 404, NULL, "no_catalogue", "the server was started without --catalogue");
        return;
    }
    if (!query || !*query || strlen(query) > 4096) {
        ag_http_fail(r, 400, "query", "missing", "'query' must be a text of 1 to 4096 bytes");
        return;
    }
    if (top && (!ag_number_parse(top, &max) || max < 1 || max > TOP || max != (int)max)) {
        ag_http_fail(r, 400, "top", "invalid_type", "'top' must be a whole number from 1 to %d", TOP);
        return;
    }
    pthread_mutex_lock(&s->index_lock);
    ag_status status = ag_bm25_search(s->index, query, found, (int)max, &count, &err);
    pthread_mutex_unlock(&s->index_lock);
    if (status != AG_OK) {
        ag_http_fail(r, 500, NULL, NULL, "%s", err.message);
        return;
    }
    json_t *o = json_object(), *list = json_array();
    bool good = ag_json_set(o, "items", list);
    for (int i = 0; i < count && good; i++) good = append(list, item_json(&s->catalogue->items[found[i]]));
    if (!good) {
        json_decref(o);
        o = NULL;
    }
    ag_service_answer(r, o);
}
