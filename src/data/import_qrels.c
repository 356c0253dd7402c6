/* import_qrels.c: TREC qrels and BEIR's three columns as judgments. */
#include "data/import.h"
#include "data/trec_scan.h"

typedef struct listener {
    ag_judgment_visit visit;
    void *context;
} listener;

static ag_status pass_on(void *context, const ag_trec_line *line, ag_error *err)
{
    const listener *to = context;
    json_t *label = json_real(line->number);
    ag_judgment judgment = {
        .query_id = line->query, .doc = line->doc, .label = label, .path = line->path, .line = line->line};
    ag_status status = label ? to->visit(to->context, &judgment, err) : ag_fail_memory(err, "label");
    json_decref(label);
    return status;
}

static ag_status scan_qrels(const ag_import *import, const char *path, ag_judgment_visit visit, void *context,
                            ag_error *err)
{
    listener to = {visit, context};
    (void)import;
    return ag_trec_scan(path, &ag_trec_qrels, pass_on, &to, err);
}

ag_status ag_import_qrels(ag_import *import, const ag_importer *self, ag_error *err)
{
    if (!import->queries)
        return ag_fail(err, AG_ERR_USAGE,
                       "qrels hold query ids: give --queries FILE (id, tab, text; CSV; or JSONL)");
    AG_TRY(ag_import_need_labels(import, "qrels", err));
    return ag_import_join(import, self, scan_qrels, import->catalogue, import->queries, err);
}
