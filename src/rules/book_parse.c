/* book_parse.c: from the YAML tree of a rulebook to its tables. One function a key; every complaint has a place.
 *
 * A key that is absent or null takes its default. Unknown keys, ids that an answer could not carry, caps and verdicts
 * that do not exist are refused here, so that nothing behind this file checks them again.
 */
#include "rules/book_parse.h"

#include <stdio.h>
#include <string.h>

#include "rules/when.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const char *const order_names[] = {"respond_then_think", "think_then_respond", "verdicts_then_tier"};
static const char *const why_names[] = {"none", "required"};
static const char *const source_names[] = {"none", "category", "attribute"};
static const char *const per_names[] = {"single", "asked"};

/* Relations that each source knows: a range of ag_relation. */
static const struct {
    int first, end;
} relations[] = {{0, 0}, {AG_REL_SAME, AG_REL_ELSE + 1}, {AG_REL_EQUAL, AG_REL_OTHER + 1}};

/* --- small readings ----------------------------------------------------------------------------------------- */

ag_status ag_book_memory(ag_book_reader *r)
{
    return ag_fail_memory(r->err, "rulebook");
}

const ag_yaml *ag_book_member(const ag_yaml *map, const char *key)
{
    const ag_yaml *node = ag_yaml_get(map, key);
    return ag_yaml_is_null(node) ? NULL : node;
}

ag_status ag_book_text(ag_book_reader *r, const ag_yaml *node, const char *what, const char **value)
{
    return node ? ag_yaml_string(node, r->where, what, value, r->err) : AG_OK;
}

/* Text of one line: line breaks and the blanks around them become one space, the ends are trimmed. */
static ag_status read_line(ag_book_reader *r, const ag_yaml *node, const char *what, const char **value)
{
    const char *text = NULL;
    if (!node) return AG_OK;
    AG_TRY(ag_book_text(r, node, what, &text));
    char *line = ag_arena_strdup(&r->book->arena, text);
    if (!line) return ag_book_memory(r);
    size_t n = 0;
    for (const char *c = text; *c; c++) {
        bool blank = *c == ' ' || (unsigned char)*c < 0x20 || *c == 0x7F;
        if (!blank)
            line[n++] = *c;
        else if (n > 0 && line[n - 1] != ' ')
            line[n++] = ' ';
    }
    while (n > 0 && line[n - 1] == ' ') n--;
    line[n] = '\0';
    *value = line;
    return AG_OK;
}

ag_status ag_book_choice(ag_book_reader *r, const ag_yaml *node, const char *what, const char *const *names,
                         int n, int *index)
{
    const char *text = NULL;
    char known[128] = "";
    if (!node) return AG_OK;
    AG_TRY(ag_book_text(r, node, what, &text));
    for (int i = 0; i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *index = i;
            return AG_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", names[i]);
    }
    return ag_yaml_fail(r->err, r->where, node, "%s '%s' is not one of %s%s", what, text, known,
                        ag_suggest(text, names, (size_t)n).text);
}

ag_status ag_book_texts(ag_book_reader *r, const ag_yaml *node, const char *what, const char ***items,
                        int *count)
{
    if (!node) return AG_OK;
    bool one = node->kind == AG_YAML_SCALAR;
    if (node->kind == AG_YAML_MAP)
        return ag_yaml_fail(r->err, r->where, node, "%s must be a list of texts", what);
    int n = one ? 1 : node->count;
    *items = ag_arena_alloc(&r->book->arena, (size_t)n + 1, sizeof(**items));
    if (!*items) return ag_book_memory(r);
    for (int i = 0; i < n; i++)
        AG_TRY(ag_yaml_string(one ? node : node->values[i], r->where, what, &(*items)[i], r->err));
    *count = n;
    return AG_OK;
}

