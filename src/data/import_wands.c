/* import_wands.c: WANDS as it is published (label.csv, query.csv, product.csv, tab-separated) and as
 * single tables that later work made of it.
 */
#include <string.h>

#include "data/import.h"

static ag_status scan_labels(const ag_import *import, const char *path, ag_judgment_visit visit,
                             void *context, ag_error *err)
{
    static const ag_judgment_columns columns = {"query_id", true, "product_id", "label"};
    return ag_import_scan_table(import, path, &columns, visit, context, err);
}

/* Is this the published label.csv? */
static ag_status is_labels(const ag_import *import, const char *path, bool *labels, ag_error *err)
{
    ag_csv *csv;
    ag_status status = ag_csv_open(&csv, path, import->delimiter, err);
    if (status != AG_OK) return status;
    *labels = ag_csv_column(csv, "query_id") >= 0 && ag_csv_column(csv, "product_id") >= 0 &&
              ag_csv_column(csv, "query") < 0;
    ag_csv_close(csv);
    return AG_OK;
}

/* The path of a sibling of label.csv, NULL when there is none. */
static ag_status sibling(const char *path, const char *const *names, char **found, ag_error *err)
{
    char *dir = ag_path_dir(path);
    *found = NULL;
    if (!dir) return ag_fail_memory(err, "path");
    for (; *names && !*found; names++) {
        char *candidate = ag_path_join(dir, *names);
        if (!candidate) {
            ag_free(dir);
            return ag_fail_memory(err, "path");
        }
        if (ag_path_exists(candidate))
            *found = candidate;
        else
            ag_free(candidate);
    }
    ag_free(dir);
    return AG_OK;
}

ag_status ag_import_wands(ag_import *import, const ag_importer *self, ag_error *err)
{
    static const char *const query_names[] = {"query.csv", "WANDS_query.csv", "query.csv.gz", NULL};
    static const char *const product_names[] = {"product.csv", "WANDS_product.csv", "product.csv.gz", NULL};
    char *queries = NULL, *products = NULL;
    bool labels = false;
    ag_status status = AG_OK;
    const char *first = import->files[0];
    if (strcmp(first, "-") != 0 && ag_csv_is_name(first)) status = is_labels(import, first, &labels, err);
    if (status != AG_OK) return status;
    if (!labels) { /* rows of query, name, target */
        ag_alias columns[] = {{"query", "query"},
                              {"name", "title"},
                              {"product_name", "title"},
                              {"product_id", "item.id"},
                              {"product_class", "category"},
                              {"product_description", "description"},
                              {"product_features", "features"},
                              {"target", "tier"},
                              {"label", "tier"},
                              {"id", "id"},
                              {NULL, NULL}};
        static const ag_label two[] = {{"Relevant", 0}, {"Not relevant", 1}, {NULL, 0}};
        ag_importer rows = *self;
        ag_csv *csv = NULL;
        rows.columns = columns;
        if (strcmp(first, "-") != 0 && ag_csv_is_name(first) &&
            (status = ag_csv_open(&csv, first, import->delimiter, err)) != AG_OK)
            return status;
        if (csv && ag_csv_column(csv, "target") >= 0)
            rows.labels = two; /* the binary version calls it target */
        ag_csv_close(csv);
        return ag_import_rows(import, &rows, err);
    }
    if (!import->queries) status = sibling(first, query_names, &queries, err);
    if (status == AG_OK && !import->catalogue) status = sibling(first, product_names, &products, err);
    if (status == AG_OK && !import->queries && !queries)
        status = ag_fail(err, AG_ERR_USAGE, "%s has query ids: give --queries query.csv", first);
    if (status == AG_OK)
        status = ag_import_join(import, self, scan_labels, import->catalogue ? import->catalogue : products,
                                import->queries ? import->queries : queries, err);
    ag_free(queries);
    ag_free(products);
    return status;
}
