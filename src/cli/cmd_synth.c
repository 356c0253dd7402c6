/* cmd_synth.c: `agrl synth`: labelled pairs out of a rulebook and a catalogue: a shop's own, or one that is invented. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/synth_print.h"
#include "data/catalogue.h"
#include "data/mine.h"
#include "data/shop.h"
#include "data/synth.h"
#include "rules/facts_kind.h"

typedef struct settings {
    const char *rules, *out, *tiers, *withhold, *catalogue, *queries, *mine, *kinds;
    ag_option_list refuse, skills, maps;
    long audit, pairs, seed, products, per_query, unseen_brands, unseen_categories;
    double part[AG_SYNTH_PARTS], type[AG_SYNTH_TYPES];
    double unseen_products, disturbed, asked_parsed, missing, text_only;
    bool relabel, quiet, keep_html;
} settings;

/* Queries of files. */
typedef struct texts {
    const char **items;
    size_t count, cap;
} texts;

typedef struct inputs {
    ag_book *book;
    ag_facts *facts;
    ag_lexicon *lexicon;
    ag_arena arena;       /* the invented shop and the queries */
    ag_products products; /* a catalogue from a file */
    ag_item *items;
    size_t item_count;
    texts refused, real;
} inputs;

static void set_defaults(settings *s, const ag_synth_options *o, const ag_shop_options *shop)
{
    *s = (settings){.pairs = o->pairs,
                    .seed = (long)o->seed,
                    .products = shop->products,
                    .unseen_brands = -1,
                    .unseen_categories = -1,
                    .unseen_products = o->unseen_products,
                    .asked_parsed = 0.3,
                    .missing = shop->missing,
                    .text_only = shop->text_only};
    memcpy(s->part, o->part_share, sizeof s->part);
    for (int t = 0; t < AG_SYNTH_TYPES; t++) s->type[t] = -1; /* not given */
    s->disturbed = -1;
}

/* "4=0.3,3=0.3,...": every tier not named gets nothing. */
static ag_status read_tiers(const char *text, const ag_book *book, double *shares, ag_error *err)
{
    ag_str id = {0}, value = {0};
    ag_status status = AG_OK;
    for (const char *at = text; *at && status == AG_OK;) {
        size_t n = strcspn(at, ","), key = strcspn(at, "=");
        double share = -1;
        ag_str_clear(&id);
        ag_str_clear(&value);
        ag_str_addn(&id, at, key < n ? key : n);
        ag_str_addn(&value, at + (key < n ? key + 1 : n), key < n ? n - key - 1 : 0);
        int tier = ag_book_tier(book, ag_str_text(&id));
        if (tier < 0)
            status = ag_fail(err, AG_ERR_USAGE, "--tiers: the rulebook has no tier '%s'", ag_str_text(&id));
        else if (!ag_number_parse(ag_str_text(&value), &share) || share < 0)
            status = ag_fail(err, AG_ERR_USAGE, "--tiers: '%s' needs a share, as in %s=0.25",
                             ag_str_text(&id), ag_str_text(&id));
        else
            shares[tier] = share;
        at += n;
        if (*at) at++;
    }
    ag_str_free(&id);
    ag_str_free(&value);
    return status;
}

static ag_status read_skills(const ag_option_list *list, unsigned *bits, ag_error *err)
{
    for (int i = 0; i < list->count; i++) {
        int k = 0;
        while (k < 3 && strcmp(list->items[i], ag_skill_names[k]) != 0) k++;
        if (k == 3)
            return ag_fail(err, AG_ERR_USAGE, "--withhold-skill: '%s' is not units, synonyms or hierarchy",
                           list->items[i]);
        *bits |= 1u << k;
    }
    return AG_OK;
}

/* Queries of a file: JSONL pairs (their "query") or plain lines. */
static ag_status read_queries(texts *to, ag_arena *arena, const char *path, ag_error *err)
{
    ag_lines *lines = NULL;
    char *line;
    size_t len;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && (status = ag_lines_next(lines, &line, &len, err)) == AG_OK && line) {
        json_t *json = NULL;
        const char *query = line;
        if (len == 0) continue;
        if (*line == '{') {
            status = ag_json_parse(&json, line, len, path, ag_lines_number(lines), err);
            query = status == AG_OK ? json_string_value(json_object_get(json, "query")) : "";
            if (!query)
                status = ag_fail(err, AG_ERR_INPUT, "%s:%ld: no \"query\"", path, ag_lines_number(lines));
        }
        bool repeated = status == AG_OK && to->count && strcmp(to->items[to->count - 1], query) == 0;
        if (status == AG_OK && !repeated && !ag_grow(&to->items, &to->cap, to->count + 1, sizeof *to->items))
            status = ag_fail_memory(err, "queries");
        if (status == AG_OK && !repeated && !(to->items[to->count++] = ag_arena_strdup(arena, query)))
            status = ag_fail_memory(err, "queries");
        json_decref(json);
    }
    ag_lines_close(lines);
    return status;
}

