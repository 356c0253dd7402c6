/* book.c: opening a rulebook, looking things up in it, and settling what a pair's asked entries are called and how
 * much they matter. book_parse.c reads the YAML.
 */
#include "rules/book.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/file.h"
#include "rules/book_parse.h"
#include "rules/facts.h"

const char *const ag_relation_names[AG_REL_COUNT] = {"same",  "narrower", "sibling", "related", "else",
                                                     "equal", "near",     "missing", "other"};

/* --- loading ------------------------------------------------------------------------------------------------ */

/* The facts file stands beside the book unless its path is absolute. */
static ag_status resolve_facts(ag_book *book, ag_error *err)
{
    if (!book->facts_path || book->facts_path[0] == '/') return AG_OK;
    char *dir = ag_path_dir(book->path), *path = dir ? ag_path_join(dir, book->facts_path) : NULL;
    book->facts_path = path ? ag_arena_strdup(&book->arena, path) : NULL;
    ag_free(dir);
    ag_free(path);
    return book->facts_path ? AG_OK : ag_fail_memory(err, "rulebook");
}

/* Book and facts (with the files that these build on) decide together what is right, so one digest names them all. A
 * facts file that is not there yet, or not in order, is the business of whoever loads it. */
static ag_status make_digest(ag_book *book, const char *text, size_t len, ag_error *err)
{
    enum { MOST = 16 };
    ag_sha256 sha;
    unsigned char digest[32];
    struct stat info;
    char *path = book->facts_path ? ag_strndup(book->facts_path, strlen(book->facts_path)) : NULL;
    ag_status status = book->facts_path && !path ? ag_fail_memory(err, "rulebook") : AG_OK;
    ag_sha256_begin(&sha);
    ag_sha256_add(&sha, text, len);
    for (int i = 0; status == AG_OK && i < MOST && path && stat(path, &info) == 0 && S_ISREG(info.st_mode);
         i++) {
        char *facts = NULL, *base = NULL;
        size_t facts_len = 0;
        if ((status = ag_file_read(path, 0, &facts, &facts_len, err)) != AG_OK) break;
        ag_sha256_add(&sha, facts, facts_len);
        ag_free(facts);
        if (ag_facts_base(&base, path, NULL) != AG_OK) base = NULL;
        ag_free(path);
        path = base;
    }
    ag_free(path);
    ag_sha256_end(&sha, digest);
    ag_sha256_hex(digest, book->digest);
    return status;
}

ag_status ag_book_parse(ag_book **book, const char *text, size_t len, const char *path, ag_error *err)
{
    ag_yaml *root = NULL;
    ag_status status;
    if (!path) path = "<rulebook>";
    *book = NULL;
    ag_book *made = ag_calloc(1, sizeof(*made));
    if (!made) return ag_fail_memory(err, "rulebook");
    made->arena.name = "rulebook";
    made->path = ag_arena_strdup(&made->arena, path);
    if (!made->path) {
        status = ag_fail_memory(err, "rulebook");
        goto out;
    }
    ag_book_reader reader = {.book = made,
                             .text = text,
                             .len = len,
                             .where = strcmp(path, "-") == 0 ? "<stdin>" : made->path,
                             .err = err};
    status = ag_yaml_parse(&root, &made->arena, text, len, reader.where, err);
    if (status == AG_OK) status = ag_book_read(&reader, root);
    if (status == AG_OK) status = resolve_facts(made, err);
    if (status == AG_OK) status = make_digest(made, text, len, err);
out:
    if (status != AG_OK)
        ag_book_free(made);
    else
        *book = made;
    return status;
}

ag_status ag_book_load(ag_book **book, const char *path, ag_error *err)
{
    enum { MAX_BYTES = 64 << 20 };
    char *text = NULL;
    size_t len = 0;
    *book = NULL;
    ag_status status = ag_file_read(path, MAX_BYTES, &text, &len, err);
    if (status != AG_OK) return status;
    status = ag_book_parse(book, text, len, path, err);
    ag_free(text);
    return status;
}

void ag_book_free(ag_book *book)
{
    if (!book) return;
    ag_arena_free(&book->arena);
    ag_free(book);
}