static ag_status read_weight(ag_book_reader *r, const ag_yaml *node, const char *what, double *value)
{
    if (!node) return AG_OK;
    AG_TRY(ag_yaml_double(node, r->where, what, value, r->err));
    if (*value < 0) return ag_yaml_fail(r->err, r->where, node, "%s must not be negative", what);
    return AG_OK;
}

static ag_status read_bool(ag_book_reader *r, const ag_yaml *node, const char *what, bool *value)
{
    return node ? ag_yaml_bool(node, r->where, what, value, r->err) : AG_OK;
}

/* --- ids ---------------------------------------------------------------------------------------------------- */

const char *ag_id_problem(const char *id)
{
    static const char *const reserved[] = {"core", "minor", "negated", "asserted", "otherwise",
                                           "and",  "or",    "not",     "in"};
    static const char *const blanks[] = {" ", "\xC2\xA0",
                                         "\xE3\x80\x80"}; /* also the no-break and ideographic space */
    size_t n = strlen(id);
    if (n == 0) return "is empty";
    if (n > 200) return "is longer than 200 bytes";
    if (!ag_utf8_valid(id, n, NULL)) return "is not UTF-8";
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)id[i] < 0x20 || id[i] == 0x7F) return "contains a control character";
        if (strchr(":;=#,[]+", id[i])) return "contains one of the reserved characters : ; = # , [ ] +";
    }
    for (int i = 0; i < COUNT(blanks); i++) {
        size_t b = strlen(blanks[i]);
        if (n >= b && (memcmp(id, blanks[i], b) == 0 || memcmp(id + n - b, blanks[i], b) == 0))
            return "begins or ends with a space";
    }
    for (int i = 0; i < COUNT(reserved); i++)
        if (strcmp(id, reserved[i]) == 0) return "is a reserved word";
    return NULL;
}

ag_status ag_book_id(ag_book_reader *r, const ag_yaml *node, const char *what, const char **id)
{
    AG_TRY(ag_yaml_string(node, r->where, what, id, r->err));
    const char *problem = ag_id_problem(*id);
    if (problem) return ag_yaml_fail(r->err, r->where, node, "%s '%s' %s", what, *id, problem);
    return AG_OK;
}

/* The id under `id` of a map; a missing key is reported at the map. */
static ag_status read_id(ag_book_reader *r, const ag_yaml *map, const char *what, const char **id)
{
    const ag_yaml *node = ag_book_member(map, "id");
    if (!node) return ag_yaml_fail(r->err, r->where, map, "%s is missing", what);
    return ag_book_id(r, node, what, id);
}

static ag_status given_twice(ag_book_reader *r, const ag_yaml *node, const char *what, const char *id)
{
    return ag_yaml_fail(r->err, r->where, node, "%s '%s' is given twice", what, id);
}

/* A list with between lo and hi items, each a map with known keys. */
static ag_status check_list(ag_book_reader *r, const ag_yaml *node, const char *what, int lo, int hi,
                            const char *const *keys, int key_count)
{
    if (node->kind != AG_YAML_LIST) return ag_yaml_fail(r->err, r->where, node, "%s must be a list", what);
    if (node->count < lo)
        return ag_yaml_fail(r->err, r->where, node, "%s has %d entries; at least %d are needed", what,
                            node->count, lo);
    if (node->count > hi)
        return ag_yaml_fail(r->err, r->where, node, "%s has %d entries; at most %d are possible", what,
                            node->count, hi);
    for (int i = 0; i < node->count; i++)
        AG_TRY(ag_yaml_known_keys(node->values[i], r->where, keys, (size_t)key_count, r->err));
    return AG_OK;
}

/* --- tiers -------------------------------------------------------------------------------------------------- */

