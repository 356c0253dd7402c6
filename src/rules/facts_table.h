/* facts_table.h: what a facts file becomes in memory. Shared by the loader, the comparators, the lexicon and the
 * parser; everybody else uses facts.h and compare.h.
 */
#ifndef AG_RULES_FACTS_TABLE_H
#define AG_RULES_FACTS_TABLE_H

#include <pthread.h>

#include "rules/compare.h"
#include "rules/facts_map.h"
#include "rules/facts_text.h"

/* --- values of one attribute: who is whose synonym, parent, cover ------------------------------------------ */

typedef enum ag_edge_kind {
    AG_EDGE_SYNONYM = 1,
    AG_EDGE_PARENT = 2,  /* to a wider value */
    AG_EDGE_COVER = 4,   /* to a value that this one satisfies as well */
    AG_EDGE_CHILD = 8,   /* PARENT, the other way */
    AG_EDGE_COVERED = 16 /* COVER, the other way */
} ag_edge_kind;

typedef struct ag_edge {
    int to, next; /* next edge of the same node, or -1 */
    ag_edge_kind kind;
} ag_edge;

typedef struct ag_graph {
    ag_map nodes;         /* normal form -> node */
    const char **display; /* the value as first written */
    int *first;           /* first edge of a node, or -1 */
    size_t display_cap, first_cap;
    ag_edge *edges;
    size_t edge_count, edge_cap;
} ag_graph;

typedef struct ag_reached {
    int node[256];
    unsigned char skills[256]; /* ag_skill bits of the way there */
    int count;
} ag_reached;

ag_status ag_graph_node(ag_graph *g, ag_arena *arena, const char *value, bool english, int *node,
                        ag_error *err);
ag_status ag_graph_edge(ag_graph *g, int from, int to, ag_edge_kind kind,
                        ag_error *err); /* and its reverse */
/* All nodes that edges of these kinds lead to, `from` first, nearest first (at most 256). */
void ag_graph_reach(const ag_graph *g, int from, unsigned kinds, ag_reached *reached);
void ag_graph_free(ag_graph *g);

/* --- the file ---------------------------------------------------------------------------------------------- */

typedef enum ag_phrase {
    AG_PHRASE_NOT,
    AG_PHRASE_NOT_AFTER,
    AG_PHRASE_AT_MOST,
    AG_PHRASE_AT_MOST_AFTER,
    AG_PHRASE_AT_LEAST,
    AG_PHRASE_AT_LEAST_AFTER,
    AG_PHRASE_BETWEEN,
    AG_PHRASE_JOIN,
    AG_PHRASE_LIKE,
    AG_PHRASE_LIKE_AFTER,
    AG_PHRASE_CHEAPER,
    AG_PHRASE_FITS,
    AG_PHRASE_QUESTION,
    AG_PHRASE_CURRENCY,
    AG_PHRASE_OR,
    AG_PHRASE_FILLER,
    AG_PHRASE_COUNT
} ag_phrase;
extern const char *const ag_phrase_names[AG_PHRASE_COUNT]; /* keys of `phrases` */

/* Situations that a reason is worded for; keys of `why`. */
typedef enum ag_why {
    AG_WHY_CATEGORY_ELSE,
    AG_WHY_CATEGORY_SIBLING,
    AG_WHY_CATEGORY_RELATED,
    AG_WHY_OTHER,
    AG_WHY_NOT,
    AG_WHY_MISSING,
    AG_WHY_NEAR,
    AG_WHY_AT_MOST,
    AG_WHY_AT_LEAST,
    AG_WHY_BETWEEN,
    AG_WHY_LIKE_ITSELF,
    AG_WHY_LIKE_DEARER,
    AG_WHY_BEST,
    AG_WHY_RULE,
    AG_WHY_COUNT
} ag_why;
extern const char *const ag_why_names[AG_WHY_COUNT];

/* What a category says of others, besides its parents. Of what is equally near the first one counts. */
typedef enum ag_link {
    AG_LINK_SIBLINGS,  /* serve the same need */
    AG_LINK_RELATED,   /* go with it */
    AG_LINK_UNCLEAR,   /* may or may not serve where it is wanted: such pairs get no verdict */
    AG_LINK_UNRELATED, /* a different need, whatever is said of those above */
    AG_LINKS
} ag_link;
extern const char *const ag_link_names[AG_LINKS]; /* keys of a category */

typedef struct ag_links {
    int *to; /* categories */
    int count;
} ag_links;

typedef struct ag_category {
    const char *name, *normal;
    const char **synonyms, **queries; /* queries: names that titles do not mean */
    int synonym_count, query_count;
    ag_links parents, links[AG_LINKS];
    int *within; /* itself and all above it, nearest first */
    int *depth;  /* how many levels above it each of those is */
    int within_count;
    int members; /* the ag_link between any two of its children (siblings, unclear), or -1 */
} ag_category;

/* What a knowledge phrase stands for ("for heavy rain" is waterproof). */
typedef struct ag_knowledge {
    const char **phrases;
    int phrase_count;
    const char **categories; /* wanted categories that it speaks of; none: any */
    int category_count;
    ag_ask *asked;
    int asked_count;
} ag_knowledge;

/* A book's attributes with the facts file's values merged in; one graph a row of the book. */
typedef struct ag_bound {
    struct ag_bound *next;
    const ag_book *book;
    char digest[65];
    ag_graph *graphs;
    int count;
} ag_bound;

struct ag_facts {
    ag_arena arena;
    const char *path, *name, *language, *compatibility;
    bool english;
    bool text_title, text_description;
    bool
        wider_unclear; /* an item of a wider category than the wanted one may be one or not; else it is a sibling */
    const char **type_fields; /* attributes that say what the product is */
    int type_field_count;
    ag_map aside; /* words after which a title speaks of something else ("for", "with") */
    ag_map vague; /* head words that say nothing of what a thing is ("kit", "accessory") */
    ag_category *categories;
    int category_count;
    ag_map category_index;         /* normal form of names and synonyms -> category */
    ag_map only_queries;           /* normal form of those that titles do not mean */
    ag_map only_titles;            /* normal form of names that queries do not use -> category */
    struct ag_value_facts *values; /* attributes whose values the file relates */
    int value_count;
    ag_map phrases; /* normal form -> bits of 1 << ag_phrase */
    const char **phrase_text[AG_PHRASE_COUNT];
    int phrase_count[AG_PHRASE_COUNT];
    ag_knowledge *knowledge;
    int knowledge_count;
    const char *why[AG_WHY_COUNT]; /* NULL: the English default */
    pthread_mutex_t lock;          /* of `bound`, which grows behind a const pointer */
    ag_bound *bound;
};

/* Relations of one attribute's values, as written in the file. */
typedef struct ag_value_facts {
    const char *attribute;
    const char **from, **to;
    ag_edge_kind *kind;
    int count;
} ag_value_facts;

/* The graph of an attribute under a book; *graph NULL when nothing is known of its values. */
ag_status ag_facts_graph(const ag_facts *facts, const ag_book *book, const char *attribute,
                         const ag_graph **graph, ag_error *err);
void ag_facts_unbind(ag_facts *facts);
/* Is `ancestor` at or above `category`? */
bool ag_facts_category_within(const ag_facts *facts, int category, int ancestor);
const char *ag_facts_why_text(const ag_facts *facts, ag_why why);

#endif