/* A catalogue from a file; what of it cannot be used is said once a kind. Products without a category get the kind that
 * their texts name. */
static ag_status load_catalogue(inputs *in, const settings *s, ag_error *err)
{
    ag_catalogue_file file = {
        .path = s->catalogue, .keep_html = s->keep_html, .maps = s->maps.items, .map_count = s->maps.count};
    ag_status status = ag_products_load(&in->products, &file, err);
    if (status != AG_OK) return status;
    in->items = in->products.items;
    in->item_count = in->products.count;
    size_t stated = 0, read = 0;
    for (size_t i = 0; i < in->item_count && status == AG_OK; i++) {
        ag_item *item = &in->items[i];
        stated += item->category != NULL;
        if (!item->category) status = ag_facts_kind(&item->kind, in->facts, item, err);
        read += item->kind != NULL;
    }
    for (int f = 0; f < AG_PRODUCT_FAULTS && status == AG_OK; f++) {
        ag_str text = {0};
        if (ag_products_fault(&in->products, (ag_product_fault)f, &text)) ag_warn("%s", ag_str_text(&text));
        ag_str_free(&text);
    }
    if (status == AG_OK && !s->quiet)
        ag_say("%s: %zu products; %zu state a category, of %zu the texts say what they are", s->catalogue,
               in->item_count, stated, read);
    return status;
}

static ag_status invent_shop(inputs *in, const settings *s, ag_error *err)
{
    ag_shop_options shop;
    ag_shop_defaults(&shop);
    shop.products = s->products;
    shop.seed = (uint64_t)s->seed;
    shop.missing = s->missing;
    shop.text_only = s->text_only;
    return ag_shop_invent(&in->items, &in->item_count, &shop, &in->arena, err);
}

static ag_status open_inputs(inputs *in, const settings *s, ag_error *err)
{
    in->arena.name = "shop";
    ag_status status = ag_book_load(&in->book, s->rules, err);
    if (status == AG_OK) status = ag_facts_of_book(&in->facts, in->book, err);
    if (status == AG_OK) status = s->catalogue ? load_catalogue(in, s, err) : invent_shop(in, s, err);
    if (status == AG_OK) status = ag_lexicon_create(&in->lexicon, in->facts, in->book, err);
    for (size_t i = 0; i < in->item_count && status == AG_OK; i++)
        status = ag_lexicon_add_item(in->lexicon, &in->items[i], err);
    for (int i = 0; i < s->refuse.count && status == AG_OK; i++)
        status = read_queries(&in->refused, &in->arena, s->refuse.items[i], err);
    if (status == AG_OK && s->queries) status = read_queries(&in->real, &in->arena, s->queries, err);
    return status;
}

static void close_inputs(inputs *in)
{
    ag_lexicon_free(in->lexicon);
    ag_facts_free(in->facts);
    ag_book_free(in->book);
    ag_free(in->refused.items);
    ag_free(in->real.items);
    ag_products_free(&in->products);
    ag_arena_free(&in->arena);
}

/* --- the command --------------------------------------------------------------------------------------------- */

static ag_status write_beside(const inputs *in, const char *dir, ag_error *err)
{
    char *catalogue = ag_path_join(dir, "catalogue.jsonl"), *lexicon = ag_path_join(dir, "lexicon.json");
    ag_status status = catalogue && lexicon ? AG_OK : ag_fail_memory(err, "path");
    if (status == AG_OK) status = ag_synth_write_catalogue(in->items, in->item_count, catalogue, err);
    if (status == AG_OK) status = ag_lexicon_save(in->lexicon, lexicon, err);
    ag_free(catalogue);
    ag_free(lexicon);
    return status;
}

/* Shares of types: as given; or those of the real queries, which come first themselves; or what is usual. */
static ag_status choose_shares(ag_synth_options *o, const inputs *in, const settings *s, ag_error *err)
{
    bool given = false;
    for (int t = 0; t < AG_SYNTH_TYPES; t++) given |= s->type[t] > 0;
    if (given) {
        for (int t = 0; t < AG_SYNTH_TYPES; t++) o->type_share[t] = s->type[t] > 0 ? s->type[t] : 0;
    } else if (s->queries) {
        ag_status status = ag_synth_fit_shares(o->type_share, in->facts, in->lexicon, in->real.items,
                                               in->real.count, err);
        o->type_share[AG_SYNTH_REAL] = 1;
        return status;
    } else if (s->catalogue) {
        memcpy(o->type_share, ag_synth_catalogue_shares, sizeof o->type_share);
    }
    return AG_OK;
}

