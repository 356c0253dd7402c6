/* compare_plan.c: see compare_plan.h. */
#include "cli/compare_plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "train/methods.h"

enum { NAME_MAX_LENGTH = 40 };

/* Methods that compare alone knows: they train nothing. */
static const char *const untrained[] = {"sft", "verdicts"};
/* What the plan itself decides: no row and no --set may. */
static const char *const decided[] = {"out", "seed", "method", "stages.0.method"};
/* What all rows must share, or they could not be compared. */
static const char *const shared[] = {"model", "rules"};

#define LENGTH(table) (sizeof(table) / sizeof *(table))

static bool listed(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

/* AG_ERR_USAGE at a node of the plan. */
static ag_status wrong(ag_error *err, const ag_compare_plan *plan, const ag_yaml *node, const char *format,
                       ...) AG_PRINTF(4, 5);
static ag_status wrong(ag_error *err, const ag_compare_plan *plan, const ag_yaml *node, const char *format,
                       ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ag_fail(err, AG_ERR_USAGE, "%s:%d:%d: %s", plan->path, node->line, node->column, text);
}

static ag_status keep_text(ag_compare_plan *plan, const char **to, const char *text, ag_error *err)
{
    *to = ag_arena_strdup(&plan->arena, text);
    return *to ? AG_OK : ag_fail_memory(err, "plan");
}

/* A path as the plan means it: relative to its folder. */
static ag_status keep_path(ag_compare_plan *plan, const char **to, const char *text, ag_error *err)
{
    char *dir = ag_path_dir(plan->path);
    bool as_is = *text == '/' || !*text || ag_streq(dir, ".");
    char *joined = dir && !as_is ? ag_path_join(dir, text) : NULL;
    ag_status status = dir && (as_is || joined) ? keep_text(plan, to, joined ? joined : text, err)
                                                : ag_fail_memory(err, "plan");
    ag_free(dir);
    ag_free(joined);
    return status;
}

/* Appends a path as it is found from anywhere. */
static void add_absolute(ag_str *out, const char *path)
{
    char here[4096];
    if (*path && *path != '/' && getcwd(here, sizeof here)) ag_str_addf(out, "%s/", here);
    ag_str_add(out, path);
}

static ag_status keep_joined(ag_compare_plan *plan, const char **to, ag_str *text, ag_error *err)
{
    ag_status status = ag_str_ok(text, err);
    if (status == AG_OK) status = keep_text(plan, to, ag_str_text(text), err);
    ag_str_free(text);
    return status;
}

/* --- settings of all rows --------------------------------------------------------------------------------------- */

static ag_status add_set(ag_compare_plan *plan, const char *text, const char *where, ag_error *err)
{
    char name[128];
    size_t n = strcspn(text, "=");
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), text);
    if (!text[n] || n == 0) return ag_fail(err, AG_ERR_USAGE, "%s %s: expected key=value", where, text);
    if (listed(decided, LENGTH(decided), name))
        return ag_fail(err, AG_ERR_USAGE, "%s %s: the plan decides '%s' for each row", where, text, name);
    if (plan->set_count == (int)LENGTH(plan->sets))
        return ag_fail(err, AG_ERR_USAGE, "%s: more than %d settings", where, (int)LENGTH(plan->sets));
    return keep_text(plan, &plan->sets[plan->set_count++], text, err);
}

