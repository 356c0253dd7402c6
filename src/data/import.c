/* import.c: the table of formats, and what all importers share. */
#include "data/import.h"

#include <stdio.h>
#include <string.h>

/* --- the formats' own words
 * ---------------------------------------------------------------------------------- */

static const ag_label esci_labels[] = {{"Exact", 0}, {"E", 0}, {"Substitute", 1}, {"S", 1}, {"Complement", 2},
                                       {"C", 2},     {"I", 3}, {"Irrelevant", 3}, {NULL, 0}};
static const ag_label judgment_labels[] = {{"100", 0}, {"10", 1}, {"1", 2}, {"0", 3}, {NULL, 0}};
static const ag_label wands_labels[] = {{"Exact", 0}, {"Partial", 1}, {"Irrelevant", 2}, {NULL, 0}};
static const ag_label chorus_labels[] = {{"3", 0}, {"2", 1}, {"1", 2}, {"0", 3}, {NULL, 0}};

/* Bullet points before the description: they say more in fewer words, and a long text is cut from its end. */
static const ag_alias esci_columns[] = {{"example_id", "id"},
                                        {"query", "query"},
                                        {"product_locale", "locale"},
                                        {"esci_label", "tier"},
                                        {"product_id", "item.id"},
                                        {"product_title", "title"},
                                        {"product_text", "text"},
                                        {"product_brand", "brand"},
                                        {"product_bullet_point", "description"},
                                        {"product_description", "description"},
                                        {"product_color", "attributes.colour"},
                                        {"title", "title"},
                                        {"brand", "brand"},
                                        {"bullets", "description"},
                                        {"description", "description"},
                                        {"color", "attributes.colour"},
                                        {NULL, NULL}};
static const ag_alias chorus_columns[] = {{"query", "query"},
                                          {"docid", "item.id"},
                                          {"title", "title"},
                                          {"brand", "brand"},
                                          {"supplier", "brand"},
                                          {"price", "price_cents"},
                                          {"short_description", "description"},
                                          {"attrs", "attributes"},
                                          {"label", "tier"},
                                          {"ratings", "ratings"},
                                          {NULL, NULL}};

const ag_importer ag_importers[] = {
    {"esci", "Amazon Shopping Queries (Exact, Substitute, Complement, Irrelevant)",
     "CSV of the joined examples and products, or judgments as JSON with --catalogue", ag_import_esci,
     esci_columns, AG_RECORD_HTML, esci_labels, false, true},
    {"opensearch", "OpenSearch judgment lists (100, 10, 1, 0)",
     "JSON with judgmentRatings; needs --catalogue", ag_import_judgments, NULL, 0, judgment_labels, true,
     false},
    {"wands", "Wayfair WANDS (Exact, Partial, Irrelevant)",
     "label.csv (query.csv and product.csv beside it, or --queries and --catalogue), or rows of query, name, "
     "target",
     ag_import_wands, ag_record_columns, 0, wands_labels, false, true},
    {"chorus", "Chorus ratings over Icecat products (3 the best to 0)", "rated_pairs.jsonl", ag_import_rows,
     chorus_columns, AG_RECORD_ICECAT, chorus_labels, true, false},
    {"qrels", "TREC or BEIR relevance judgments",
     "query-id iteration document-id relevance; needs --queries, "
     "--catalogue and --labels",
     ag_import_qrels, NULL, 0, NULL, false, false},
    {"quepid", "Quepid's ratings", "CSV of query,docid,rating; needs --catalogue and --labels",
     ag_import_quepid, NULL, 0, NULL, false, true},
    {"csv", "any table of pairs; tiers by the book's ids or names, or --labels",
     "CSV or TSV, with --map where needed, and --catalogue where rows only name their products",
     ag_import_rows, ag_record_columns, 0, NULL, false, true},
    {"jsonl", "any JSON objects, or pairs of agrl's own (to split or filter them)",
     "JSONL, with --map and --catalogue in the same way", ag_import_rows, ag_record_columns, 0, NULL, false,
     false},
    {NULL, NULL, NULL, NULL, NULL, 0, NULL, false, false},
};

/* --- shared steps
 * -------------------------------------------------------------------------------------------- */

ag_status ag_import_emit(ag_import *import, json_t *json, ag_record_outcome outcome, const char *path,
                         long line, ag_error *err)
{
    ag_pair *pair;
    if (outcome == AG_RECORD_LEFT_OUT) {
        import->stats.left_out++;
        return AG_OK;
    }
    if (outcome == AG_RECORD_NO_TITLE) {
        import->stats.no_title++;
        return AG_OK;
    }
    ag_status status = ag_pair_from_json(&pair, json, path, line, import->book, import->aggregate, err);
    if (status != AG_OK) return status;
    status = import->emit(import->context, pair, err);
    if (status == AG_OK) import->stats.written++;
    ag_pair_free(pair);
    return status;
}

void ag_import_miss(ag_import *import, long *counter, const char *kind, const char *id)
{
    if (!import->stats.example[0])
        snprintf(import->stats.example, sizeof import->stats.example, "%s %.80s", kind, id);
    ++*counter;
}

ag_status ag_import_run(ag_import *import, const char *format, ag_error *err)
{
    const char *names[32];
    size_t n = 0;
    for (const ag_importer *i = ag_importers; i->name; i++) {
        if (strcmp(i->name, format) == 0) return i->run(import, i, err);
        names[n++] = i->name;
    }
    ag_str known = {0};
    for (size_t i = 0; i < n; i++) ag_str_addf(&known, "%s%s", i ? ", " : "", names[i]);
    ag_status status = ag_fail(err, AG_ERR_USAGE, "unknown format '%.60s' (known: %s)%s", format,
                               ag_str_text(&known), ag_suggest(format, names, n).text);
    ag_str_free(&known);
    return status;
}