/* Without gains: 2^(tiers below) - 1, the usual exponential gain. Some with and some without is a slip of the pen. */
static ag_status read_gains(ag_book_reader *r, const ag_yaml *list)
{
    ag_tier *tiers = r->book->tiers;
    int given = 0;
    for (int i = 0; i < list->count; i++) given += ag_book_member(list->values[i], "gain") != NULL;
    for (int i = 0; i < list->count; i++) {
        const ag_yaml *node = ag_book_member(list->values[i], "gain");
        if (given == 0) tiers[i].gain = (double)((1LL << (list->count - 1 - i)) - 1);
        if (given == 0) continue;
        if (!node)
            return ag_yaml_fail(r->err, r->where, list->values[i],
                                "tier '%s' has no gain, but others have one", tiers[i].id);
        AG_TRY(ag_yaml_double(node, r->where, "gain", &tiers[i].gain, r->err));
        if (i > 0 && tiers[i].gain > tiers[i - 1].gain)
            return ag_yaml_fail(r->err, r->where, node,
                                "tiers stand best first, but tier '%s' has a larger gain than '%s' before it",
                                tiers[i].id, tiers[i - 1].id);
    }
    return AG_OK;
}

static ag_status read_tiers(ag_book_reader *r, const ag_yaml *root)
{
    static const char *const keys[] = {"id", "name", "gain", "good"};
    ag_book *book = r->book;
    const ag_yaml *list = ag_book_member(root, "tiers");
    if (!list)
        return ag_yaml_fail(r->err, r->where, root, "'tiers' is missing: a list of two or more, best first");
    AG_TRY(check_list(r, list, "tiers", 2, AG_MAX_TIERS, keys, COUNT(keys)));
    book->tiers = ag_arena_alloc(&book->arena, (size_t)list->count, sizeof(*book->tiers));
    if (!book->tiers) return ag_book_memory(r);
    for (int i = 0; i < list->count; i++) {
        const ag_yaml *node = list->values[i];
        ag_tier *tier = &book->tiers[i];
        AG_TRY(read_id(r, node, "a tier's id", &tier->id));
        if (ag_book_tier(book, tier->id) >= 0)
            return given_twice(r, ag_yaml_get(node, "id"), "tier", tier->id);
        tier->name = tier->id;
        tier->good = i < list->count / 2;
        AG_TRY(read_line(r, ag_book_member(node, "name"), "a tier's name", &tier->name));
        AG_TRY(read_bool(r, ag_book_member(node, "good"), "good", &tier->good));
        book->tier_count++;
    }
    return read_gains(r, list);
}

/* --- criteria ----------------------------------------------------------------------------------------------- */

static ag_status read_verdicts(ag_book_reader *r, const ag_yaml *map, ag_criterion *criterion)
{
    const ag_yaml *list = ag_book_member(map, "verdicts");
    if (!list || list->kind != AG_YAML_LIST || list->count < 1)
        return ag_yaml_fail(r->err, r->where, list ? list : map,
                            "criterion '%s' needs `verdicts`: a list, best first", criterion->id);
    if (list->count > AG_MAX_VERDICTS)
        return ag_yaml_fail(r->err, r->where, list, "criterion '%s' has %d verdicts; at most %d are possible",
                            criterion->id, list->count, AG_MAX_VERDICTS);
    criterion->verdicts = ag_arena_alloc(&r->book->arena, (size_t)list->count, sizeof(*criterion->verdicts));
    if (!criterion->verdicts) return ag_book_memory(r);
    for (int i = 0; i < list->count; i++) {
        AG_TRY(ag_book_id(r, list->values[i], "a verdict", &criterion->verdicts[i]));
        if (ag_criterion_verdict(criterion, criterion->verdicts[i]) >= 0)
            return given_twice(r, list->values[i], "verdict", criterion->verdicts[i]);
        criterion->verdict_count++;
    }
    return AG_OK;
}

static ag_status unknown_verdict(ag_book_reader *r, const ag_yaml *node, const ag_criterion *criterion,
                                 const char *verdict)
{
    return ag_yaml_fail(r->err, r->where, node, "'%s' is no verdict of '%s'%s", verdict, criterion->id,
                        ag_suggest(verdict, criterion->verdicts, (size_t)criterion->verdict_count).text);
}

