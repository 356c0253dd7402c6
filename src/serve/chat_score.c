/* chat_score.c: see chat_score.h. */
#include "serve/chat_score.h"

#include <stdlib.h>
#include <string.h>

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

bool ag_score_asked(const char *system)
{
    return begins(system, "You are an expert ecommerce search relevance judge.") &&
           strstr(system, "\nSCORE: <score>\nATTRIBUTES: <verdict>\nREASONING: <");
}

/* --- the user message ------------------------------------------------------------------------------------------- */

static const char query_head[] = "## Search Query\n", original_head[] = "## Original Search Query\n",
                  product_head[] = "\n\n## Product\n", corrected_head[] = "\n\n## Corrected Search Query",
                  guidance_head[] = "\n\n## Domain-Specific Scoring Guidance\n",
                  last_line[] = "\n\nPlease evaluate the relevance of this product to the search query.";

/* The value behind "- **LABEL**: " from `text` on, up to the next label in `next` or `end`; *rest: where to go on. */
static bool take(const char *text, const char *end, const char *label, const char *const *next,
                 const char **value, size_t *n, const char **rest)
{
    if (!begins(text, label)) return false;
    *value = text + strlen(label);
    *rest = end;
    for (; *next; next++) {
        const char *found = strstr(*value, *next);
        if (found && found < *rest) *rest = found + 1; /* behind the line's end */
    }
    *n = (size_t)(*rest - *value);
    while (*n && strchr(" \n", (*value)[*n - 1])) --*n;
    return true;
}

static bool put(json_t *item, const char *key, const char *value, size_t n)
{
    return n == 0 || ag_json_set(item, key, json_stringn(value, n));
}

/* "  - name: value" lines. */
static bool put_attributes(json_t *item, const char *text, size_t n)
{
    const char *end = text + n;
    json_t *all = json_object();
    bool good = all != NULL;
    while (good && text < end) {
        size_t line = strcspn(text, "\n");
        if (line > (size_t)(end - text)) line = (size_t)(end - text);
        const char *colon = memchr(text, ':', line);
        if (begins(text, "  - ") && colon && colon > text + 4) {
            char *name = strndup(text + 4, (size_t)(colon - text - 4));
            const char *value = colon + 1 + strspn(colon + 1, " ");
            size_t len = value < text + line ? (size_t)(text + line - value) : 0;
            if (!name)
                good = false;
            else if (len && strcmp(name, "brand") == 0)
                good = put(item, name, value, len);
            else if (len)
                good = ag_json_set(all, name, json_stringn(value, len));
            free(name);
        }
        text += line + (text[line] == '\n');
    }
    if (good && json_object_size(all) > 0) return ag_json_set(item, "attributes", all);
    json_decref(all);
    return good;
}

static json_t *read_item(const char *text, const char *end)
{
    static const char *const labels[] = {
        "- **Title**: ",    "- **Description**: ",         "- **Category**: ",  "- **Price**: $",
        "- **In Stock**: ", "- **Position in Results**: ", "- **Attributes**:", "- **Metadata**:"};
    static const char *const lines[] = {
        "\n- **Description**: ",         "\n- **Category**: ",  "\n- **Price**: $",  "\n- **In Stock**: ",
        "\n- **Position in Results**: ", "\n- **Attributes**:", "\n- **Metadata**:", NULL};
    static const char *const keys[] = {"title", "description", "category"};
    enum { TEXTS = 3, PRICE = 3, ATTRIBUTES = 6, LABELS = 8, REQUIRED = 6 };
    json_t *item = json_object();
    bool good = item != NULL;
    for (int i = 0; i < LABELS && good; i++) {
        const char *value, *rest;
        char *stop = NULL;
        size_t n;
        /* The last two labels may lack; any of what follows may end a value. */
        if (!take(text, end, labels[i], lines + i, &value, &n, &rest)) {
            good = i >= REQUIRED;
            continue;
        }
        if (i < TEXTS) good = put(item, keys[i], value, n);
        if (i == PRICE) {
            double price = strtod(value, &stop);
            good = stop == value + n && n > 0;
            if (good && price > 0) good = ag_json_set(item, "price", json_real(price));
        }
        if (i == ATTRIBUTES) good = put_attributes(item, value, n);
        text = rest;
    }
    if (good) return item;
    json_decref(item);
    return NULL;
}

json_t *ag_score_pair(const char *text)
{
    size_t head = begins(text, query_head)      ? sizeof query_head - 1
                  : begins(text, original_head) ? sizeof original_head - 1
                                                : 0;
    const char *query = text + head, *product = strstr(query, product_head), *end = NULL;
    size_t n = strlen(text), tail = sizeof last_line - 1;
    if (!head || !product || n < tail || strcmp(text + n - tail, last_line) != 0) return NULL;
    end = text + n - tail;
    const char *corrected = strstr(query, corrected_head), *guidance = strstr(query, guidance_head);
    if (guidance && guidance < product) return NULL;
    const char *query_end = corrected && corrected < product ? corrected : product;
    if (product + sizeof product_head - 1 > end) return NULL;
    json_t *json = json_object(), *item = read_item(product + sizeof product_head - 1, end);
    if (json && item && ag_json_set(json, "query", json_stringn(query, (size_t)(query_end - query))) &&
        json_object_set(json, "item", item) == 0) {
        json_decref(item);
        return json;
    }
    json_decref(json);
    json_decref(item);
    return NULL;
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

/* match: all requested attributes have the best verdict; mismatch: one has the worst. */
static const char *attributes_of(const ag_book *book, const json_t *verdicts)
{
    size_t all = 0, best = 0, worst = 0;
    for (int c = 0; c < book->criterion_count; c++) {
        const ag_criterion *k = &book->criteria[c];
        const char *name;
        json_t *verdict;
        if (!k->per_asked) continue;
        json_object_foreach(json_object_get(verdicts, k->id), name, verdict)
        {
            const char *word = json_string_value(verdict);
            if (!word) continue;
            all++;
            best += strcmp(word, k->verdicts[0]) == 0;
            worst += strcmp(word, k->verdicts[k->verdict_count - 1]) == 0;
        }
    }
    return !all ? "n/a" : worst ? "mismatch" : best == all ? "match" : "partial";
}

void ag_score_write(ag_str *out, const ag_book *book, const json_t *judgement)
{
    enum { BEST = 3 };
    const char *rule = json_string_value(json_object_get(judgement, "rule")),
               *text = json_string_value(json_object_get(judgement, "rule_text")),
               *why = json_string_value(json_object_get(judgement, "why"));
    int tier = ag_book_tier(book, json_string_value(json_object_get(judgement, "tier"))),
        last = book->tier_count - 1;
    ag_str_addf(out, "SCORE: %d\nATTRIBUTES: %s\nREASONING: ", (BEST * (last - tier) * 2 + last) / (2 * last),
                attributes_of(book, json_object_get(judgement, "verdicts")));
    if (why && *why) ag_str_add(out, why);
    if (why && *why && rule) ag_str_addc(out, ' ');
    if (rule) ag_str_addf(out, "(%s%s%s)", rule, text && *text ? ": " : "", text && *text ? text : "");
    if (!rule && !(why && *why)) ag_str_add(out, book->tiers[tier].name);
}