/* What each product is read as: a sheet for whoever edits the facts file. */
static void write_kinds(ag_out *out, const ag_item *items, size_t count)
{
    ag_out_printf(out, "id\tkind\ttitle\n");
    for (size_t i = 0; i < count; i++) {
        const char *kind = ag_item_kind(&items[i]);
        ag_out_printf(out, "%s\t%s\t", items[i].id, kind ? kind : "");
        ag_out_cell(out, items[i].title, strlen(items[i].title));
        ag_out_printf(out, "\n");
    }
}

/* About the catalogue and the facts file, and no pairs: what the facts lack, and what they make of each product. */
static ag_status look(const settings *s, ag_error *err)
{
    enum { PRODUCTS_A_LINE = 5 };
    inputs in = {0};
    ag_out *mined_out = NULL, *kinds_out = NULL;
    ag_mined mined;
    ag_status status = ag_book_load(&in.book, s->rules, err);
    if (status == AG_OK) status = ag_facts_of_book(&in.facts, in.book, err);
    if (status == AG_OK) status = load_catalogue(&in, s, err);
    if (status == AG_OK && s->kinds) status = ag_out_open(&kinds_out, s->kinds, err);
    if (status == AG_OK && s->mine) status = ag_out_open(&mined_out, s->mine, err);
    if (kinds_out) write_kinds(kinds_out, in.items, in.item_count);
    if (mined_out)
        status = ag_facts_mine(mined_out, &mined, in.items, in.item_count, in.facts, ag_book_english(in.book),
                               in.book->facts_path, PRODUCTS_A_LINE, err);
    ag_out *const outs[] = {kinds_out, mined_out};
    for (size_t i = 0; i < sizeof outs / sizeof *outs; i++) {
        if (status == AG_OK && outs[i])
            status = ag_out_commit(outs[i], err);
        else
            ag_out_abort(outs[i]);
    }
    if (status == AG_OK && s->mine)
        ag_say("%s: %ld synonyms, %ld gaps; read it before you use it", s->mine, mined.synonyms, mined.gaps);
    close_inputs(&in);
    return status;
}

static ag_status run(const settings *s, ag_error *err)
{
    inputs in = {0};
    ag_synth *synth = NULL;
    ag_synth_options o;
    ag_synth_defaults(&o);
    o.pairs = s->pairs;
    o.seed = (uint64_t)s->seed;
    o.unseen_products = s->unseen_products;
    if (s->catalogue) {
        o.per_query = 10;
        o.unseen_brands = 24;
        o.unseen_categories = 12;
        o.disturbed = 0.125;
    }
    if (s->per_query) o.per_query = (int)s->per_query;
    if (s->unseen_brands >= 0) o.unseen_brands = (int)s->unseen_brands;
    if (s->unseen_categories >= 0) o.unseen_categories = (int)s->unseen_categories;
    if (s->disturbed >= 0) o.disturbed = s->disturbed;
    o.asked_parsed = s->asked_parsed;
    o.withhold = s->withhold;
    o.relabel = s->relabel;
    memcpy(o.part_share, s->part, sizeof o.part_share);
    ag_status status = read_skills(&s->skills, &o.withhold_skills, err);
    if (status == AG_OK) status = open_inputs(&in, s, err);
    if (status == AG_OK) status = choose_shares(&o, &in, s, err);
    if (status == AG_OK && s->tiers) status = read_tiers(s->tiers, in.book, o.tier_share, err);
    o.refused = in.refused.items;
    o.refused_count = in.refused.count;
    o.queries = in.real.items;
    o.query_count = in.real.count;
    o.catalogue = s->catalogue != NULL;
    if (status == AG_OK)
        status = ag_synth_run(&synth, in.items, in.item_count, in.facts, in.book, in.lexicon, &o, err);
    if (status == AG_OK) status = ag_synth_write(synth, in.book, s->out, err);
    if (status == AG_OK) status = write_beside(&in, s->out, err);
    if (status == AG_OK && s->audit)
        status = ag_synth_write_audit(synth, in.book, s->audit, (uint64_t)s->seed, s->out, err);
    if (status == AG_OK && !s->quiet) ag_synth_print(synth, in.book, in.facts, in.real.items, in.real.count);
    for (int p = 0; status == AG_OK && p < AG_SYNTH_PARTS; p++)
        if ((long)synth->pair_count[p] < synth->wanted[p])
            ag_warn("%s has %zu of %ld pairs: the catalogue and rules give no more; try --products or fewer "
                    "pairs",
                    ag_synth_part_names[p], synth->pair_count[p], synth->wanted[p]);
    ag_synth_free(synth);
    close_inputs(&in);
    return status;
}