static ag_status read_map(ag_book_reader *r, const ag_yaml *map, ag_criterion *criterion)
{
    const ag_yaml *node = ag_book_member(map, "map");
    for (int i = 0; i < AG_REL_COUNT; i++) criterion->map[i] = -1;
    if (!node) return AG_OK;
    if (criterion->from == AG_FROM_NONE)
        return ag_yaml_fail(r->err, r->where, node, "`map` needs `from: category` or `from: attribute`");
    int first = relations[criterion->from].first, end = relations[criterion->from].end;
    AG_TRY(ag_yaml_known_keys(node, r->where, ag_relation_names + first, (size_t)(end - first), r->err));
    for (int i = first; i < end; i++) {
        const ag_yaml *value = ag_book_member(node, ag_relation_names[i]);
        const char *verdict = NULL;
        if (!value) continue;
        AG_TRY(ag_book_text(r, value, "a verdict", &verdict));
        criterion->map[i] = ag_criterion_verdict(criterion, verdict);
        if (criterion->map[i] < 0) return unknown_verdict(r, value, criterion, verdict);
    }
    if (criterion->from == AG_FROM_CATEGORY) /* what the map leaves out is something else */
        for (int i = first; i < AG_REL_ELSE; i++)
            if (criterion->map[i] < 0) criterion->map[i] = criterion->map[AG_REL_ELSE];
    return AG_OK;
}

static ag_status read_criterion(ag_book_reader *r, const ag_yaml *node, ag_criterion *criterion)
{
    static const char *const taken[] = {"tier", "rule", "why", "format", "query.type"};
    int per = 0, from = 0;
    AG_TRY(read_id(r, node, "a criterion's id", &criterion->id));
    for (int i = 0; i < COUNT(taken); i++)
        if (strcmp(criterion->id, taken[i]) == 0)
            return ag_yaml_fail(r->err, r->where, ag_yaml_get(node, "id"),
                                "a criterion cannot be called '%s': answers and verdicts use that word",
                                taken[i]);
    criterion->name = criterion->id;
    criterion->weight = 0.2;
    AG_TRY(read_line(r, ag_book_member(node, "name"), "a criterion's name", &criterion->name));
    AG_TRY(ag_book_choice(r, ag_book_member(node, "per"), "per", per_names, COUNT(per_names), &per));
    AG_TRY(read_verdicts(r, node, criterion));
    AG_TRY(read_weight(r, ag_book_member(node, "weight"), "weight", &criterion->weight));
    AG_TRY(ag_book_choice(r, ag_book_member(node, "from"), "from", source_names, COUNT(source_names), &from));
    criterion->per_asked = per == 1;
    criterion->from = (ag_fact_source)from;
    if (criterion->from == AG_FROM_ATTRIBUTE && !criterion->per_asked)
        return ag_yaml_fail(r->err, r->where, ag_yaml_get(node, "from"),
                            "`from: attribute` needs `per: asked`");
    if (criterion->from == AG_FROM_CATEGORY && criterion->per_asked)
        return ag_yaml_fail(r->err, r->where, ag_yaml_get(node, "from"),
                            "`from: category` is one fact an item; it cannot be `per: asked`");
    return read_map(r, node, criterion);
}

static ag_status read_criteria(ag_book_reader *r, const ag_yaml *root)
{
    static const char *const keys[] = {"id", "name", "per", "verdicts", "weight", "from", "map"};
    ag_book *book = r->book;
    const ag_yaml *list = ag_book_member(root, "criteria");
    if (!list) return AG_OK;
    AG_TRY(check_list(r, list, "criteria", 0, AG_MAX_CRITERIA, keys, COUNT(keys)));
    book->criteria = ag_arena_alloc(&book->arena, (size_t)list->count, sizeof(*book->criteria));
    if (!book->criteria) return ag_book_memory(r);
    for (int i = 0; i < list->count; i++) {
        ag_criterion *criterion = &book->criteria[i];
        AG_TRY(read_criterion(r, list->values[i], criterion));
        if (ag_book_criterion(book, criterion->id) >= 0)
            return given_twice(r, ag_yaml_get(list->values[i], "id"), "criterion", criterion->id);
        book->criterion_count++;
    }
    return AG_OK;
}

