/* synth_write.c: generated pairs as the JSONL of the pair format, and the catalogue beside them. */
#include "data/synth.h"

#include <string.h>

#include "base/file.h"

static bool set_text(json_t *object, const char *key, const char *text)
{
    return !text || ag_json_set(object, key, json_string(text));
}

/* Prices are whole where they can be: 49, not 49.0. */
static json_t *number(double x)
{
    return x == (double)(long)x ? json_integer((json_int_t)x) : json_real(x);
}

json_t *ag_synth_item_json(const ag_item *item)
{
    json_t *o = json_object(), *attributes = json_object();
    bool ok = o && attributes && set_text(o, "id", item->id) && set_text(o, "title", item->title) &&
              set_text(o, "brand", item->brand) && set_text(o, "category", item->category) &&
              (!item->has_price || ag_json_set(o, "price", number(item->price))) &&
              set_text(o, "description", item->description);
    for (int i = 0; ok && i < item->field_count; i++) {
        const ag_field *f = &item->fields[i];
        json_t *value = f->count == 1 ? json_string(f->values[0]) : json_array();
        for (int k = 0; value && f->count != 1 && k < f->count && ok; k++)
            ok = json_array_append_new(value, json_string(f->values[k])) == 0;
        ok = ag_json_set(attributes, f->name, value) && ok;
    }
    if (ok && item->field_count) ok = json_object_set(o, "attributes", attributes) == 0;
    json_decref(attributes);
    if (ok) return o;
    json_decref(o);
    return NULL;
}

