/* import_quepid.c: the ratings of Quepid's cases, a table that names queries by text and products by id. */
#include "data/import.h"

static ag_status scan_ratings(const ag_import *import, const char *path, ag_judgment_visit visit,
                              void *context, ag_error *err)
{
    static const ag_judgment_columns columns = {"query", false, "docid", "rating"};
    return ag_import_scan_table(import, path, &columns, visit, context, err);
}

ag_status ag_import_quepid(ag_import *import, const ag_importer *self, ag_error *err)
{
    AG_TRY(ag_import_need_labels(import, "Quepid's ratings", err));
    return ag_import_join(import, self, scan_ratings, import->catalogue, NULL, err);
}
