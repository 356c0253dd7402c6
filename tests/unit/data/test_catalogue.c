/* test_catalogue.c: catalogues as products: every format, each fault counted once with its place, hostile and damaged
 * files, failing allocations. The last test reads the real sample of Icecat's catalogue where it is at hand.
 */
#include "data_help.h"

#include <sys/stat.h>
#include <zlib.h>

#include "data/catalogue.h"
#include "data/pair_parts.h"

typedef struct place {
    char folder[64], path[160];
} place;

static place at;

static int setup(void **state)
{
    (void)state;
    test_folder(at.folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return ag_dir_remove(at.folder, NULL) == AG_OK ? 0 : -1;
}

/* Writes a file and loads it; `maps` ends with NULL. */
static ag_status load_mapped(ag_products *products, const char *name, const char *text,
                             const char *const *maps, ag_error *err)
{
    ag_catalogue_file file = {.path = at.path, .maps = maps};
    while (maps && maps[file.map_count]) file.map_count++;
    put_text(at.folder, name, text, at.path);
    return ag_products_load(products, &file, err);
}

static void must_map(ag_products *products, const char *name, const char *text, const char *const *maps)
{
    ag_error err = {0};
    if (load_mapped(products, name, text, maps, &err) != AG_OK) fail_msg("%s: %s", name, err.message);
}

static void must(ag_products *products, const char *name, const char *text)
{
    must_map(products, name, text, NULL);
}

static void refused(const char *name, const char *text, const char *const *maps, const char *says)
{
    ag_products products;
    ag_error err = {0};
    ag_status status = load_mapped(&products, name, text, maps, &err);
    if (status != AG_ERR_INPUT && status != AG_ERR_USAGE)
        fail_msg("%s: status %d, not '%s'", name, (int)status, says);
    assert_says(err, says);
    assert_null(products.items); /* nothing is left to free */
    assert_int_equal(products.count, 0);
}

/* The values of an attribute, joined by '|'; "-" when the item lacks it. */
static const char *values_of(const ag_item *item, const char *name)
{
    static char text[256];
    snprintf(text, sizeof text, "-");
    for (int f = 0; f < item->field_count; f++) {
        if (strcmp(item->fields[f].name, name) != 0) continue;
        text[0] = '\0';
        for (int v = 0; v < item->fields[f].count; v++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", v ? "|" : "",
                     item->fields[f].values[v]);
    }
    return text;
}

/* The line that the fault's count and place make; "" when it did not occur. */
static const char *fault_of(const ag_products *products, ag_product_fault fault)
{
    static char text[256];
    ag_str out = {0};
    bool any = ag_products_fault(products, fault, &out);
    assert_int_equal(any, products->faults[fault] > 0);
    snprintf(text, sizeof text, "%s", ag_str_text(&out));
    ag_str_free(&out);
    return text;
}

static void no_faults(const ag_products *products)
{
    for (int i = 0; i < AG_PRODUCT_FAULTS; i++) assert_string_equal(fault_of(products, i), "");
}

/* One fault of `fault` at `line`, and none of any other kind. */
static void one_fault(const ag_products *products, ag_product_fault fault, long line)
{
    char want[32];
    snprintf(want, sizeof want, ":%ld)", line);
    for (int i = 0; i < AG_PRODUCT_FAULTS; i++)
        if (products->faults[i] != (i == (int)fault)) fail_msg("fault %d: %ld", i, products->faults[i]);
    if (!strstr(fault_of(products, fault), want)) fail_msg("%s: not %s", fault_of(products, fault), want);
    if (strncmp(fault_of(products, fault), "1 ", 2) != 0) fail_msg("%s", fault_of(products, fault));
}

/* --- formats ------------------------------------------------------------------------------------------------- */

static void test_items(void **state)
{
    (void)state;
    ag_products p;
    must(&p, "items.jsonl",
         "\xEF\xBB\xBF{\"id\": \"a\", \"title\": \"Boots &amp; <b>laces</b>\", \"brand\": \"Acme\", "
         "\"category\": "
         "\"shoes\", \"price\": 49.9, \"description\": \"One.\", \"attributes\": {\"colour\": [\"red\", "
         "\"navy\"], "
         "\"size\": 42.0, \"new\": true, \"none\": null, \"empty\": \"\", \"list\": []}, \"other\": {\"x\": "
         "1}}\r\n"
         "\n   \n{\"id\": 7, \"title\": \"Hat\", \"price\": \"0\"}\n");
    assert_int_equal(p.count, 2);
    const ag_item *a = &p.items[0];
    assert_string_equal(a->id, "a");
    assert_string_equal(a->title, "Boots & laces");
    assert_string_equal(a->brand, "Acme");
    assert_string_equal(a->category, "shoes");
    assert_string_equal(a->description, "One.");
    assert_null(a->kind);
    assert_true(a->has_price);
    assert_true(a->price == 49.9);
    assert_int_equal(a->field_count, 3); /* what says nothing is no attribute */
    assert_string_equal(values_of(a, "colour"), "red|navy");
    assert_string_equal(values_of(a, "size"), "42");
    assert_string_equal(values_of(a, "new"), "true");
    assert_string_equal(p.items[1].id, "7");
    assert_true(p.items[1].has_price);
    assert_true(p.items[1].price == 0);
    assert_null(p.items[1].brand);
    no_faults(&p);
    ag_products_free(&p);
    ag_products_free(&p); /* twice is nothing */

    ag_error err = {0};
    ag_catalogue_file raw = {.path = at.path, .keep_html = true};
    assert_ok(ag_products_load(&p, &raw, &err));
    assert_string_equal(p.items[0].title, "Boots &amp; <b>laces</b>");
    ag_products_free(&p);
}

static void test_feeds(void **state)
{
    (void)state;
    ag_products p;
    must(&p, "vespa.jsonl",
         "{\"put\": \"id:shop:product::1\", \"fields\": {\"asin\": \"B1\", \"product_title\": \"Mug\", "
         "\"product_brand\": \"Acme\", \"product_color\": \"Blue\", \"bullets\": [\"One.\", \"Two.\"], "
         "\"description\": \"Three.\"}}\n");
    assert_string_equal(p.items[0].id, "B1");
    assert_string_equal(p.items[0].title, "Mug");
    assert_string_equal(p.items[0].brand, "Acme");
    assert_string_equal(values_of(&p.items[0], "colour"), "Blue");
    assert_string_equal(p.items[0].description, "One.\nTwo.\nThree.");
    no_faults(&p);
    ag_products_free(&p);

    /* Icecat: prices in cents, attributes among the rest, lists with commas, line ends spelled out. */
    static const char icecat[] =
        "{\"id\": \"9\", \"name\": \"X1\", \"title\": \"Acme X1 cable\", \"ean\": [\"1\"], \"supplier\": "
        "\"Acme\", "
        "\"price\": 4995, \"short_description\": \"A cable\", \"attr_t_battery_life__max_\": \"8 h\", "
        "\"attr_t_formats\": \"AAC,MP3\", \"attr_t_note\": \"1,5 m, red\", \"attr_n_ports\": 6.0, "
        "\"attr_b_new\": false}\n";
    must(&p, "icecat.jsonl", icecat);
    const ag_item *x = &p.items[0];
    assert_true(x->price == 49.95);
    assert_string_equal(x->brand, "Acme");
    assert_string_equal(x->title, "Acme X1 cable");
    assert_string_equal(x->description, "A cable");
    assert_string_equal(values_of(x, "battery_life_max"), "8 h");
    assert_string_equal(values_of(x, "formats"), "AAC|MP3");
    assert_string_equal(values_of(x, "note"), "1,5 m, red");
    assert_string_equal(values_of(x, "ports"), "6");
    assert_string_equal(values_of(x, "new"), "false");
    no_faults(&p);
    ag_products_free(&p);

    /* The same inside a feed; and a supplier alone, or a table, is not Icecat. */
    ag_str feed = {0};
    ag_str_addf(&feed, "{\"put\": \"x\", \"fields\": %.*s}\n", (int)strlen(icecat) - 1, icecat);
    ag_str_add(&feed, "{\"id\": \"2\", \"title\": \"t\", \"supplier\": \"Acme\", \"price\": 4995}\n");
    must(&p, "feed.jsonl", ag_str_text(&feed));
    ag_str_free(&feed);
    assert_true(p.items[0].price == 49.95);
    assert_true(p.items[1].price == 4995);
    ag_products_free(&p);
    must(&p, "supplier.csv", "id,title,supplier,ean,price\n1,t,Acme,123,4995\n");
    assert_true(p.items[0].price == 4995);
    ag_products_free(&p);

    must(&p, "beir.jsonl", "{\"_id\": \"d1\", \"title\": \"T\", \"text\": \"Body.\", \"metadata\": {}}\n");
    assert_string_equal(p.items[0].id, "d1");
    assert_string_equal(p.items[0].description, "Body.");
    no_faults(&p);
    ag_products_free(&p);
}

static void test_tables(void **state)
{
    (void)state;
    ag_products p;
    must(&p, "t.csv",
         "product_id,product_name,brand,price,color,product_features,stock\n"
         "1,\"Mug, \"\"big\"\"\",Acme,4.50,red,material : clay | height : 9 cm,7\n"
         "2,Cup,,,,,\n");
    assert_int_equal(p.count, 2);
    assert_string_equal(p.items[0].title, "Mug, \"big\"");
    assert_true(p.items[0].price == 4.5);
    assert_string_equal(values_of(&p.items[0], "colour"), "red");
    assert_string_equal(values_of(&p.items[0], "height"), "9 cm");
    assert_string_equal(values_of(&p.items[0], "stock"), "-"); /* not a fact of the product */
    assert_false(p.items[1].has_price);
    assert_null(p.items[1].brand);
    no_faults(&p);
    ag_products_free(&p);
    must(&p, "t.tsv", "id\ttitle\tcategory\n1\tMug, big\tmugs\n");
    assert_string_equal(p.items[0].title, "Mug, big");
    assert_string_equal(p.items[0].category, "mugs");
    ag_products_free(&p);

    ag_error err = {0};
    put_text(at.folder, "semi.csv", "id;title,x\n1;a, b\n", at.path);
    ag_catalogue_file file = {.path = at.path, .delimiter = ';'};
    const char *const maps[] = {"title,x=title"};
    file.maps = maps;
    file.map_count = 1;
    assert_ok(ag_products_load(&p, &file, &err));
    assert_string_equal(p.items[0].title, "a, b");
    ag_products_free(&p);
    refused("none.csv", "id,label\n1,x\n", NULL,
            "none.csv:1: no column gives the title (columns: id, label)");
}

static void test_maps(void **state)
{
    (void)state;
    ag_products p;
    static const char *const german[] = {"Artikel=item.id",         "Titel=title",
                                         "Farbe=attributes.colour", "Cent=price_cents",
                                         "name=attributes.model",   NULL};
    must_map(&p, "de.csv", "Artikel,Titel,Farbe,Cent,name\n1,Tasse,rot,450,X1\n", german);
    assert_string_equal(p.items[0].title, "Tasse");
    assert_string_equal(values_of(&p.items[0], "colour"), "rot");
    assert_string_equal(values_of(&p.items[0], "model"), "X1");
    assert_true(p.items[0].price == 4.5);
    ag_products_free(&p);
    must_map(&p, "de.jsonl",
             "{\"Artikel\": 1, \"Titel\": \"Tasse\", \"Farbe\": \"rot\", \"Cent\": 450, \"name\": \"X1\"}\n",
             german);
    assert_string_equal(p.items[0].id, "1");
    assert_true(p.items[0].price == 4.5);
    ag_products_free(&p);

    /* A map goes before what is known of Icecat: its prices need not be in cents. */
    static const char *const units[] = {"price=price", NULL}, *const cents[] = {"price=price_cents", NULL};
    static const char both[] =
        "{\"id\": 1, \"title\": \"t\", \"price\": 500}\n"
        "{\"id\": 2, \"title\": \"t\", \"price\": 500, \"supplier\": \"A\", \"ean\": []}\n";
    for (int i = 0; i < 3; i++) {
        must_map(&p, "p.jsonl", both, i == 0 ? NULL : i == 1 ? units : cents);
        assert_true(p.items[0].price == (i == 2 ? 5 : 500));
        assert_true(p.items[1].price == (i == 1 ? 500 : 5));
        ag_products_free(&p);
    }
    /* A column need be in some record only, of whichever shape; and nobody asks for one that no map names. */
    static const char *const two[] = {"x=attributes.x", "y=attributes.y", NULL};
    must_map(&p, "xy.jsonl",
             "{\"id\": 1, \"title\": \"t\", \"x\": 1}\n"
             "{\"id\": 2, \"title\": \"t\", \"y\": 2, \"supplier\": \"A\", \"ean\": []}\n",
             two);
    assert_string_equal(values_of(&p.items[0], "x"), "1");
    assert_string_equal(values_of(&p.items[1], "y"), "2");
    ag_products_free(&p);
    must(&p, "noprice.jsonl", "{\"id\": 2, \"title\": \"t\", \"supplier\": \"A\", \"ean\": []}\n");
    assert_false(p.items[0].has_price);
    ag_products_free(&p);

    static const char *const bad[] = {"Titl=titles", NULL}, *const gone[] = {"Titl=title", NULL},
                             *const none[] = {"Titl", NULL}, *const twice[] = {"a=title", "a=brand", NULL};
    refused("m.jsonl", "{\"id\": 1, \"title\": \"t\"}\n", bad, "did you mean 'title'?");
    refused("m.jsonl", "{\"id\": 1, \"title\": \"t\"}\n", gone, "m.jsonl: no record has 'Titl' (--map)");
    refused("m.csv", "id,Titel\n1,t\n", gone, "m.csv:1: no column 'Titl' (--map); did you mean 'Titel'?");
    refused("m.jsonl", "", none, "'Titl' is not COLUMN=FIELD");
    refused("m.jsonl", "", twice, "twice");
}

static void test_gzip(void **state)
{
    (void)state;
    ag_products p;
    ag_error err = {0};
    snprintf(at.path, sizeof at.path, "%s/c.jsonl.gz", at.folder);
    gzFile gz = gzopen(at.path, "wb");
    assert_non_null(gz);
    for (int i = 0; i < 1000; i++) gzprintf(gz, "{\"id\": %d, \"title\": \"Mug %d\"}\n", i, i);
    assert_int_equal(gzclose(gz), Z_OK);
    ag_catalogue_file file = {.path = at.path};
    assert_ok(ag_products_load(&p, &file, &err));
    assert_int_equal(p.count, 1000);
    assert_string_equal(p.items[999].title, "Mug 999");
    ag_products_free(&p);

    struct stat info; /* cut short: the file is damaged */
    assert_int_equal(stat(at.path, &info), 0);
    assert_int_equal(truncate(at.path, info.st_size / 2), 0);
    assert_int_equal(ag_products_load(&p, &file, &err), AG_ERR_INPUT);
    assert_says(err, "c.jsonl.gz:");
    assert_null(p.items);

    snprintf(at.path, sizeof at.path, "%s/c.csv.gz", at.folder);
    assert_non_null(gz = gzopen(at.path, "wb"));
    gzprintf(gz, "id,title\n1,Mug\n");
    assert_int_equal(gzclose(gz), Z_OK);
    assert_ok(ag_products_load(&p, &file, &err));
    assert_int_equal(p.count, 1);
    ag_products_free(&p);
    file.path = "/nonexistent/c.jsonl";
    assert_int_equal(ag_products_load(&p, &file, &err), AG_ERR_IO);
}

/* --- faults -------------------------------------------------------------------------------------------------- */

#define GOOD "{\"id\": \"good\", \"title\": \"t\"}\n"

static void test_faults(void **state)
{
    static const struct {
        const char *text; /* from line 2 on */
        ag_product_fault fault;
        long line, kept; /* products besides the good one */
    } cases[] = {
        {"{\"id\": \"a\"}\n", AG_PRODUCT_NO_TITLE, 2, 0},
        {"{\"id\": \"a\", \"title\": null}\n", AG_PRODUCT_NO_TITLE, 2, 0},
        {"\n\n{\"id\": \"a\", \"title\": \" \\t\\n\"}\n", AG_PRODUCT_NO_TITLE, 4, 0},
        {"{\"id\": \"a\", \"title\": \"<br>\"}\n", AG_PRODUCT_NO_TITLE, 2, 0},
        {"{}\n", AG_PRODUCT_NO_TITLE, 2, 0},
        {"{\"id\": \"good\", \"title\": \"u\"}\n", AG_PRODUCT_REPEATED, 2, 0},
        {"{\"title\": \"u\"}\n", AG_PRODUCT_NO_ID, 2, 1},
        {"{\"id\": \"\", \"title\": \"u\"}\n", AG_PRODUCT_NO_ID, 2, 1},
        {"{\"id\": \"a\\tb\", \"title\": \"u\"}\n", AG_PRODUCT_NO_ID, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"brand\": {\"x\": 1}}\n", AG_PRODUCT_VALUE, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"category\": [\"x\"]}\n", AG_PRODUCT_VALUE, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"attributes\": {\"x\": {\"y\": 1}}}\n", AG_PRODUCT_VALUE, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"attributes\": {\"x\": [[1], 2]}}\n", AG_PRODUCT_VALUE, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"attributes\": {\" \": 1}}\n", AG_PRODUCT_VALUE, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"attributes\": \"red\"}\n", AG_PRODUCT_VALUE, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"attributes\": [\"red\"]}\n", AG_PRODUCT_VALUE, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"price\": -1}\n", AG_PRODUCT_PRICE, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"price\": \"cheap\"}\n", AG_PRODUCT_PRICE, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"price\": \"1e999\"}\n", AG_PRODUCT_PRICE, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"price\": \"nan\"}\n", AG_PRODUCT_PRICE, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"price\": true}\n", AG_PRODUCT_PRICE, 2, 1},
        {"{\"id\": \"a\", \"title\": \"u\", \"price\": [5]}\n", AG_PRODUCT_PRICE, 2, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ag_products p;
        ag_str text = {0};
        ag_str_add(&text, GOOD);
        ag_str_add(&text, cases[i].text);
        must(&p, "f.jsonl", ag_str_text(&text));
        if ((long)p.count != 1 + cases[i].kept) fail_msg("%s: %zu products", cases[i].text, p.count);
        one_fault(&p, cases[i].fault, cases[i].line);
        assert_string_equal(p.items[0].title, "t");
        if (cases[i].fault == AG_PRODUCT_NO_ID) assert_string_equal(p.items[1].id, "line-2");
        if (cases[i].fault == AG_PRODUCT_PRICE) assert_false(p.items[1].has_price);
        ag_products_free(&p);
        ag_str_free(&text);
    }
}

static void test_fault_counts(void **state)
{
    (void)state;
    ag_products p;
    must(&p, "counts.jsonl",
         GOOD
         "{\"id\": \"a\", \"title\": \"\"}\n{\"id\": \"b\"}\n{\"id\": \"good\", \"title\": \"x\"}\n"
         "{\"id\": \"c\", \"title\": \"x\", \"attributes\": {\"x\": [{}, {}], \"y\": {}}, \"price\": \"?\"}\n"
         "{\"id\": \"c\", \"title\": \"x\"}\n{\"title\": {\"en\": \"x\"}, \"id\": \"d\"}\n"
         "{\"id\": \"e\", \"title\": \"x\", \"attributes\": []}\n");
    assert_int_equal(p.count, 3);
    assert_int_equal(p.faults[AG_PRODUCT_NO_TITLE], 3);
    assert_int_equal(p.faults[AG_PRODUCT_REPEATED], 2);
    assert_int_equal(p.faults[AG_PRODUCT_VALUE], 4); /* each value, and the title that is an object */
    assert_int_equal(p.faults[AG_PRODUCT_PRICE], 1);
    assert_non_null(
        strstr(fault_of(&p, AG_PRODUCT_NO_TITLE), "3 products without a title left out (first: "));
    assert_non_null(strstr(fault_of(&p, AG_PRODUCT_NO_TITLE), "/counts.jsonl:2)"));
    assert_non_null(strstr(fault_of(&p, AG_PRODUCT_REPEATED), ":4)"));
    assert_non_null(strstr(fault_of(&p, AG_PRODUCT_VALUE), ":5)"));
    ag_products_free(&p);

    /* Ids that are numbers and texts are one; rows of a table have their line, not their number. */
    must(&p, "ids.csv", "id,title\n1,\"two\nlines\"\n1,again\n,none\n");
    assert_int_equal(p.count, 2);
    assert_string_equal(p.items[1].id, "line-5");
    assert_non_null(strstr(fault_of(&p, AG_PRODUCT_REPEATED), "ids.csv:4)"));
    ag_products_free(&p);
    must(&p, "ids.jsonl", "{\"id\": 1, \"title\": \"a\"}\n{\"id\": \"1\", \"title\": \"b\"}\n");
    one_fault(&p, AG_PRODUCT_REPEATED, 2);
    ag_products_free(&p);

    /* A long path keeps its end. */
    char deep[160] = "", path[400];
    memset(deep, 'd', 90);
    snprintf(path, sizeof path, "%s/%s", at.folder, deep);
    assert_ok(ag_dir_make(path, NULL));
    snprintf(path, sizeof path, "%s/%s/c.jsonl", at.folder, deep);
    put_file(path, GOOD "{}\n", strlen(GOOD "{}\n"));
    ag_catalogue_file file = {.path = path};
    assert_ok(ag_products_load(&p, &file, NULL));
    assert_non_null(strstr(fault_of(&p, AG_PRODUCT_NO_TITLE), "ddd/c.jsonl:2)"));
    ag_products_free(&p);
    refused("none.jsonl", "{\"id\": 1, \"name_de\": \"Tasse\"}\n", NULL,
            "none.jsonl: no product with a title");
    refused("empty.jsonl", "", NULL, "empty.jsonl: no product with a title");
}

static void test_mixed_types(void **state)
{
    (void)state;
    ag_products p;
    must(&p, "mixed.jsonl",
         "{\"id\": 1, \"title\": [\"One\", \"two\", 3], \"brand\": 3, \"category\": true, \"description\": "
         "1.5, "
         "\"attributes\": {\"x\": [\"a\", 1, 2.50, true, null, {\"o\": 1}, [\"n\"], \"\"]}}\n"
         "{\"id\": 2, \"title\": 42, \"attributes\": {\"x\": 1e3}}\n"
         "{\"id\": 3, \"title\": false, \"attributes\": {\"x\": 12345678901234567}}\n");
    assert_string_equal(p.items[0].title, "One\ntwo\n3");
    assert_string_equal(p.items[0].brand, "3");
    assert_string_equal(p.items[0].category, "true");
    assert_string_equal(p.items[0].description, "1.5");
    assert_string_equal(values_of(&p.items[0], "x"), "a|1|2.5|true");
    assert_string_equal(p.items[1].title, "42");
    assert_string_equal(values_of(&p.items[1], "x"), "1000");
    assert_string_equal(p.items[2].title, "false");
    assert_string_equal(values_of(&p.items[2], "x"), "12345678901234567");
    assert_int_equal(p.faults[AG_PRODUCT_VALUE], 2);
    ag_products_free(&p);
}

/* --- bounds -------------------------------------------------------------------------------------------------- */

static void test_many_attributes(void **state)
{
    (void)state;
    ag_products p;
    ag_str text = {0};
    for (int extra = 0; extra < 2; extra++) {
        int n = extra ? 10000 : AG_PAIR_FIELDS_MAX;
        ag_str_clear(&text);
        ag_str_add(&text, "{\"id\": 1, \"title\": \"t\", \"attributes\": {\"none\": null");
        for (int i = 1; i < n; i++) ag_str_addf(&text, ", \"a%d\": %d", i, i);
        ag_str_add(&text, "}}\n");
        must(&p, "many.jsonl", ag_str_text(&text));
        if (extra) {
            one_fault(&p, AG_PRODUCT_ATTRIBUTES, 1);
            assert_int_equal(p.items[0].field_count, AG_PAIR_FIELDS_MAX);
        } else {
            no_faults(&p);
            assert_int_equal(p.items[0].field_count, AG_PAIR_FIELDS_MAX - 1);
        }
        assert_string_equal(p.items[0].fields[0].name, "a1");
        assert_string_equal(values_of(&p.items[0], "a4095"), "4095");
        ag_products_free(&p);
    }
    ag_str_clear(&text); /* an attribute of too many values goes as a whole */
    ag_str_add(&text, "{\"id\": 1, \"title\": \"t\", \"attributes\": {\"ok\": 1, \"many\": [0");
    for (int i = 0; i < AG_PAIR_VALUES_MAX; i++) ag_str_add(&text, ",1");
    ag_str_add(&text, "]}}\n");
    must(&p, "values.jsonl", ag_str_text(&text));
    one_fault(&p, AG_PRODUCT_VALUE, 1);
    assert_int_equal(p.items[0].field_count, 1);
    ag_products_free(&p);
    ag_str_clear(&text); /* names and ids of more than a kilobyte */
    ag_str_add(&text, "{\"title\": \"t\", \"id\": \"");
    for (int i = 0; i <= AG_PAIR_ID_MAX; i++) ag_str_addc(&text, 'i');
    ag_str_add(&text, "\"}\n");
    must(&p, "id.jsonl", ag_str_text(&text));
    one_fault(&p, AG_PRODUCT_NO_ID, 1);
    ag_products_free(&p);
    ag_str_free(&text);
}

/* A file of `head`, then `n` times the three bytes of a euro sign, then `tail`. */
static void put_long(const char *name, const char *head, size_t n, const char *tail)
{
    snprintf(at.path, sizeof at.path, "%s/%s", at.folder, name);
    FILE *f = fopen(at.path, "wb");
    assert_non_null(f);
    fputs(head, f);
    for (size_t i = 0; i < n; i++) fwrite("\xE2\x82\xAC", 1, 3, f);
    fputs(tail, f);
    assert_int_equal(fclose(f), 0);
}

static void test_long_texts(void **state)
{
    (void)state;
    ag_products p;
    ag_error err = {0};
    ag_catalogue_file file = {.path = at.path};
    put_long("long.jsonl", GOOD "{\"id\": 1, \"title\": \"t\", \"description\": \"x", 2000000, "\"}\n");
    assert_ok(ag_products_load(&p, &file, &err));
    assert_int_equal(p.count, 2);
    one_fault(&p, AG_PRODUCT_LONG, 2);
    size_t n = strlen(p.items[1].description); /* cut between characters: one byte and whole ones of three */
    assert_true(n <= AG_PAIR_TEXT_MAX);
    assert_true(n > AG_PAIR_TEXT_MAX - 3);
    assert_int_equal(n % 3, 1);
    ag_products_free(&p);

    /* 50 MB: past what a line may be, and so the file's fault, not the product's. */
    put_long("huge.jsonl", GOOD "{\"id\": 1, \"title\": \"t\", \"description\": \"", 50000000 / 3, "\"}\n");
    assert_int_equal(ag_products_load(&p, &file, &err), AG_ERR_INPUT);
    assert_says(err, "huge.jsonl:2: ");
    put_long("huge.csv", "id,title,description\n1,t,", 50000000 / 3, "\n");
    assert_int_equal(ag_products_load(&p, &file, &err), AG_ERR_INPUT);
    assert_says(err, "huge.csv:2: ");
    assert_null(p.items);
}

/* --- damaged files ------------------------------------------------------------------------------------------- */

static void test_damage(void **state)
{
    static const struct {
        const char *name, *text, *says;
    } cases[] = {
        {"d.jsonl", GOOD "{\"id\": 1, \"title\": \"t\"\n", "d.jsonl:2:"},
        {"d.jsonl", GOOD "\n{\"id\": 1, \"title\": \"t\"} x\n", "d.jsonl:3:"},
        {"d.jsonl", GOOD "{\"id\": 1, \"id\": 2, \"title\": \"t\"}\n", "d.jsonl:2:"},
        {"d.jsonl", GOOD "{\"id\": 1, \"title\": \"\xC3\x28\"}\n", "d.jsonl:2:"},
        {"d.jsonl", GOOD "{\"id\": 1, \"title\": \"\xED\xA0\x80\"}\n", "d.jsonl:2:"},
        {"d.jsonl", GOOD "{\"id\": 1, \"title\": \"a\\u0000b\"}\n", "d.jsonl:2:"},
        {"d.jsonl", GOOD "{\"id\": 1, \"title\": \"\\ud800\"}\n", "d.jsonl:2:"},
        {"d.jsonl", GOOD "{\"id\": 1, \"title\": \"t\", \"price\": 1e999}\n", "d.jsonl:2:"},
        {"d.jsonl", GOOD "{\"id\": 99999999999999999999, \"title\": \"t\"}\n", "d.jsonl:2:"},
        {"d.jsonl", GOOD "{\"id\": 1, \"title\": \"t\", \"price\": NaN}\n", "d.jsonl:2:"},
        {"d.jsonl", GOOD "[1, 2]\n", "d.jsonl:2: a record must be a JSON object"},
        {"d.jsonl", GOOD "7\n", "d.jsonl:2: a record must be a JSON object"},
        {"d.csv", "id,title\n1,t\n2\n", "d.csv:3:"},
        {"d.csv", "id,title\n1,t\n2,\"t\n", "d.csv:3:"},
        {"d.csv", "id,title\n1,t\n2,\xFF\n", "d.csv:3:"},
        {"d.csv", "id,title,id\n1,t,2\n", "d.csv:1:"},
        {"d.csv", "", "d.csv"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].name, cases[i].text, NULL, cases[i].says);

    ag_products p;
    ag_error err = {0};
    ag_catalogue_file file = {.path = at.path};
    put_text(at.folder, "nul.jsonl", "", at.path); /* a NUL byte in the file itself */
    put_file(at.path, GOOD "{\"id\": 1, \"title\": \"a\0b\"}\n", sizeof GOOD - 1 + 27);
    assert_int_equal(ag_products_load(&p, &file, &err), AG_ERR_INPUT);
    assert_says(err, "nul.jsonl:2");

    ag_str text = {0}; /* deep nesting: kept out when the parser can read it, an error when not */
    for (int depth = 100; depth <= 100000; depth *= 1000) {
        ag_str_clear(&text);
        ag_str_add(&text, GOOD "{\"id\": 1, \"title\": \"t\", \"attributes\": {\"x\": ");
        for (int i = 0; i < depth; i++) ag_str_addc(&text, '[');
        for (int i = 0; i < depth; i++) ag_str_addc(&text, ']');
        ag_str_add(&text, "}}\n");
        if (depth == 100) {
            must(&p, "deep.jsonl", ag_str_text(&text));
            one_fault(&p, AG_PRODUCT_VALUE, 2);
            assert_int_equal(p.items[1].field_count, 0);
            ag_products_free(&p);
        } else {
            refused("deep.jsonl", ag_str_text(&text), NULL, "deep.jsonl:2:");
        }
    }
    ag_str_free(&text);
}

/* Random damage to a small file: products or an error with a place, never a crash. */
static void test_mutations(void **state)
{
    (void)state;
    static const char whole[] =
        "{\"id\": \"a\", \"title\": \"Mug\", \"price\": 4.5, \"attributes\": {\"x\": [1, \"y\", true]}}\n"
        "{\"id\": \"b\", \"title\": \"Cup\", \"supplier\": \"Acme\", \"ean\": [\"1\"], \"attr_t_x\": "
        "\"a,b\"}\n";
    char text[2 * sizeof whole];
    int loaded = 0, refusals = 0;
    for (uint64_t i = 0; i < 1500; i++) {
        ag_rng rng = ag_rng_at(21, AG_RNG_TEST, i, 0, 0, 0);
        ag_products p;
        ag_error err = {0};
        memcpy(text, whole, sizeof whole);
        size_t n = mutate(&rng, text, sizeof whole - 1, sizeof text);
        snprintf(at.path, sizeof at.path, "%s/m.jsonl", at.folder);
        put_file(at.path, text, n);
        ag_catalogue_file file = {.path = at.path};
        ag_status status = ag_products_load(&p, &file, &err);
        assert_true(status == AG_OK || status == AG_ERR_INPUT);
        if (status == AG_OK)
            loaded++;
        else
            assert_says(err, "m.jsonl");
        refusals += status != AG_OK;
        ag_products_free(&p);
    }
    assert_true(loaded > 50 && refusals > 50);
}

/* --- memory -------------------------------------------------------------------------------------------------- */

static ag_status load_once(void *context, ag_error *err)
{
    ag_products p;
    ag_status status = ag_products_load(&p, context, err);
    if (status != AG_OK) assert_null(p.items);
    if (status == AG_OK) {
        assert_int_equal(p.count, 3);
        ag_products_free(&p);
    }
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    static const char *const maps[] = {"farbe=attributes.colour"};
    ag_catalogue_file file = {.path = at.path, .maps = maps, .map_count = 1};
    put_text(at.folder, "memory.jsonl",
             "{\"id\": \"a\", \"title\": \"<i>Mug</i>\", \"brand\": \"b\", \"category\": \"c\", \"farbe\": "
             "\"red\", "
             "\"description\": \"d\", \"attributes\": {\"x\": [1, {}, \"y\"]}, \"price\": \"2\"}\n"
             "{\"title\": \"Cup\"}\n{\"id\": \"a\", \"title\": \"again\"}\n"
             "{\"id\": 3, \"title\": \"Acme\", \"supplier\": \"A\", \"ean\": [], \"attr_t_x\": \"a,b\"}\n",
             at.path);
    sweep_memory(load_once, &file);
    put_text(at.folder, "memory.csv", "id,title,farbe\n1,Mug,red\n2,Cup,\n3,Jug,blue\n", at.path);
    sweep_memory(load_once, &file);
}

/* --- a real catalogue ---------------------------------------------------------------------------------------- */

static void test_icecat(void **state)
{
    (void)state;
    ag_products p;
    ag_error err = {0};
    ag_catalogue_file file = {.path = SAMPLES "chorus_icecat/products.jsonl.gz"};
    if (!ag_path_exists(file.path)) {
        print_message("%s is not there\n", file.path);
        skip();
    }
    if (ag_products_load(&p, &file, &err) != AG_OK) fail_msg("%s", err.message);
    assert_true(p.count > 19000);
    long fields = 0, prices = 0;
    for (size_t i = 0; i < p.count; i++) {
        assert_true(p.items[i].title[0] && p.items[i].id[0]);
        fields += p.items[i].field_count;
        prices += p.items[i].has_price;
    }
    assert_true(fields > (long)p.count && prices > (long)p.count / 2);
    assert_int_equal(p.faults[AG_PRODUCT_NO_ID], 0);
    ag_products_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_items),
                                       cmocka_unit_test(test_feeds),
                                       cmocka_unit_test(test_tables),
                                       cmocka_unit_test(test_maps),
                                       cmocka_unit_test(test_gzip),
                                       cmocka_unit_test(test_faults),
                                       cmocka_unit_test(test_fault_counts),
                                       cmocka_unit_test(test_mixed_types),
                                       cmocka_unit_test(test_many_attributes),
                                       cmocka_unit_test(test_long_texts),
                                       cmocka_unit_test(test_damage),
                                       cmocka_unit_test(test_mutations),
                                       cmocka_unit_test(test_memory),
                                       cmocka_unit_test(test_icecat)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
