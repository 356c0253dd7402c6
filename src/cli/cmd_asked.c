/* cmd_asked.c: `agrl asked`: what the parser reads in queries. One line of JSON for each line of input. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "data/pair.h"
#include "rules/facts.h"

typedef struct reader {
    ag_book *book;
    ag_facts *facts;
    ag_lexicon *lexicon;
} reader;

static json_t *types_json(const ag_asked *asked)
{
    if (asked->type_count == 1) return json_string(asked->types[0]);
    json_t *list = json_array();
    for (int i = 0; list && i < asked->type_count; i++)
        json_array_append_new(list, json_string(asked->types[i]));
    return list;
}

/* Reads one query and writes its line. id may be NULL. */
static ag_status write_asked(const reader *r, const char *id, const char *query, const ag_item *item,
                             ag_out *out, ag_error *err)
{
    ag_arena arena = {.name = "asked"};
    ag_asked asked;
    const char *category = NULL;
    ag_status status = ag_asked_parse(&asked, &category, r->lexicon, query, item, &arena, err);
    if (status == AG_OK) {
        json_t *entries = ag_asked_to_json(&asked), *types = types_json(&asked);
        json_t *o = entries && types ? json_pack("{s:s*, s:s, s:o, s:s*, s:o}", "id", id, "query", query,
                                                 "type", types, "category", category, "asked", entries)
                                     : NULL;
        status = ag_json_write_line(out, o, err);
    }
    ag_arena_free(&arena);
    return status;
}

/* A line is a pair, or anything with a "query", or the query itself. */
static ag_status read_line(const reader *r, const char *path, long number, const char *line, size_t len,
                           ag_out *out, ag_error *err)
{
    json_t *json = NULL;
    ag_pair *pair = NULL;
    if (*line != '{') return write_asked(r, NULL, line, NULL, out, err);
    ag_status status = ag_json_parse(&json, line, len, path, number, err);
    if (status == AG_OK && json_is_object(json_object_get(json, "item"))) {
        status = ag_pair_from_json(&pair, json, path, number, NULL, AG_AGGREGATE_GIVEN, err);
        if (status == AG_OK) status = write_asked(r, pair->id, pair->query, &pair->item, out, err);
    } else if (status == AG_OK) {
        const char *query = json_string_value(json_object_get(json, "query"));
        const char *id = json_string_value(json_object_get(json, "id"));
        status = query ? write_asked(r, id, query, NULL, out, err)
                       : ag_fail(err, AG_ERR_INPUT, "%s:%ld: no \"query\"", path, number);
    }
    ag_pair_free(pair);
    json_decref(json);
    return status;
}

static ag_status read_file(const reader *r, const char *path, ag_out *out, ag_error *err)
{
    ag_lines *lines = NULL;
    char *line;
    size_t len;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && (status = ag_lines_next(lines, &line, &len, err)) == AG_OK && line) {
        size_t bad;
        if (len == 0) continue;
        if (!ag_utf8_valid(line, len, &bad))
            status = ag_fail(err, AG_ERR_INPUT, "%s:%ld: invalid UTF-8 at byte %zu", path,
                             ag_lines_number(lines), bad + 1);
        else
            status = read_line(r, path, ag_lines_number(lines), line, len, out, err);
    }
    ag_lines_close(lines);
    return status;
}

static ag_status run(const char *rules, const char *lexicon, const char *to, char **files, int count,
                     ag_error *err)
{
    reader r = {0};
    ag_out *out = NULL;
    ag_status status = ag_book_load(&r.book, rules, err);
    if (status == AG_OK) status = ag_facts_of_book(&r.facts, r.book, err);
    if (status == AG_OK) status = ag_lexicon_open(&r.lexicon, r.facts, r.book, lexicon, err);
    for (int i = 0; i < count && status == AG_OK; i++) status = ag_path_distinct(to, files[i], err);
    if (status == AG_OK) status = ag_out_open(&out, to, err);
    for (int i = 0; status == AG_OK && i < (count ? count : 1); i++)
        status = read_file(&r, count ? files[i] : "-", out, err);
    if (status == AG_OK)
        status = ag_out_commit(out, err);
    else
        ag_out_abort(out);
    ag_lexicon_free(r.lexicon);
    ag_facts_free(r.facts);
    ag_book_free(r.book);
    return status;
}

int ag_cmd_asked(int argc, char **argv)
{
    static const ag_usage usage = {"agrl asked --rules BOOK [--lexicon FILE] [FILE...]",
                                   "Shows what the parser reads in queries: what is asked, the query's "
                                   "types, and the wanted category. Input is JSONL "
                                   "(pairs, or objects with a \"query\") or plain text, a query a line. A "
                                   "pair's own item lends its values.",
                                   0, -1};
    const char *rules = NULL, *lexicon = NULL, *to = "-";
    char **args;
    int nargs;
    ag_error err = {0};
    const ag_option options[] = {{"rules", AG_OPT_STRING, &rules, "BOOK", "rulebook (needed)", 0, 0},
                                 {"lexicon", AG_OPT_STRING, &lexicon, "FILE",
                                  "values of the catalogue, as `agrl synth` writes them", 0, 0},
                                 {"out", AG_OPT_STRING, &to, "FILE", "where the lines go", 0, 0},
                                 {0}};
    int code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_status status = rules ? run(rules, lexicon, to, args, nargs, &err)
                             : ag_fail(&err, AG_ERR_USAGE, "asked needs --rules BOOK");
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}