/* What must hold between the options. */
static ag_status check(const settings *s, ag_error *err)
{
    bool looks = s->mine || s->kinds;
    if (!s->rules)
        return ag_fail(err, AG_ERR_USAGE, "synth needs --rules BOOK, for example --rules rules/shop.yaml");
    if (looks && !s->catalogue)
        return ag_fail(err, AG_ERR_USAGE, "%s reads a catalogue; name one with --catalogue FILE",
                       s->mine ? "--mine" : "--kinds");
    if (!s->out && !looks) return ag_fail(err, AG_ERR_USAGE, "synth needs --out DIR");
    if (!s->catalogue && (s->maps.count || s->keep_html))
        return ag_fail(err, AG_ERR_USAGE,
                       "--map and --keep-html are about a catalogue; name one with --catalogue FILE");
    if (!s->catalogue && s->queries)
        return ag_fail(err, AG_ERR_USAGE,
                       "--queries are asked of a catalogue; name one with --catalogue FILE");
    return AG_OK;
}

int ag_cmd_synth(int argc, char **argv)
{
    static const ag_usage usage = {
        "agrl synth --rules BOOK --out DIR [options]",
        "Makes queries over a catalogue or an invented shop, pairs them with products of every "
        "tier, and derives each label (verdicts, "
        "deciding rule, tier, reason) from the products' facts and the rulebook. "
        "DIR gets sft.jsonl, rl.jsonl, "
        "valid.jsonl, test.jsonl, test_unseen.jsonl, catalogue.jsonl and "
        "lexicon.json. Shares (of files, query types, tiers) are weights: each "
        "group is divided by its sum. The same settings give the same bytes.",
        0, 0};
    settings s;
    ag_synth_options o;
    ag_shop_options shop;
    char **args;
    int nargs;
    ag_error err = {0};
    ag_synth_defaults(&o);
    ag_shop_defaults(&shop);
    set_defaults(&s, &o, &shop);
    const ag_option options[] = {
        {"rules", AG_OPT_STRING, &s.rules, "BOOK", "rulebook (needed)", 0, 0},
        {"out", AG_OPT_STRING, &s.out, "DIR", "folder for the files (needed)", 0, 0},
        {"catalogue", AG_OPT_STRING, &s.catalogue, "FILE",
         "a shop's products: JSONL, CSV or TSV, plain or gz (none: a shop is invented)", 0, 0},
        {"map", AG_OPT_LIST, &s.maps, "COLUMN=FIELD",
         "a column of the catalogue that is not understood by its name", 0, 0},
        {"keep-html", AG_OPT_FLAG, &s.keep_html, NULL, "leave HTML in titles and descriptions", 0, 0},
        {"queries", AG_OPT_STRING, &s.queries, "FILE",
         "real queries (a line each, or JSONL pairs): those that the parser reads to the end are used first",
         0, 0},
        {"mine", AG_OPT_STRING, &s.mine, "FILE",
         "instead of pairs: write what the facts file lacks for the catalogue, as a facts file to edit", 0,
         0},
        {"kinds", AG_OPT_STRING, &s.kinds, "FILE",
         "instead of pairs: write what each product is read as, a line each (id, kind, title)", 0, 0},
        {"audit", AG_OPT_INT, &s.audit, "N",
         "also write audit.tsv, a sheet of N pairs for a reader, and audit-key.tsv with their labels", 0,
         100000},
        {"pairs", AG_OPT_INT, &s.pairs, "N", "pairs in all files together", 1, 1e8},
        {"seed", AG_OPT_INT, &s.seed, "N", "seed of shop, queries and splits", 0, 9e15},
        {"products", AG_OPT_INT, &s.products, "N", "products of the invented shop", 1, 1e7},
        {"per-query", AG_OPT_INT, &s.per_query, "N",
         "products of one query at most (default 5; catalogue 10)", 1, 64},
        {"sft-share", AG_OPT_NUMBER, &s.part[AG_SYNTH_SFT], "X", "share of the pairs in sft.jsonl", 0, 1},
        {"rl-share", AG_OPT_NUMBER, &s.part[AG_SYNTH_RL], "X", "share in rl.jsonl", 0, 1},
        {"valid-share", AG_OPT_NUMBER, &s.part[AG_SYNTH_VALID], "X", "share in valid.jsonl", 0, 1},
        {"test-share", AG_OPT_NUMBER, &s.part[AG_SYNTH_TEST], "X",
         "share in test.jsonl (unseen queries and products)", 0, 1},
        {"unseen-share", AG_OPT_NUMBER, &s.part[AG_SYNTH_UNSEEN], "X",
         "share in test_unseen.jsonl (unseen brands and categories)", 0, 1},
        {"plain", AG_OPT_NUMBER, &s.type[AG_SYNTH_PLAIN], "X", "share of plain queries", 0, 1},
        {"negation", AG_OPT_NUMBER, &s.type[AG_SYNTH_NEGATION], "X", "share of queries with 'not'", 0, 1},
        {"alternative", AG_OPT_NUMBER, &s.type[AG_SYNTH_ALTERNATIVE], "X", "share of 'alternative to'", 0, 1},
        {"question", AG_OPT_NUMBER, &s.type[AG_SYNTH_QUESTION], "X", "share of questions", 0, 1},
        {"knowledge", AG_OPT_NUMBER, &s.type[AG_SYNTH_KNOWLEDGE], "X", "share that needs knowledge", 0, 1},
        {"kind", AG_OPT_NUMBER, &s.type[AG_SYNTH_KIND], "X", "catalogue: share that names a kind of thing", 0,
         1},
        {"attribute", AG_OPT_NUMBER, &s.type[AG_SYNTH_ATTRIBUTE], "X", "catalogue: kind and an attribute", 0,
         1},
        {"brand", AG_OPT_NUMBER, &s.type[AG_SYNTH_BRAND], "X", "catalogue: a brand, or brand and kind", 0, 1},
        {"model", AG_OPT_NUMBER, &s.type[AG_SYNTH_MODEL], "X", "catalogue: a part number", 0, 1},
        {"device", AG_OPT_NUMBER, &s.type[AG_SYNTH_DEVICE], "X", "catalogue: what fits a device", 0, 1},
        {"absent", AG_OPT_NUMBER, &s.type[AG_SYNTH_ABSENT], "X", "catalogue: things that are not sold", 0, 1},
        {"real", AG_OPT_NUMBER, &s.type[AG_SYNTH_REAL], "X", "with --queries: real ones", 0, 1},
        {"tiers", AG_OPT_STRING, &s.tiers, "ID=X,...", "shares of the tiers (equal)", 0, 0},
        {"unseen-products", AG_OPT_NUMBER, &s.unseen_products, "X", "share of products kept for tests", 0,
         0.9},
        {"unseen-brands", AG_OPT_INT, &s.unseen_brands, "N",
         "brands kept for test_unseen (default 2; catalogue 24)", 0, 1000},
        {"unseen-categories", AG_OPT_INT, &s.unseen_categories, "N",
         "categories kept for test_unseen (default 1; catalogue 12)", 0, 1000},
        {"disturbed", AG_OPT_NUMBER, &s.disturbed, "X",
         "share of queries with a slip, or (invented shop) in another word order (default 0.08; catalogue "
         "0.125)",
         0, 1},
        {"missing", AG_OPT_NUMBER, &s.missing, "X", "share of facts that a product does not state", 0, 1},
        {"text-only", AG_OPT_NUMBER, &s.text_only, "X", "share of facts that stand in the title only", 0, 1},
        {"asked-parsed", AG_OPT_NUMBER, &s.asked_parsed, "SHARE",
         "share of sft pairs with the parser's asked", 0, 1},
        {"withhold", AG_OPT_STRING, &s.withhold, "RULE", "no pair that this rule decides in sft.jsonl", 0, 0},
        {"relabel", AG_OPT_FLAG, &s.relabel, NULL,
         "with --withhold: keep such pairs, labelled as if the rule were not in the book", 0, 0},
        {"withhold-skill", AG_OPT_LIST, &s.skills, "SKILL",
         "no pair in sft.jsonl whose verdicts need units, synonyms or hierarchy", 0, 0},
        {"refuse", AG_OPT_LIST, &s.refuse, "FILE",
         "make no query of a group of this file (JSONL pairs or a query a line)", 0, 0},
        {"quiet", AG_OPT_FLAG, &s.quiet, NULL, "no table", 0, 0},
        {0}};
    int code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_status status = check(&s, &err);
    if (status == AG_OK) status = s.mine || s.kinds ? look(&s, &err) : run(&s, &err);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}
