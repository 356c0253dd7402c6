/* facts_diff.c: the kinds of parts of a facts file, for book_diff.c. Lists whose order says nothing are sorted. */
#include <stdlib.h>
#include <string.h>

#include "rules/book_diff_parts.h"
#include "rules/facts_table.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Appends the texts in order, each once; sorts them in place. */
static void add_sorted(ag_str *out, const char **texts, size_t n)
{
    if (n > 1) qsort(texts, n, sizeof *texts, by_text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(texts[i - 1], texts[i]) != 0) ag_str_addf(out, "%s%s", i ? ", " : "", texts[i]);
}

/* The same without touching the list. */
static void add_set(ag_str *out, const char *const *texts, int count)
{
    size_t n = (size_t)count;
    const char **copy = ag_calloc(n, sizeof *copy);
    if (!copy) {
        out->failed = true;
        return;
    }
    if (n) memcpy(copy, texts, n * sizeof *copy);
    add_sorted(out, copy, n);
    ag_free(copy);
}

/* Lines that were written one by one, each ended by a newline, as a sorted list. Empties `lines`. */
static void add_lines(ag_str *out, ag_str *lines)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < lines->len; i++) n += lines->data[i] == '\n';
    const char **texts = ag_calloc(n, sizeof *texts);
    out->failed = out->failed || lines->failed || !texts;
    for (char *line = lines->data, *end; texts && n && at < n; line = end + 1) {
        end = strchr(line, '\n');
        *end = '\0';
        texts[at++] = line;
    }
    if (texts) add_sorted(out, texts, n);
    ag_free(texts);
    ag_str_free(lines);
}

/* --- the file's own settings ---------------------------------------------------------------------------------- */

static void facts_name(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    ag_str_add(out, side->facts->name);
}

static void facts_language(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    ag_str_add(out, side->facts->language);
}

static void facts_text_fields(ag_str *out, const ag_book_side *side, int i)
{
    const ag_facts *f = side->facts;
    (void)i;
    ag_str_addf(out, "%s%s%s", f->text_title ? "title" : "", f->text_title && f->text_description ? ", " : "",
                f->text_description ? "description" : "");
}

/* In the file's order: the first one counts. */
static void facts_type_fields(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    for (int k = 0; k < side->facts->type_field_count; k++)
        ag_str_addf(out, "%s%s", k ? ", " : "", side->facts->type_fields[k]);
}

static void facts_compatibility(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    ag_str_add(out, side->facts->compatibility);
}

static void facts_wider(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    ag_str_add(out, side->facts->wider_unclear ? "unclear" : "sibling");
}

static void add_words(ag_str *out, const ag_map *words)
{
    ag_str lines = {0};
    for (size_t k = 0; k < words->count; k++) ag_str_addf(&lines, "%s\n", words->entries[k].key);
    add_lines(out, &lines);
}

static void facts_aside(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    add_words(out, &side->facts->aside);
}

static void facts_vague(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    add_words(out, &side->facts->vague);
}

/* --- categories ------------------------------------------------------------------------------------------------ */

static int category_count(const ag_book_side *side)
{
    return side->facts->category_count;
}

static const char *category_id(const ag_book_side *side, int i)
{
    return side->facts->categories[i].name;
}

static void add_categories(ag_str *out, const ag_facts *f, const ag_links *links)
{
    ag_str lines = {0};
    for (int k = 0; k < links->count; k++) ag_str_addf(&lines, "%s\n", f->categories[links->to[k]].name);
    add_lines(out, &lines);
}

static void category_parents(ag_str *out, const ag_book_side *side, int i)
{
    add_categories(out, side->facts, &side->facts->categories[i].parents);
}

static void category_siblings(ag_str *out, const ag_book_side *side, int i)
{
    add_categories(out, side->facts, &side->facts->categories[i].links[AG_LINK_SIBLINGS]);
}

static void category_related(ag_str *out, const ag_book_side *side, int i)
{
    add_categories(out, side->facts, &side->facts->categories[i].links[AG_LINK_RELATED]);
}

static void category_unclear(ag_str *out, const ag_book_side *side, int i)
{
    add_categories(out, side->facts, &side->facts->categories[i].links[AG_LINK_UNCLEAR]);
}

static void category_unrelated(ag_str *out, const ag_book_side *side, int i)
{
    add_categories(out, side->facts, &side->facts->categories[i].links[AG_LINK_UNRELATED]);
}

static void category_members(ag_str *out, const ag_book_side *side, int i)
{
    int members = side->facts->categories[i].members;
    ag_str_add(out, members < 0 ? "" : ag_link_names[members]);
}

static void category_synonyms(ag_str *out, const ag_book_side *side, int i)
{
    add_set(out, side->facts->categories[i].synonyms, side->facts->categories[i].synonym_count);
}

static void category_queries(ag_str *out, const ag_book_side *side, int i)
{
    add_set(out, side->facts->categories[i].queries, side->facts->categories[i].query_count);
}