/* --- rules -------------------------------------------------------------------------------------------------- */

static ag_status read_cap(ag_book_reader *r, const ag_yaml *map, ag_rule *rule)
{
    const ag_book *book = r->book;
    const ag_yaml *node = ag_book_member(map, "cap");
    const char *text = NULL, *names[AG_MAX_TIERS];
    if (!node)
        return ag_yaml_fail(r->err, r->where, map, "rule '%s' has no `cap`: the id of a tier", rule->id);
    AG_TRY(ag_book_text(r, node, "cap", &text));
    rule->cap = ag_book_tier(book, text);
    if (rule->cap >= 0) return AG_OK;
    for (int i = 0; i < book->tier_count; i++) {
        names[i] = book->tiers[i].id;
        if (strcmp(text, book->tiers[i].name) == 0)
            return ag_yaml_fail(r->err, r->where, node, "cap '%s' is a tier's name; its id is '%s'", text,
                                names[i]);
    }
    ag_suggestion near = ag_suggest(text, names, (size_t)book->tier_count);
    return ag_yaml_fail(r->err, r->where, node, "cap '%s' is no tier%s", text,
                        *near.text ? near.text : "'s id");
}

static ag_status read_condition(ag_book_reader *r, const ag_yaml *map, ag_rule *rule)
{
    const ag_yaml *node = ag_book_member(map, "when");
    size_t at;
    if (!node) return ag_yaml_fail(r->err, r->where, map, "rule '%s' has no `when`", rule->id);
    AG_TRY(ag_book_text(r, node, "when", &rule->when));
    ag_status status = ag_when_compile(&rule->condition, r->book, rule->when, &at, r->err);
    if (status == AG_ERR_INPUT) {
        int line, column;
        ag_book_place(r, node, at, &line, &column);
        ag_error_prefix(r->err, "%s:%d:%d: rule '%s'", r->where, line, column, rule->id);
    }
    if (status != AG_OK) return status;
    return read_line(r, node, "when", &rule->when); /* for people: on one line */
}

static ag_status read_rule(ag_book_reader *r, const ag_yaml *node, ag_rule *rule)
{
    rule->line = node->line;
    rule->column = node->column;
    AG_TRY(read_id(r, node, "a rule's id", &rule->id));
    if (ag_book_rule(r->book, rule->id) >= 0)
        return given_twice(r, ag_yaml_get(node, "id"), "rule", rule->id);
    AG_TRY(read_cap(r, node, rule));
    AG_TRY(read_condition(r, node, rule));
    rule->text = rule->when;
    AG_TRY(read_line(r, ag_book_member(node, "text"), "a rule's text", &rule->text));
    if (rule->condition) return AG_OK;
    for (int i = 0; i < r->book->rule_count; i++)
        if (!r->book->rules[i].condition)
            return ag_yaml_fail(r->err, r->where, node, "rule '%s' is `otherwise`, but rule '%s' is already",
                                rule->id, r->book->rules[i].id);
    return AG_OK;
}

static ag_status read_rules(ag_book_reader *r, const ag_yaml *root)
{
    static const char *const keys[] = {"id", "when", "cap", "text"};
    ag_book *book = r->book;
    const ag_yaml *list = ag_book_member(root, "rules");
    if (!list) return AG_OK;
    AG_TRY(check_list(r, list, "rules", 0, AG_MAX_RULES, keys, COUNT(keys)));
    book->rules = ag_arena_alloc(&book->arena, (size_t)list->count, sizeof(*book->rules));
    if (!book->rules) return ag_book_memory(r);
    for (int i = 0; i < list->count; i++) {
        AG_TRY(read_rule(r, list->values[i], &book->rules[i]));
        book->rule_count++;
    }
    return AG_OK;
}

