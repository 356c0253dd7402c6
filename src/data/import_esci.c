/* import_esci.c: the Shopping Queries data, as rows with all columns or as judgment lists without
 * products. */
#include <string.h>
#include <strings.h>

#include "data/import.h"

/* {"judgmentRatings": [{"query", "ratings": [{"docId", "rating"}]}]}; a place is the query's number. */
static ag_status scan_query(const json_t *one, const char *path, long number, ag_judgment_visit visit,
                            void *context, ag_error *err)
{
    const char *query = json_string_value(json_object_get(one, "query"));
    const json_t *ratings = json_object_get(one, "ratings");
    if (!query || !json_is_array(ratings))
        return ag_fail(err, AG_ERR_INPUT, "%s: judgmentRatings[%ld] must have a query and a list of ratings",
                       path, number - 1);
    for (size_t i = 0; i < json_array_size(ratings); i++) {
        const json_t *rating = json_array_get(ratings, i);
        ag_judgment judgment = {.query = query, .path = path, .line = number};
        judgment.doc = json_string_value(json_object_get(rating, "docId"));
        judgment.label = json_object_get(rating, "rating");
        if (!judgment.doc || !judgment.label)
            return ag_fail(err, AG_ERR_INPUT,
                           "%s: judgmentRatings[%ld].ratings[%zu] must have a docId and a rating", path,
                           number - 1, i);
        ag_status status = visit(context, &judgment, err);
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

static ag_status scan_judgments(const ag_import *import, const char *path, ag_judgment_visit visit,
                                void *context, ag_error *err)
{
    json_t *json;
    (void)import;
    ag_status status = ag_json_load(&json, path, err);
    if (status != AG_OK) return status;
    const json_t *list = json_object_get(json, "judgmentRatings");
    if (!json_is_array(list))
        status = ag_fail(err, AG_ERR_INPUT, "%s: no list 'judgmentRatings': not a judgment list", path);
    for (size_t i = 0; status == AG_OK && i < json_array_size(list); i++)
        status = scan_query(json_array_get(list, i), path, (long)i + 1, visit, context, err);
    json_decref(json);
    return status;
}

ag_status ag_import_judgments(ag_import *import, const ag_importer *self, ag_error *err)
{
    return ag_import_join(import, self, scan_judgments, import->catalogue, NULL, err);
}

static bool has_end(const char *path, const char *end)
{
    size_t n = strlen(path), e = strlen(end);
    return n >= e && strcasecmp(path + n - e, end) == 0;
}

ag_status ag_import_esci(ag_import *import, const ag_importer *self, ag_error *err)
{
    int json = 0;
    for (int i = 0; i < import->file_count; i++)
        json += has_end(import->files[i], ".json") || has_end(import->files[i], ".json.gz");
    if (json == 0) return ag_import_rows(import, self, err);
    if (json < import->file_count)
        return ag_fail(err, AG_ERR_USAGE,
                       "import judgment lists (.json) and rows (.csv, .jsonl) one after the other");
    for (const ag_importer *i = ag_importers; i->name; i++)
        if (strcmp(i->name, "opensearch") == 0) return ag_import_judgments(import, i, err);
    return ag_fail(err, AG_ERR_INTERNAL, "no importer 'opensearch'");
}