static ag_status read_sets(ag_compare_plan *plan, const ag_yaml *list, ag_error *err)
{
    char where[1200];
    if (!list) return AG_OK;
    if (list->kind != AG_YAML_LIST) return wrong(err, plan, list, "set must be a list of KEY=VALUE");
    for (int i = 0; i < list->count; i++) {
        const char *text;
        AG_TRY(ag_yaml_string(list->values[i], plan->path, "a setting", &text, err));
        snprintf(where, sizeof where, "%s:%d:%d: set", plan->path, list->values[i]->line,
                 list->values[i]->column);
        AG_TRY(add_set(plan, text, where, err));
    }
    return AG_OK;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static ag_status unknown_method(const ag_compare_plan *plan, const ag_yaml *node, const char *name,
                                ag_error *err)
{
    const char *names[64];
    size_t n = 0;
    ag_str known = {0};
    for (size_t i = 0; i < LENGTH(untrained); i++) names[n++] = untrained[i];
    for (const ag_method *m = ag_methods; m->name && n < LENGTH(names); m++)
        if (!listed(names, n, m->name)) names[n++] = m->name;
    for (size_t i = 0; i < n; i++) ag_str_addf(&known, "%s%s", i ? ", " : "", names[i]);
    ag_suggestion near = ag_suggest(name, names, n);
    ag_status status = wrong(err, plan, node, "unknown method '%s'%s known: %s", name,
                             *near.text ? near.text : ";", ag_str_text(&known));
    ag_str_free(&known);
    return status;
}

static ag_status check_name(const ag_compare_plan *plan, const ag_compare_row *row, const ag_yaml *node,
                            ag_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+_.";
    const char *name = row->name;
    if (!*name || *name == '.' || name[strspn(name, allowed)] || strlen(name) > NAME_MAX_LENGTH)
        return wrong(err, plan, node,
                     "'%s' is a folder's name too: up to %d letters, digits, - + _ and . in all", name,
                     NAME_MAX_LENGTH);
    if (row->trained && ag_streq(name, "start"))
        return wrong(err, plan, node, "the folder 'start' is for the model that all rows start from");
    for (const ag_compare_row *other = plan->rows; other < row; other++)
        if (strcmp(other->name, name) == 0)
            return wrong(err, plan, node, "two rows are called '%s'; give one a name of its own", name);
    return AG_OK;
}

/* One of a row's own settings. */
static ag_status add_setting(ag_compare_plan *plan, ag_compare_row *row, const ag_yaml *key,
                             const ag_yaml *value, ag_str *own, ag_str *yaml, ag_error *err)
{
    ag_setting_info info;
    ag_str set = {0};
    char where[1200];
    const char *text = value->text;
    snprintf(where, sizeof where, "%s:%d:%d", plan->path, key->line, key->column);
    if (listed(decided, LENGTH(decided), key->text))
        return wrong(err, plan, key, "the plan decides '%s' for each row", key->text);
    if (listed(shared, LENGTH(shared), key->text))
        return wrong(err, plan, key, "'%s' is the same for all rows; it stands in the run file", key->text);
    if (!row->trained)
        return wrong(err, plan, key, "'%s' is the start, which is not trained: it has no settings",
                     row->name);
    AG_TRY(ag_setting_find(&info, key->text, where, err));
    if (value->kind != AG_YAML_SCALAR || ag_yaml_is_null(value))
        return wrong(err, plan, value, "%s must be one value", key->text);
    if (row->set_count == AG_PLAN_SETS)
        return wrong(err, plan, key, "more than %d settings in a row", AG_PLAN_SETS);
    if (info.path) AG_TRY(keep_path(plan, &text, value->text, err));
    ag_str_addf(&set, "%s%s=", info.stage ? "stages.0." : "", key->text);
    size_t from = set.len;
    if (info.path)
        add_absolute(&set, text);
    else
        ag_str_add(&set, text);
    ag_str_addf(own, "%s%s: %s", own->len ? ", " : "", key->text, value->text);
    ag_str_addf(yaml, ", %s: ", key->text);
    const char *value_text = set.failed ? "" : set.data + from;
    double number;
    if (ag_number_parse(value_text, &number))
        ag_str_add(yaml, value_text);
    else
        ag_yaml_quote(yaml, value_text);
    return keep_joined(plan, &row->sets[row->set_count++], &set, err);
}

static ag_status read_row(ag_compare_plan *plan, const ag_yaml *node, ag_error *err)
{
    ag_compare_row *row = &plan->rows[plan->row_count];
    ag_str own = {0}, yaml = {0};
    bool map = node->kind == AG_YAML_MAP;
    const ag_yaml *method = map ? ag_yaml_get(node, "method") : node,
                  *name = map ? ag_yaml_get(node, "name") : node;
    const char *text = NULL;
    row->line = node->line, row->column = node->column;
    if (!method) return wrong(err, plan, node, "a row needs a method: {name: ..., method: ...}");
    AG_TRY(ag_yaml_string(method, plan->path, "method", &text, err));
    AG_TRY(keep_text(plan, &row->method, text, err));
    AG_TRY(ag_yaml_string(name ? name : method, plan->path, "name", &text, err));
    AG_TRY(keep_text(plan, &row->name, text, err));
    row->trained = !listed(untrained, LENGTH(untrained), row->method);
    row->derived = ag_streq(row->method, "verdicts");
    if (row->trained && !ag_method_find(row->method)) return unknown_method(plan, method, row->method, err);
    AG_TRY(check_name(plan, row, name ? name : method, err));
    ag_status status = AG_OK;
    for (int i = 0; map && i < node->count && status == AG_OK; i++)
        if (node->values[i] != method && node->values[i] != name)
            status = add_setting(plan, row, node->keys[i], node->values[i], &own, &yaml, err);
    plan->row_count += status == AG_OK;
    if (status == AG_OK) status = keep_joined(plan, &row->own, &own, err);
    if (status == AG_OK) status = keep_joined(plan, &row->own_yaml, &yaml, err);
    ag_str_free(&own);
    ag_str_free(&yaml);
    return status;
}

static ag_status read_rows(ag_compare_plan *plan, const ag_yaml *root, ag_error *err)
{
    const ag_yaml *list = ag_yaml_get(root, "methods"), *against = ag_yaml_get(root, "against");
    const char *name = NULL, *names[AG_PLAN_ROWS];
    if (!list) return wrong(err, plan, root, "'methods' is missing: a list, for example [sft, grpo, rrs]");
    if (list->kind != AG_YAML_LIST || list->count == 0)
        return wrong(err, plan, list, "methods must be a list with at least one row");
    if (list->count > AG_PLAN_ROWS) return wrong(err, plan, list, "more than %d rows", AG_PLAN_ROWS);
    for (int i = 0; i < list->count; i++) AG_TRY(read_row(plan, list->values[i], err));
    plan->against = plan->row_count - 1;
    if (!against) return AG_OK;
    AG_TRY(ag_yaml_string(against, plan->path, "against", &name, err));
    for (int i = 0; i < plan->row_count; i++) {
        names[i] = plan->rows[i].name;
        if (!ag_streq(names[i], name)) continue;
        plan->against = i;
        return AG_OK;
    }
    return wrong(err, plan, against, "against names no row: '%s'%s", name,
                 ag_suggest(name, names, (size_t)plan->row_count).text);
}

/* --- the rest ------------------------------------------------------------------------------------------------------- */

static ag_status read_seeds(ag_compare_plan *plan, const ag_yaml *root, ag_error *err)
{
    const ag_yaml *list = ag_yaml_get(root, "seeds");
    if (!list || list->kind != AG_YAML_LIST || list->count == 0)
        return wrong(err, plan, list ? list : root,
                     "seeds must be a list with at least one number, for example [1, 2, 3]");
    if (list->count > AG_PLAN_SEEDS) return wrong(err, plan, list, "more than %d seeds", AG_PLAN_SEEDS);
    for (int i = 0; i < list->count; i++) {
        long seed;
        AG_TRY(ag_yaml_int(list->values[i], plan->path, "a seed", 0, 9000000000000000, &seed, err));
        for (int k = 0; k < i; k++)
            if (plan->seeds[k] == seed)
                return wrong(err, plan, list->values[i], "seed %ld is given twice", seed);
        plan->seeds[plan->seed_count++] = seed;
    }
    return AG_OK;
}

static ag_status read_metric(ag_compare_plan *plan, const ag_yaml *root, ag_error *err)
{
    const ag_yaml *node = ag_yaml_get(root, "metric");
    const char *name = "compliant", *names[64];
    size_t n = 0;
    if (node) AG_TRY(ag_yaml_string(node, plan->path, "metric", &name, err));
    plan->metric = ag_metric_find(name);
    if (plan->metric) return AG_OK;
    for (const ag_metric *m = ag_metrics; m->name && n < LENGTH(names); m++) names[n++] = m->name;
    return wrong(err, plan, node, "unknown metric '%s'%s; docs/METRICS.md lists them", name,
                 ag_suggest(name, names, n).text);
}

static ag_status read_slice(ag_compare_plan *plan, const ag_yaml *root, ag_error *err)
{
    const ag_yaml *node = ag_yaml_get(root, "slice");
    const char *text;
    if (!node || ag_yaml_is_null(node)) return AG_OK;
    AG_TRY(ag_yaml_string(node, plan->path, "slice", &text, err));
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
        return wrong(err, plan, node, "slice must be NAME=VALUE, for example rule=R5, not '%s'", text);
    plan->slice_line = node->line, plan->slice_column = node->column;
    return keep_text(plan, &plan->slice, text, err);
}

static ag_status read_checkpoint(ag_compare_plan *plan, const ag_yaml *root, ag_error *err)
{
    const ag_yaml *node = ag_yaml_get(root, "checkpoint");
    const char *text = "last";
    if (node) AG_TRY(ag_yaml_string(node, plan->path, "checkpoint", &text, err));
    if (!ag_streq(text, "last") && !ag_streq(text, "best"))
        return wrong(err, plan, node, "checkpoint must be last or best, not '%s'", text);
    return keep_text(plan, &plan->checkpoint, text, err);
}

static ag_status read_paths(ag_compare_plan *plan, const ag_yaml *root, ag_error *err)
{
    const struct {
        const char *key;
        const char **to;
    } paths[] = {{"run", &plan->run}, {"out", &plan->out}, {"test", &plan->test}};
    for (size_t i = 0; i < LENGTH(paths); i++) {
        const ag_yaml *node = ag_yaml_get(root, paths[i].key);
        const char *text = NULL;
        if (!node) return wrong(err, plan, root, "'%s' is missing", paths[i].key);
        AG_TRY(ag_yaml_string(node, plan->path, paths[i].key, &text, err));
        AG_TRY(keep_path(plan, paths[i].to, text, err));
    }
    return AG_OK;
}

static ag_status read_plan(ag_compare_plan *plan, const ag_yaml *root, ag_error *err)
{
    static const char *const keys[] = {"run",     "out",    "test",    "limit", "seeds",
                                       "against", "metric", "methods", "slice", "checkpoint",
                                       "keep",    "draws",  "set"};
    const ag_yaml *node;
    if (root->kind != AG_YAML_MAP) return wrong(err, plan, root, "a plan is a map: run, out, test, methods");
    AG_TRY(ag_yaml_known_keys(root, plan->path, keys, LENGTH(keys), err));
    AG_TRY(read_paths(plan, root, err));
    if ((node = ag_yaml_get(root, "limit")))
        AG_TRY(ag_yaml_int(node, plan->path, "limit", 0, 1000000000, &plan->limit, err));
    if ((node = ag_yaml_get(root, "draws")))
        AG_TRY(ag_yaml_int(node, plan->path, "draws", 100, 100000, &plan->draws, err));
    if ((node = ag_yaml_get(root, "keep"))) AG_TRY(ag_yaml_bool(node, plan->path, "keep", &plan->keep, err));
    AG_TRY(read_seeds(plan, root, err));
    AG_TRY(read_metric(plan, root, err));
    AG_TRY(read_slice(plan, root, err));
    AG_TRY(read_checkpoint(plan, root, err));
    AG_TRY(read_sets(plan, ag_yaml_get(root, "set"), err));
    return read_rows(plan, root, err);
}

ag_status ag_compare_plan_load(ag_compare_plan *plan, const char *path, const char *const *set, int set_count,
                               ag_error *err)
{
    ag_arena yaml = {.name = "plan file"};
    ag_yaml *root = NULL;
    *plan = (ag_compare_plan){.arena = {.name = "plan"}, .path = path, .draws = 10000, .keep = true};
    ag_status status = ag_yaml_load(&root, &yaml, path, err);
    if (status == AG_OK) status = read_plan(plan, root, err);
    for (int i = 0; i < set_count && status == AG_OK; i++) status = add_set(plan, set[i], "--set", err);
    if (status == AG_ERR_INPUT) status = err->code = AG_ERR_USAGE; /* whoever wrote it can change it */
    ag_arena_free(&yaml);
    if (status != AG_OK) ag_compare_plan_free(plan);
    return status;
}

void ag_compare_plan_free(ag_compare_plan *plan)
{
    ag_arena_free(&plan->arena);
    plan->row_count = 0;
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

static void write_text(ag_str *out, const char *key, const char *text)
{
    ag_str_addf(out, "%s: ", key);
    ag_yaml_quote(out, text);
    ag_str_addc(out, '\n');
}

static void write_path(ag_str *out, const char *key, const char *path)
{
    ag_str whole = {0};
    add_absolute(&whole, path);
    write_text(out, key, ag_str_text(&whole));
    out->failed = out->failed || whole.failed;
    ag_str_free(&whole);
}

ag_status ag_compare_plan_write(ag_str *out, const ag_compare_plan *plan, ag_error *err)
{
    write_path(out, "run", plan->run);
    write_path(out, "out", plan->out);
    write_path(out, "test", plan->test);
    ag_str_addf(out, "limit: %ld\nseeds: [", plan->limit);
    for (int i = 0; i < plan->seed_count; i++) ag_str_addf(out, "%s%ld", i ? ", " : "", plan->seeds[i]);
    ag_str_add(out, "]\n");
    write_text(out, "against", plan->rows[plan->against].name);
    write_text(out, "metric", plan->metric->name);
    if (plan->slice) write_text(out, "slice", plan->slice);
    write_text(out, "checkpoint", plan->checkpoint);
    ag_str_addf(out, "keep: %s\ndraws: %ld\n", plan->keep ? "true" : "false", plan->draws);
    if (plan->set_count) ag_str_add(out, "set:\n");
    for (int i = 0; i < plan->set_count; i++) {
        ag_str_add(out, "  - ");
        ag_yaml_quote(out, plan->sets[i]);
        ag_str_addc(out, '\n');
    }
    ag_str_add(out, "methods:\n");
    for (int i = 0; i < plan->row_count; i++) {
        ag_str_add(out, "  - {name: ");
        ag_yaml_quote(out, plan->rows[i].name);
        ag_str_add(out, ", method: ");
        ag_yaml_quote(out, plan->rows[i].method);
        ag_str_addf(out, "%s}\n", plan->rows[i].own_yaml);
    }
    return ag_str_ok(out, err);
}

/* --- settings ------------------------------------------------------------------------------------------------------- */

/* Messages of settings name --set, which nobody wrote: the place in the plan stands there instead. */
static void place_error(ag_error *err, const ag_compare_plan *plan, const ag_compare_row *row)
{
    static const char set[] = "--set: ";
    size_t n = sizeof set - 1;
    if (strncmp(err->message, set, n) != 0) return;
    memmove(err->message, err->message + n, strlen(err->message + n) + 1);
    ag_error_prefix(err, "%s:%d:%d: row '%s'", plan->path, row->line, row->column, row->name);
}

ag_status ag_compare_settings(ag_settings *settings, const ag_compare_plan *plan, const ag_compare_row *row,
                              long seed, const char *out, ag_error *err)
{
    const char *sets[3 * AG_PLAN_SETS + 3];
    char method[128], number[64];
    ag_str folder = {0};
    int n = 0;
    for (int i = 0; i < plan->set_count; i++) sets[n++] = plan->sets[i];
    ag_status status = ag_settings_load(settings, plan->run, sets, n, err);
    if (status != AG_OK || !row) return status;
    ag_settings_free(settings);
    snprintf(method, sizeof method, "stages.0.method=%s", row->method);
    snprintf(number, sizeof number, "seed=%ld", seed);
    ag_str_addf(&folder, "out=%s", out);
    sets[n++] = method;
    sets[n++] = number;
    sets[n++] = ag_str_text(&folder);
    for (int i = 0; i < row->set_count; i++) sets[n++] = row->sets[i];
    status = ag_str_ok(&folder, err);
    if (status == AG_OK) status = ag_settings_load(settings, plan->run, sets, n, err);
    if (status != AG_OK) place_error(err, plan, row);
    ag_str_free(&folder);
    return status;
}