/* --- lookups ------------------------------------------------------------------------------------------------ */

int ag_book_tier(const ag_book *book, const char *id)
{
    for (int i = 0; i < book->tier_count; i++)
        if (ag_streq(book->tiers[i].id, id)) return i;
    return -1;
}

int ag_book_criterion(const ag_book *book, const char *id)
{
    for (int i = 0; i < book->criterion_count; i++)
        if (ag_streq(book->criteria[i].id, id)) return i;
    return -1;
}

int ag_book_rule(const ag_book *book, const char *id)
{
    for (int i = 0; i < book->rule_count; i++)
        if (ag_streq(book->rules[i].id, id)) return i;
    return -1;
}

int ag_criterion_verdict(const ag_criterion *criterion, const char *verdict)
{
    for (int i = 0; i < criterion->verdict_count; i++)
        if (ag_streq(criterion->verdicts[i], verdict)) return i;
    return -1;
}

const ag_attribute *ag_book_attribute(const ag_book *book, const char *name)
{
    for (int i = 1; i < book->attribute_count; i++)
        if (ag_streq(book->attributes[i].name, name)) return &book->attributes[i];
    return &book->attributes[0];
}

bool ag_book_english(const ag_book *book)
{
    return strncmp(book->language, "en", 2) == 0;
}

/* --- asked entries ------------------------------------------------------------------------------------------ */

/* "name#k": the form of a generated id, which comes back when written pairs are read again. */
static bool is_generated(const char *id, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(id, name, n) != 0 || id[n] != '#') return false;
    const char *digits = id + n + 1;
    return digits[0] >= '1' && digits[0] <= '9' && strspn(digits, "0123456789") == strlen(digits) &&
           ag_id_problem(name) == NULL;
}

static const char *generated_id(const ag_asked *asked, int index, ag_arena *arena)
{
    const char *name = asked->entries[index].name;
    int nth = 1;
    for (int i = 0; i < index; i++) nth += ag_streq(asked->entries[i].name, name);
    if (nth == 1) return ag_arena_strdup(arena, name);
    char *id = ag_arena_alloc(arena, strlen(name) + 16, 1);
    if (id) sprintf(id, "%s#%d", name, nth);
    return id;
}

ag_status ag_asked_resolve(const ag_book *book, ag_asked *asked, const int *importance, ag_arena *arena,
                           ag_error *err)
{
    if (asked->count > AG_MAX_ASKED)
        return ag_fail(err, AG_ERR_INPUT, "%d asked entries; at most %d are possible", asked->count,
                       AG_MAX_ASKED);
    for (int i = 0; i < asked->count; i++) {
        ag_ask *ask = &asked->entries[i];
        if (!ask->name || !*ask->name) return ag_fail(err, AG_ERR_INPUT, "asked entry %d has no name", i + 1);
        bool given = ask->id != NULL;
        const char *problem = ag_id_problem(given ? ask->id : ask->name);
        if (problem && !(given && is_generated(ask->id, ask->name)))
            return ag_fail(err, AG_ERR_INPUT, "the %s of asked entry %d, '%s', %s", given ? "id" : "name",
                           i + 1, given ? ask->id : ask->name, problem);
        if (!given && !(ask->id = generated_id(asked, i, arena))) return ag_fail_memory(err, "asked entries");
        for (int j = 0; j < i; j++)
            if (strcmp(asked->entries[j].id, ask->id) == 0)
                return ag_fail(err, AG_ERR_INPUT,
                               "two asked entries are called '%s'; give one an id of its own", ask->id);
        int own = importance ? importance[i] : -1;
        ask->core = own < 0 ? ag_book_attribute(book, ask->name)->core : own == 1;
        ask->negated = ask->op == AG_OP_NOT;
    }
    return AG_OK;
}

bool ag_value_is_code(const char *value)
{
    enum { LONGEST = 24, MOST_WORDS = 3 };
    size_t n = strlen(value), words = 1;
    for (size_t i = 0; i < n; i++) words += value[i] == ' ' && i + 1 < n && value[i + 1] != ' ';
    return n <= LONGEST && words <= MOST_WORDS && strpbrk(value, "0123456789");
}