/* --- the rest ----------------------------------------------------------------------------------------------- */

static ag_status read_reward(ag_book_reader *r, const ag_yaml *root)
{
    static const char *const keys[] = {"tier", "rule", "format_penalty"};
    ag_book *book = r->book;
    const ag_yaml *node = ag_book_member(root, "reward");
    book->weight_tier = 1.0;
    book->weight_rule = 0.1;
    book->format_penalty = 0.5;
    if (!node) return AG_OK;
    AG_TRY(ag_yaml_known_keys(node, r->where, keys, COUNT(keys), r->err));
    AG_TRY(read_weight(r, ag_book_member(node, "tier"), "tier", &book->weight_tier));
    AG_TRY(read_weight(r, ag_book_member(node, "rule"), "rule", &book->weight_rule));
    return read_weight(r, ag_book_member(node, "format_penalty"), "format_penalty", &book->format_penalty);
}

static ag_status read_instruction(ag_book_reader *r, const ag_yaml *root)
{
    const char *text = "Judge how well the product answers the shopper's query. Use the rules.";
    AG_TRY(ag_book_text(r, ag_book_member(root, "instruction"), "instruction", &text));
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' ')) n--; /* what a block scalar leaves */
    r->book->instruction = ag_arena_strndup(&r->book->arena, text, n);
    return r->book->instruction ? AG_OK : ag_book_memory(r);
}

static ag_status read_head(ag_book_reader *r, const ag_yaml *root)
{
    ag_book *book = r->book;
    int order = 0, why = 0;
    long chars = 160;
    const ag_yaml *name = ag_book_member(root, "rulebook"), *why_chars = ag_book_member(root, "why_chars");
    if (!name) return ag_yaml_fail(r->err, r->where, root, "'rulebook' is missing: the book's name");
    AG_TRY(read_line(r, name, "rulebook", &book->name));
    if (!*book->name) return ag_yaml_fail(r->err, r->where, name, "the book's name is empty");
    book->version = "1";
    book->language = "en";
    AG_TRY(read_line(r, ag_book_member(root, "version"), "version", &book->version));
    AG_TRY(read_line(r, ag_book_member(root, "language"), "language", &book->language));
    AG_TRY(
        ag_book_choice(r, ag_book_member(root, "order"), "order", order_names, COUNT(order_names), &order));
    AG_TRY(ag_book_choice(r, ag_book_member(root, "why"), "why", why_names, COUNT(why_names), &why));
    if (why_chars) AG_TRY(ag_yaml_int(why_chars, r->where, "why_chars", 1, 10000, &chars, r->err));
    book->order = (ag_order)order;
    book->why_required = why == 1;
    book->why_chars = (int)chars;
    AG_TRY(read_instruction(r, root));
    return ag_book_text(r, ag_book_member(root, "facts"), "facts", &book->facts_path);
}

ag_status ag_book_read(ag_book_reader *r, const ag_yaml *root)
{
    static const char *const keys[] = {"rulebook",   "version",     "language", "order",    "why",
                                       "why_chars",  "instruction", "tiers",    "criteria", "facts",
                                       "attributes", "rules",       "reward"};
    if (root->kind != AG_YAML_MAP)
        return ag_yaml_fail(r->err, r->where, root,
                            "a rulebook is a map of keys (rulebook, tiers, rules, ...)");
    AG_TRY(ag_yaml_known_keys(root, r->where, keys, COUNT(keys), r->err));
    AG_TRY(read_head(r, root));
    AG_TRY(read_tiers(r, root));
    AG_TRY(read_criteria(r, root));
    AG_TRY(ag_book_read_attributes(r, ag_book_member(root, "attributes")));
    AG_TRY(read_rules(r, root));
    return read_reward(r, root);
}