static void category_titles(ag_str *out, const ag_book_side *side, int i)
{
    const ag_map *titles = &side->facts->only_titles;
    ag_str lines = {0};
    for (size_t k = 0; k < titles->count; k++)
        if (titles->entries[k].value == i) ag_str_addf(&lines, "%s\n", titles->entries[k].key);
    add_lines(out, &lines);
}

/* --- values: a file and its base may each have a part for an attribute ------------------------------------------ */

static int values_count(const ag_book_side *side)
{
    return side->facts->value_count;
}

static const char *values_id(const ag_book_side *side, int i)
{
    return side->facts->values[i].attribute;
}

static void add_relations(ag_str *out, const ag_facts *f, const char *attribute, ag_edge_kind kind,
                          const char *sign)
{
    ag_str lines = {0};
    for (int v = 0; v < f->value_count; v++) {
        const ag_value_facts *values = &f->values[v];
        if (strcmp(values->attribute, attribute) != 0) continue;
        for (int k = 0; k < values->count; k++)
            if (values->kind[k] == kind)
                ag_str_addf(&lines, "%s%s%s\n", values->from[k], sign, values->to[k]);
    }
    add_lines(out, &lines);
}

static void values_synonyms(ag_str *out, const ag_book_side *side, int i)
{
    add_relations(out, side->facts, values_id(side, i), AG_EDGE_SYNONYM, " = ");
}

static void values_parents(ag_str *out, const ag_book_side *side, int i)
{
    add_relations(out, side->facts, values_id(side, i), AG_EDGE_PARENT, ": ");
}

static void values_covers(ag_str *out, const ag_book_side *side, int i)
{
    add_relations(out, side->facts, values_id(side, i), AG_EDGE_COVER, ": ");
}

/* --- words ------------------------------------------------------------------------------------------------------ */

static int phrases_count(const ag_book_side *side)
{
    (void)side;
    return AG_PHRASE_COUNT;
}

static const char *phrases_id(const ag_book_side *side, int i)
{
    (void)side;
    return ag_phrase_names[i];
}

static void phrases_texts(ag_str *out, const ag_book_side *side, int i)
{
    add_set(out, side->facts->phrase_text[i], side->facts->phrase_count[i]);
}

static int knowledge_count(const ag_book_side *side)
{
    return side->facts->knowledge_count;
}

static const char *knowledge_id(const ag_book_side *side, int i)
{
    const ag_knowledge *k = &side->facts->knowledge[i];
    return k->phrase_count ? k->phrases[0] : "";
}

/* "for rain, in rain [outerwear] means lining is waterproof | wax" */
static void add_knowledge(ag_str *out, const ag_knowledge *k)
{
    add_set(out, k->phrases, k->phrase_count);
    if (k->category_count) {
        ag_str_add(out, " [");
        add_set(out, k->categories, k->category_count);
        ag_str_addc(out, ']');
    }
    for (int a = 0; a < k->asked_count; a++) {
        const ag_ask *ask = &k->asked[a];
        ag_str_addf(out, "%s%s %s", a ? "; " : " means ", ask->name, ag_op_names[ask->op]);
        for (int v = 0; v < ask->value_count; v++) ag_str_addf(out, "%s%s", v ? " | " : " ", ask->values[v]);
    }
}

static void knowledge_says(ag_str *out, const ag_book_side *side, int i)
{
    const ag_facts *f = side->facts;
    ag_str lines = {0};
    for (int k = 0; k < f->knowledge_count; k++) {
        if (strcmp(knowledge_id(side, k), knowledge_id(side, i)) != 0) continue;
        add_knowledge(&lines, &f->knowledge[k]);
        ag_str_addc(&lines, '\n');
    }
    add_lines(out, &lines);
}

static int why_count(const ag_book_side *side)
{
    (void)side;
    return AG_WHY_COUNT;
}

static const char *why_id(const ag_book_side *side, int i)
{
    (void)side;
    return ag_why_names[i];
}

static void why_text(ag_str *out, const ag_book_side *side, int i)
{
    ag_str_add(out, ag_facts_why_text(side->facts, (ag_why)i));
}

const ag_diff_kind ag_facts_kinds[] = {
    {"facts",
     ag_diff_one,
     NULL,
     false,
     {{"name", facts_name},
      {"language", facts_language},
      {"text_fields", facts_text_fields},
      {"type_fields", facts_type_fields},
      {"compatibility", facts_compatibility},
      {"wider", facts_wider},
      {"aside", facts_aside},
      {"vague", facts_vague}}},
    {"category",
     category_count,
     category_id,
     false,
     {{"parents", category_parents},
      {"siblings", category_siblings},
      {"related", category_related},
      {"unclear", category_unclear},
      {"unrelated", category_unrelated},
      {"members", category_members},
      {"synonyms", category_synonyms},
      {"queries", category_queries},
      {"titles", category_titles}}},
    {"values",
     values_count,
     values_id,
     false,
     {{"synonyms", values_synonyms}, {"parents", values_parents}, {"covers", values_covers}}},
    {"phrases", phrases_count, phrases_id, false, {{"phrases", phrases_texts}}},
    {"knowledge", knowledge_count, knowledge_id, false, {{"says", knowledge_says}}},
    {"why", why_count, why_id, false, {{"text", why_text}}},
    {0},
};