static json_t *types_json(const ag_asked *asked)
{
    if (asked->type_count == 1) return json_string(asked->types[0]);
    json_t *list = json_array();
    for (int i = 0; list && i < asked->type_count; i++)
        if (json_array_append_new(list, json_string(asked->types[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *verdicts_json(const ag_gold *gold, const ag_book *book, const ag_asked *asked)
{
    json_t *o = json_object();
    bool ok = o != NULL;
    for (int c = 0; ok && c < book->criterion_count; c++) {
        const ag_criterion *criterion = &book->criteria[c];
        const int8_t *v = gold->verdicts.v[c];
        if (!criterion->per_asked) {
            if (v[0] >= 0) ok = ag_json_set(o, criterion->id, json_string(criterion->verdicts[v[0]]));
            continue;
        }
        json_t *entries = json_object();
        for (int a = 0; entries && ok && a < asked->count; a++)
            if (v[a] >= 0)
                ok = ag_json_set(entries, asked->entries[a].id, json_string(criterion->verdicts[v[a]]));
        ok = ag_json_set(o, criterion->id, entries) && ok;
    }
    if (ok) return o;
    json_decref(o);
    return NULL;
}

static json_t *gold_json(const ag_gold *gold, const ag_book *book, const ag_asked *asked)
{
    json_t *o = json_object();
    bool ok = o && ag_json_set(o, "tier", json_string(book->tiers[gold->tier].id)) &&
              ag_json_set(o, "verdicts", verdicts_json(gold, book, asked)) &&
              (gold->rule < 0 || ag_json_set(o, "rule", json_string(book->rules[gold->rule].id))) &&
              set_text(o, "why", gold->why);
    if (ok) return o;
    json_decref(o);
    return NULL;
}

/* What a `like` was compared with, so that the label can be checked from this line alone. */
static json_t *reference_json(const ag_item *x)
{
    json_t *o = json_object();
    bool ok = o && set_text(o, "id", x->id) && set_text(o, "title", x->title) &&
              set_text(o, "brand", x->brand) && set_text(o, "category", x->category) &&
              (!x->has_price || ag_json_set(o, "price", number(x->price)));
    if (ok) return o;
    json_decref(o);
    return NULL;
}

static const char *seen(bool unseen)
{
    return unseen ? "unseen" : "seen";
}

/* What the pair is measured by: whether its product, brand and category are kept for tests, and which comparators its verdicts
 * needed ("units": "needed"). */
static json_t *slice_json(const ag_synth_pair *pair)
{
    json_t *o = json_pack("{s:s, s:s, s:s}", "product", seen(pair->unseen_product), "brand",
                          seen(pair->unseen_brand), "category", seen(pair->unseen_category));
    bool ok = o != NULL;
    for (int k = 0; k < AG_SKILL_COUNT && ok; k++)
        if (pair->skills >> k & 1) ok = ag_json_set(o, ag_skill_names[k], json_string("needed"));
    if (ok) return o;
    json_decref(o);
    return NULL;
}

json_t *ag_synth_pair_json(const ag_synth_pair *pair, const ag_book *book, long query_number)
{
    const ag_synth_query *q = pair->query;
    const ag_asked *asked = pair->parsed ? &q->parsed : &q->asked;
    json_t *o = json_object();
    ag_str id = {0};
    ag_str_addf(&id, "q%ld-%s", query_number, pair->item->id ? pair->item->id : "?");
    bool ok = o && !id.failed && set_text(o, "id", ag_str_text(&id)) && set_text(o, "query", q->text) &&
              ag_json_set(o, "type", types_json(asked)) && set_text(o, "category", q->wanted) &&
              ag_json_set(o, "item", ag_synth_item_json(pair->item)) &&
              ag_json_set(o, "asked", ag_asked_to_json(asked)) &&
              ag_json_set(o, "gold", gold_json(&pair->gold, book, asked)) &&
              (!q->reference || ag_json_set(o, "reference", reference_json(q->reference))) &&
              (!pair->parsed || ag_json_set(o, "asked_source", json_string("parsed"))) &&
              (!pair->relabelled || ag_json_set(o, "relabelled", json_true())) &&
              ag_json_set(o, "slice", slice_json(pair));
    ag_str_free(&id);
    if (ok) return o;
    json_decref(o);
    return NULL;
}

ag_status ag_synth_write(const ag_synth *s, const ag_book *book, const char *dir, ag_error *err)
{
    ag_out *outs[AG_SYNTH_PARTS] = {NULL};
    ag_status status = ag_dir_make(dir, err);
    /* All are written aside first, so that a full disk leaves the old set whole. */
    for (int p = 0; p < AG_SYNTH_PARTS && status == AG_OK; p++) {
        char name[64];
        ag_str file = {0};
        ag_str_addf(&file, "%s.jsonl", ag_synth_part_names[p]);
        memcpy(name, ag_str_text(&file), file.len + 1);
        ag_str_free(&file);
        char *path = ag_path_join(dir, name);
        status = path ? ag_out_open(&outs[p], path, err) : ag_fail_memory(err, "path");
        ag_free(path);
        for (size_t i = 0; i < s->pair_count[p] && status == AG_OK; i++) {
            const ag_synth_pair *pair = &s->pairs[p][i];
            status = ag_json_write_line(
                outs[p], ag_synth_pair_json(pair, book, (long)(pair->query - s->queries) + 1), err);
        }
        if (status == AG_OK) status = ag_out_flush(outs[p], err);
    }
    for (int p = 0; p < AG_SYNTH_PARTS; p++) {
        if (status == AG_OK)
            status = ag_out_commit(outs[p], err);
        else
            ag_out_abort(outs[p]);
    }
    return status;
}

ag_status ag_synth_write_catalogue(const ag_item *items, size_t count, const char *path, ag_error *err)
{
    ag_out *out = NULL;
    ag_status status = ag_out_open(&out, path, err);
    for (size_t i = 0; i < count && status == AG_OK; i++)
        status = ag_json_write_line(out, ag_synth_item_json(&items[i]), err);
    if (status == AG_OK)
        status = ag_out_commit(out, err);
    else
        ag_out_abort(out);
    return status;
}

static bool same_values(const ag_ask *a, const ag_ask *b)
{
    bool same = a->value_count == b->value_count;
    for (int i = 0; same && i < a->value_count; i++) {
        ag_str x = {0}, y = {0};
        same = ag_text_fold(&x, a->values[i], strlen(a->values[i]), NULL) == AG_OK &&
               ag_text_fold(&y, b->values[i], strlen(b->values[i]), NULL) == AG_OK &&
               strcmp(ag_str_text(&x), ag_str_text(&y)) == 0;
        ag_str_free(&x);
        ag_str_free(&y);
    }
    return same;
}

int ag_synth_agree(const ag_asked *a, const ag_asked *b)
{
    int agreed = 0;
    for (int j = 0; j < b->count; j++)
        for (int i = 0; i < a->count; i++)
            if (a->entries[i].op == b->entries[j].op && strcmp(a->entries[i].name, b->entries[j].name) == 0 &&
                same_values(&a->entries[i], &b->entries[j])) {
                agreed++;
                break;
            }
    return agreed;
}
