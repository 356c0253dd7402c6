/* test_import.c: each importer on small files of its format made here, and on real samples where they are
 * at hand (../shared/data beside the project; else those tests are skipped).
 */
#include "data_help.h"

#include "data/import.h"

typedef struct taken {
    char *lines[4096]; /* pairs as they are written */
    int count;
    ag_book *book;
    long by_tier[AG_MAX_TIERS], rated;
} taken;

typedef struct files {
    char folder[64], paths[4][160];
} files;

static ag_status take(void *context, const ag_pair *pair, ag_error *err)
{
    taken *t = context;
    json_t *json = ag_pair_to_json(pair, t->book);
    ag_str out = {0};
    ag_status status = json ? ag_json_dump(&out, json, err) : ag_fail_memory(err, "pair");
    json_decref(json);
    if (status == AG_OK && t->count < 4096) t->lines[t->count++] = ag_str_take(&out);
    ag_str_free(&out);
    if (pair->gold.tier >= 0) t->by_tier[pair->gold.tier]++;
    t->rated += pair->rating_count;
    return status;
}

static void drop(taken *t)
{
    for (int i = 0; i < t->count; i++) ag_free(t->lines[i]);
    t->count = 0;
    t->rated = 0;
    memset(t->by_tier, 0, sizeof t->by_tier);
}

static ag_status import_with(taken *t, ag_import *import, const char *format, const char *path, ag_error *err)
{
    const char *const names[] = {path};
    import->book = t->book;
    import->files = names;
    import->file_count = 1;
    import->emit = take;
    import->context = t;
    memset(&import->stats, 0, sizeof import->stats);
    drop(t);
    return ag_import_run(import, format, err);
}

static void must(taken *t, ag_import *import, const char *format, const char *path)
{
    ag_error err = {0};
    if (import_with(t, import, format, path, &err) != AG_OK) fail_msg("%s %s: %s", format, path, err.message);
}

static void refused(taken *t, ag_import *import, const char *format, const char *path, const char *says)
{
    ag_error err = {0};
    ag_status status = import_with(t, import, format, path, &err);
    if (status != AG_ERR_INPUT && status != AG_ERR_USAGE)
        fail_msg("%s: status %d, not '%s'", format, status, says);
    assert_says(err, says);
}

static void has(const taken *t, int i, const char *text)
{
    assert_true(i < t->count);
    if (!strstr(t->lines[i], text)) fail_msg("no '%s' in %s", text, t->lines[i]);
}

static taken state_of;
static files at;

static int setup(void **state)
{
    test_folder(at.folder);
    state_of.book = test_book();
    *state = &state_of;
    return 0;
}

static int teardown(void **state)
{
    taken *t = *state;
    drop(t);
    ag_book_free(t->book);
    return ag_dir_remove(at.folder, NULL) == AG_OK ? 0 : -1;
}

/* Writes a file and gives its path. */
static const char *file(int slot, const char *name, const char *text)
{
    put_text(at.folder, name, text, at.paths[slot]);
    return at.paths[slot];
}

static const char esci_text[] =
    "example_id,query,query_id,product_id,product_locale,esci_label,split,product_title,product_description,"
    "product_bullet_point,product_brand,product_color\n"
    "1,mug,9,B1,us,Exact,train,\"A &amp; B <b>mug</b>\",\"<p>Long<br/>text</p> 5 &lt; "
    "6\",\"one\ntwo\",Acme,Blue\n"
    "2,mug,9,B2,us,S,test,Cup,,,,\n"
    "3,mug,9,B3,us,Complement,train,,no title,,,\n"
    "4,mug,9,B4,us,irrelevant,train,Tyre,,,,\n";

static void test_esci(void **state)
{
    taken *t = *state;
    ag_import import = {0};
    const char *path = file(0, "esci.csv", esci_text);
    must(t, &import, "esci", path);
    assert_int_equal(import.stats.read, 4);
    assert_int_equal(import.stats.written, 3);
    assert_int_equal(import.stats.no_title, 1);
    assert_string_equal(t->lines[0], "{\"id\":\"1\",\"query\":\"mug\",\"locale\":\"us\",\"item\":{\"id\":"
                                     "\"B1\",\"title\":\"A & B mug\",\"brand\":"
                                     "\"Acme\",\"description\":\"one two\\nLong text 5 < "
                                     "6\",\"attributes\":{\"colour\":\"Blue\"}},\"gold\":{"
                                     "\"tier\":\"4\"},\"query_id\":\"9\",\"split\":\"train\"}");
    has(t, 1, "\"gold\":{\"tier\":\"3\"}");
    has(t, 2, "\"gold\":{\"tier\":\"1\"}");

    import.keep_html = true;
    must(t, &import, "esci", path);
    has(t, 0, "A &amp; B <b>mug</b>");
    import.keep_html = false;

    static const char *const where[] = {"split=test"};
    import.where = where;
    import.where_count = 1;
    must(t, &import, "esci", path);
    assert_int_equal(import.stats.written, 1);
    assert_int_equal(import.stats.filtered, 3);
    static const char *const nowhere[] = {"spilt=test"};
    import.where = nowhere;
    refused(t, &import, "esci", path, "esci.csv:2: no column 'spilt' (--where)");
    import.where_count = 0;

    import.labels = "Exact=4,S=3,Complement=-,Irrelevant=1";
    must(t, &import, "esci", path);
    assert_int_equal(import.stats.left_out, 1);
    import.labels = "Exact=4,Substitute=3";
    refused(t, &import, "esci", path, "esci.csv:4: 'S' is not a label of esci (exact, substitute)");
    import.labels = "Exact=5";
    refused(t, &import, "esci", path, "'5' is not a tier of the book");
    import.labels = "Exact";
    refused(t, &import, "esci", path, "'Exact' is not LABEL=TIER");
    import.labels = "Exact=4,exact=3";
    refused(t, &import, "esci", path, "given two tiers");
    import.labels = NULL;
    refused(t, &import, "esci", file(0, "e2.csv", "query,product_title,esci_label\nq,t,Exakt\n"),
            "e2.csv:2: 'Exakt' is not a label of esci");
    refused(t, &import, "esci", at.paths[0], "did you mean 'exact'?");

    /* Only the joined text: its first line is the title. */
    must(t, &import, "esci",
         file(0, "e3.csv", "query,product_text,esci_label\nq,\"First\nSecond\nThird\",E\n"));
    has(t, 0, "\"title\":\"First\",\"description\":\"Second Third\"");
}

static void test_labels(void **state)
{
    taken *t = *state;
    ag_labels *labels;
    ag_error err = {0};
    const char *tier;
    /* Names go before ranks: this data set's best is the book's worst by name. */
    static const ag_label odd[] = {{"Irrelevant", 0}, {"Mismatch", 1}, {"3", 2}, {"excellent", 3}, {NULL, 0}};
    assert_ok(ag_labels_create(&labels, t->book, "odd", odd, false, NULL, &err));
    json_t *value = json_string("IRRELEVANT ");
    assert_ok(ag_labels_tier(labels, value, "f", 1, &tier, &err));
    assert_string_equal(tier, "1");
    json_decref(value);
    ag_labels_free(labels);
    /* Numbers say nothing of ids: 3 is the best grade here although the book has a tier 3. */
    static const ag_label grades[] = {{"3", 0}, {"2", 1}, {"1", 2}, {"0", 3}, {NULL, 0}};
    assert_ok(ag_labels_create(&labels, t->book, "grades", grades, true, NULL, &err));
    json_t *values[] = {json_integer(3), json_real(3.0), json_string("3.000"), json_string(" 3 ")};
    for (int i = 0; i < 4; i++) {
        assert_ok(ag_labels_tier(labels, values[i], "f", 1, &tier, &err));
        assert_string_equal(tier, "4");
        json_decref(values[i]);
    }
    assert_int_equal(ag_labels_tier(labels, json_true(), "f", 1, &tier, &err), AG_ERR_INPUT);
    assert_int_equal(ag_labels_tier(labels, json_null(), "f", 1, &tier, &err), AG_ERR_INPUT);
    ag_labels_free(labels);
    static const ag_label two[] = {{"yes", 0}, {"no", 1}, {NULL, 0}};
    assert_int_equal(ag_labels_create(&labels, t->book, "two", two, false, NULL, &err), AG_ERR_USAGE);
    assert_says(err, "two has 2 labels and the book 4 tiers");
    assert_says(err, "--labels 'yes=4,no=1'");
    assert_ok(
        ag_labels_create(&labels, t->book, "two", two, false, "a=b=4,=x=1", &err)); /* the last = divides */
    value = json_string("A=B");
    assert_ok(ag_labels_tier(labels, value, "f", 1, &tier, &err));
    assert_string_equal(tier, "4");
    json_decref(value);
    ag_labels_free(labels);
}

static const char judgments[] =
    "{\"judgmentRatings\": [{\"query\": \"mug\", \"ratings\": [{\"docId\": \"B1\", \"rating\": \"100.000\"}, "
    "{\"docId\": \"B2\", "
    "\"rating\": 10}, {\"docId\": \"B9\", \"rating\": \"0.000\"}]}, {\"query\": \"cup\", \"ratings\": []}]}";

static void test_judgments(void **state)
{
    taken *t = *state;
    ag_import import = {0};
    const char *path = file(0, "j.json", judgments);
    refused(t, &import, "esci", path, "give --catalogue FILE");
    import.catalogue = file(
        1, "vespa.jsonl",
        "{\"put\": \"id:x::B1\", \"fields\": {\"id\": \"B1\", \"title\": \"Mug\", \"bullets\": \"a\", "
        "\"description\": \"b\", \"color\": \"red\", \"locale\": \"us\"}}\n"
        "{\"put\": \"id:x::B2\", \"fields\": {\"id\": \"B2\", \"title\": \"\"}}\n"
        "{\"put\": \"id:x::B3\", \"fields\": {\"id\": \"B3\", \"title\": \"Not asked for\"}}\n");
    must(t, &import, "esci", path);
    assert_int_equal(import.stats.read, 3);
    assert_int_equal(import.stats.written, 1);
    assert_int_equal(import.stats.no_title, 1);
    assert_int_equal(import.stats.no_product, 1);
    assert_string_equal(import.stats.example, "product B9");
    has(t, 0,
        "\"query\":\"mug\",\"item\":{\"id\":\"B1\",\"title\":\"Mug\",\"description\":\"a\\nb\","
        "\"attributes\":{\"colour\":\"red\"}");
    has(t, 0, "\"gold\":{\"tier\":\"4\"}");
    import.catalogue = file(1, "cat.csv", "product_id,product_title,price\nB1,Mug,9.90\nB9,Tyre,\n");
    must(t, &import, "opensearch", path);
    assert_int_equal(import.stats.written, 2);
    has(t, 0, "\"price\":9.9");
    has(t, 1, "\"gold\":{\"tier\":\"1\"}");
    import.catalogue = file(1, "cat.csv", "product_id,product_title\nC1,Mug\n");
    refused(t, &import, "opensearch", path, "none of 3 judgments found");
    refused(t, &import, "opensearch", file(0, "j.json", "{\"judgmentRatings\": [{\"query\": \"mug\"}]}"),
            "judgmentRatings[0]");
    refused(t, &import, "opensearch", file(0, "j.json", "{\"a\": 1}"), "no list 'judgmentRatings'");
    refused(t, &import, "opensearch", file(0, "j.json", "{\"judgmentRatings\": ["), "j.json:1:");
    refused(t, &import, "opensearch", "-", "cannot come from standard input");
    refused(
        t, &import, "opensearch",
        file(
            0, "j.json",
            "{\"judgmentRatings\": [{\"query\": \"a\", \"ratings\": [{\"docId\": \"C1\", \"rating\": 7}]}]}"),
        "'7' is not a label of opensearch");
}

/* Rows that name their products: the catalogue's product, but for what the row says itself. */
static void test_rows_joined(void **state)
{
    taken *t = *state;
    const char *products = file(
        1, "p.jsonl",
        "{\"id\": \"B1\", \"title\": \"Mug\", \"brand\": \"Acme\", \"price\": 3, \"attributes\": "
        "{\"colour\": "
        "\"red\", \"size\": \"L\"}}\n{\"id\": \"B2\", \"title\": \"\"}\n{\"id\": \"B3\", \"title\": \"Not "
        "named\"}\n{\"id\": \"7\", \"title\": \"Seven\"}\n");
    ag_import import = {.catalogue = products};
    must(t, &import, "csv",
         file(0, "r.csv",
              "query,product_id,tier,note\nmug,B1,4,good\ncup,B9,1,\nbowl,B2,1,\nred mug,B1,3,\n"));
    assert_int_equal(import.stats.read, 4);
    assert_int_equal(import.stats.written, 2);
    assert_int_equal(import.stats.no_product, 1);
    assert_int_equal(import.stats.no_title, 1);
    assert_string_equal(import.stats.example, "product B9");
    has(t, 0,
        "\"query\":\"mug\",\"item\":{\"id\":\"B1\",\"title\":\"Mug\",\"brand\":\"Acme\",\"price\":3,"
        "\"attributes\":{\"colour\":\"red\",\"size\":\"L\"}},\"gold\":{\"tier\":\"4\"},\"note\":\"good\"");
    has(t, 1, "\"query\":\"red mug\"");

    /* what the row says stays, attribute by attribute; the same of agrl's own pairs, and of numbers as ids */
    must(t, &import, "csv",
         file(0, "r.csv", "query,product_id,title,attr,tier\nmug,B1,Old mug,,4\nmug,B1,,x,4\n"));
    has(t, 0, "\"item\":{\"id\":\"B1\",\"title\":\"Old mug\",\"brand\":\"Acme\"");
    has(t, 1, "\"title\":\"Mug\"");
    must(t, &import, "jsonl",
         file(0, "r.jsonl",
              "{\"query\": \"mug\", \"item\": {\"id\": \"B1\", \"title\": \"My mug\", \"attributes\": "
              "{\"colour\": \"blue\"}}, \"gold\": {\"tier\": \"4\"}}\n"
              "{\"query\": \"seven\", \"product_id\": 7, \"tier\": \"1\"}\n"));
    has(t, 0, "\"title\":\"My mug\",\"attributes\":{\"colour\":\"blue\",\"size\":\"L\"},\"brand\":\"Acme\"");
    has(t, 1, "\"item\":{\"id\":\"7\",\"title\":\"Seven\"}");

    /* a map, a choice of rows, labels that leave out, and what only one reading may count */
    static const char *const maps[] = {"sku=item.id"}, *const where[] = {"part=a"};
    import = (ag_import){.catalogue = products,
                         .labels = "good=4,bad=1,?=-",
                         .maps = maps,
                         .map_count = 1,
                         .where = where,
                         .where_count = 1};
    must(t, &import, "csv",
         file(0, "r.csv", "query,sku,label,part\nmug,B1,good,a\nmug2,B1,?,a\nmug3,B1,bad,b\n"));
    assert_int_equal(import.stats.read, 3);
    assert_int_equal(import.stats.written, 1);
    assert_int_equal(import.stats.left_out, 1);
    assert_int_equal(import.stats.filtered, 1);

    import = (ag_import){.catalogue = products};
    refused(t, &import, "csv", file(0, "r.csv", "query,tier\nmug,4\n"),
            "r.csv:1: no column gives the product id (columns: query, tier); name one with --map "
            "COLUMN=item.id");
    refused(t, &import, "csv", file(0, "r.csv", "query,product_id,tier\nmug,B1,4\nmug,,4\n"),
            "r.csv:3: no product id, by which --catalogue has the product");
    refused(t, &import, "jsonl", file(0, "r.jsonl", "{\"query\": \"q\", \"item\": {\"title\": \"t\"}}\n"),
            "r.jsonl:1: no product id");
    refused(t, &import, "csv", file(0, "r.csv", "query,product_id,tier\nmug,B9,4\n"),
            "none of 1 rows found its product (product B9 is not in ");
    refused(t, &import, "csv", "-", "cannot come from standard input");
    refused(t, &import, "csv", file(0, "r.csv", "query,product_id,tier\nmug,B1,5\n"), "r.csv:2");
    import.catalogue = "nowhere.jsonl";
    ag_error err = {0};
    assert_int_equal(
        import_with(t, &import, "csv", file(0, "r.csv", "query,product_id,tier\nmug,B1,4\n"), &err),
        AG_ERR_IO);
    assert_says(err, "nowhere.jsonl");

    /* queries are joined where judgments name them, and refused elsewhere */
    import = (ag_import){.queries = "topics.tsv"};
    refused(t, &import, "csv", file(0, "r.csv", "query,title,tier\nmug,Mug,4\n"),
            "--queries is for judgments that name their queries by id; rows of csv hold the text");
    import.catalogue = products;
    refused(t, &import, "opensearch", file(0, "j.json", judgments), "those of opensearch hold the text");
}

static void test_wands(void **state)
{
    taken *t = *state;
    ag_import import = {.labels = "Exact=4,Partial=3,Irrelevant=1"};
    const char *labels = file(
        0, "label.csv",
        "id\tquery_id\tproduct_id\tlabel\n0\t5\t10\tExact\n1\t5\t11\tPartial\n2\t6\t10\tIrrelevant\n");
    file(1, "query.csv", "query_id\tquery\tquery_class\n5\tsalon chair\tMassage Chairs\n6\tlamp\tLamps\n");
    file(2, "product.csv",
         "product_id\tproduct_name\tproduct_class\tcategory "
         "hierarchy\tproduct_description\tproduct_features\trating_count\n"
         "10\t12\" chair\tChairs\tA / B\tnice\tcolor : red|size:L | size : XL |bad| : x "
         "|y:\t3\n11\tstool\t\t\t\t\t\n");
    must(t, &import, "wands", labels);
    assert_int_equal(import.stats.written, 3);
    assert_string_equal(t->lines[0],
                        "{\"id\":\"5-10\",\"query\":\"salon "
                        "chair\",\"item\":{\"id\":\"10\",\"title\":\"12\\\" chair\",\"category\":\"Chairs\","
                        "\"description\":\"nice\",\"attributes\":{\"color\":\"red\",\"size\":[\"L\",\"XL\"]},"
                        "\"category hierarchy\":\"A / "
                        "B\",\"rating_count\":\"3\"},\"gold\":{\"tier\":\"4\"},\"query_id\":\"5\",\"query_"
                        "class\":\"Massage Chairs\"}");
    has(t, 2, "\"query\":\"lamp\"");
    import.labels = NULL;
    refused(t, &import, "wands", labels, "wands has 3 labels and the book 4 tiers");

    /* One table, made binary. */
    const char *rows = file(3, "two.csv",
                            "query,name,target\nsofa,red sofa,Relevant\nsofa,lamp,Not relevant\n");
    refused(t, &import, "wands", rows, "--labels 'Relevant=4,Not relevant=1'");
    import.labels = "Relevant=4,Not relevant=1";
    must(t, &import, "wands", rows);
    assert_int_equal(import.stats.written, 2);
    has(t, 1, "\"title\":\"lamp\"");
}

static const char chorus_text[] = "{\"query\": \"speaker\", \"docid\": \"7\", \"title\": \"S\", \"brand\": "
                                  "\"Sony\", \"short_description\": \"d\", \"attrs\": "
                                  "{\"attr_t_product_colour\": \"Black\", \"attr_n_weight\": 1.0, "
                                  "\"attr_b_bluetooth\": true, \"attr_t_battery_life__max_\": "
                                  "\"a, b\", \"attr_t_formats\": \"AAC,MP,1,5\", \"attr_n_formats\": 2.5, "
                                  "\"attr_t_text\": \"one\\\\ntwo\", \"attr_t_empty\": \"\"}, "
                                  "\"price\": 4095, \"ratings\": [2, 3, 3], \"label\": 3}\n";

static void test_chorus(void **state)
{
    taken *t = *state;
    ag_import import = {0};
    must(t, &import, "chorus", file(0, "c.jsonl", chorus_text));
    assert_int_equal(import.stats.written, 1);
    const char *tail = strstr(t->lines[0], "\"query\""); /* behind the digest */
    assert_string_equal(tail,
                        "\"query\":\"speaker\",\"item\":{\"id\":\"7\",\"title\":\"S\",\"brand\":\"Sony\","
                        "\"price\":40.95,\"description\":\"d\","
                        "\"attributes\":{\"product_colour\":\"Black\",\"weight\":1.0,\"bluetooth\":true,"
                        "\"battery_life_max\":\"a, b\","
                        "\"formats\":[\"AAC\",\"MP\",\"1,5\",2.5],\"text\":\"one\\ntwo\"}},\"gold\":{"
                        "\"tier\":\"4\"},\"ratings\":[{\"by\":\"r1\","
                        "\"tier\":\"3\"},{\"by\":\"r2\",\"tier\":\"4\"},{\"by\":\"r3\",\"tier\":\"4\"}]}");
    refused(t, &import, "chorus", file(0, "c.jsonl", "{\"query\": \"q\", \"title\": \"t\", \"label\": 4}\n"),
            "c.jsonl:1: '4' is not a label of chorus (3, 2, 1, 0)");
    refused(t, &import, "chorus", file(0, "c.jsonl", "[1]\n"), "c.jsonl:1: a record must be a JSON object");
    refused(t, &import, "chorus",
            file(0, "c.jsonl", "{\"query\": \"q\", \"title\": \"t\", \"price\": \"x\"}\n"),
            "item.price must be");

    /* Its catalogue joins judgments, too. */
    import.catalogue = file(
        1, "p.jsonl",
        "{\"id\": \"B1\", \"name\": \"n\", \"title\": \"T\", \"ean\": [\"1\"], \"supplier\": \"HP\", "
        "\"price\": 1099, \"attr_t_type\": \"x\"}\n");
    must(t, &import, "opensearch", file(0, "j.json", judgments));
    has(t, 0,
        "\"brand\":\"HP\",\"price\":10.99,\"attributes\":{\"type\":\"x\"},\"name\":\"n\",\"ean\":[\"1\"]");
}

static void test_qrels(void **state)
{
    taken *t = *state;
    ag_import import = {0};
    const char *path = file(0, "q.qrels", "1 0 d1 1\n1 0 d2 0\n\n2\t0\td1\t2\n3 0 d1 1\n");
    refused(t, &import, "qrels", path, "give --queries FILE");
    import.queries = file(1, "topics.tsv", "1\tred boots\n2\tblue boots\n");
    refused(t, &import, "qrels", path, "--labels '1=4,0=1'");
    import.labels = "2=4,1=3,0=1";
    refused(t, &import, "qrels", path, "give --catalogue FILE");
    import.catalogue = file(2, "corpus.jsonl",
                            "{\"_id\": \"d1\", \"title\": \"Boots\", \"text\": \"leather\"}\n"
                            "{\"_id\": \"d2\", \"title\": \"Tyre\", \"text\": \"\"}\n");
    must(t, &import, "qrels", path);
    assert_int_equal(import.stats.written, 3);
    assert_int_equal(import.stats.no_query, 1);
    assert_string_equal(import.stats.example, "query 3");
    assert_string_equal(t->lines[0], "{\"id\":\"1-d1\",\"query\":\"red "
                                     "boots\",\"item\":{\"id\":\"d1\",\"title\":\"Boots\",\"description\":"
                                     "\"leather\"},\"gold\":{\"tier\":\"3\"},\"query_id\":\"1\"}");
    import.queries = file(
        1, "queries.jsonl",
        "{\"_id\": \"1\", \"text\": \"red boots\", \"metadata\": {}}\n{\"_id\": 2, \"text\": \"b\"}\n");
    must(t, &import, "qrels", file(0, "b.tsv", "query-id\tcorpus-id\tscore\n1\td1\t1\n2\td2\t0\n"));
    assert_int_equal(import.stats.written, 2);
    import.queries = file(1, "queries.csv", "qid,query\n1,\"red, boots\"\n2,b\n");
    must(t, &import, "qrels", at.paths[0]);
    has(t, 0, "\"query\":\"red, boots\"");
    refused(t, &import, "qrels", file(0, "b.tsv", "1 0 d1\n"), "b.tsv:1: not 'query-id");
    refused(t, &import, "qrels", file(0, "b.tsv", "1 0 d1 1 9\n"), "b.tsv:1: not 'query-id");
    refused(t, &import, "qrels", file(0, "b.tsv", "1 0 d1 x\n"), "b.tsv:1: not 'query-id");
    refused(t, &import, "qrels", file(0, "b.tsv", "1 0 d1 3\n"), "'3' is not a label of qrels");
    import.queries = file(1, "topics.tsv", "1\ta\n1\tb\n");
    refused(t, &import, "qrels", file(0, "b.tsv", "1 0 d1 1\n"), "topics.tsv:2: query id '1' twice");
    import.queries = file(1, "topics.tsv", "alone\n");
    refused(t, &import, "qrels", at.paths[0], "topics.tsv:1: not a query id");
}

static void test_map(void **state)
{
    taken *t = *state;
    ag_import import = {0};
    const char *path = file(0, "m.csv",
                            "Suche;Name;Grade;A;B;Farbe;Typ;title\nrot;Schuh;Excellent;4;;rot;a|b;Alt\n");
    static const char *const maps[] = {"Suche=query",   "Name=title",   "Grade=tier",
                                       "A=rating.anna", "B=rating.ben", "Farbe=attributes.colour",
                                       "Typ=type"};
    import.maps = maps;
    import.map_count = 7;
    must(t, &import, "csv", path);
    has(t, 0,
        "\"query\":\"rot\",\"type\":[\"a\",\"b\"],\"item\":{\"title\":\"Schuh\",\"attributes\":{\"colour\":"
        "\"rot\"}},"
        "\"gold\":{\"tier\":\"4\"},\"ratings\":[{\"by\":\"anna\",\"tier\":\"4\"},{\"by\":\"ben\",\"tier\":"
        "null}],"
        "\"title\":\"Alt\"}"); /* not taken by the map: passes through */
    static const struct {
        const char *map, *says;
    } cases[] = {{"Such=query", "m.csv:1: no column 'Such' (--map); did you mean 'Suche'?"},
                 {"Suche=qurey", "no field 'qurey'; did you mean 'query'?"},
                 {"Suche", "is not COLUMN=FIELD"},
                 {"Suche=", "is not COLUMN=FIELD"},
                 {"=query", "is not COLUMN=FIELD"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        import.maps = &cases[i].map;
        import.map_count = 1;
        refused(t, &import, "csv", path, cases[i].says);
    }
    static const char *const twice[] = {"Suche=query", "Suche=id"};
    import.maps = twice;
    import.map_count = 2;
    refused(t, &import, "csv", path, "twice");
    import.map_count = 0;
    refused(t, &import, "csv", path, "m.csv:1: no column gives the query (columns: Suche, Name");

    static const char *const deep[] = {"q=query", "junk=-"};
    import.maps = deep;
    import.map_count = 2;
    must(t, &import, "jsonl",
         file(0, "m.jsonl",
              "{\"q\": \"a\", \"title\": \"t\", \"junk\": {\"x\": 1}, \"item\": 3, \"more\": [1]}\n"));
    has(t, 0, "\"query\":\"a\",\"item\":{\"title\":\"t\"},\"source_item\":3,\"more\":[1]}");
    refused(t, &import, "jsonl", file(0, "m.jsonl", "{\"q\": \"a\", \"title\": \"t\"}\n"),
            "no record has 'junk' (--map)");
    import.map_count = 0; /* agrl's own pairs stay as they are */
    must(t, &import, "jsonl",
         file(0, "m.jsonl",
              "{\"id\": \"p\", \"query\": \"a\", \"item\": {\"title\": \"t\", \"x\": 1}, \"type\": \"b\", "
              "\"gold\": {\"tier\": 3}}\n"));
    assert_string_equal(t->lines[0], "{\"id\":\"p\",\"query\":\"a\",\"item\":{\"title\":\"t\",\"x\":1},"
                                     "\"type\":\"b\",\"gold\":{\"tier\":\"3\"}}");
    refused(t, &import, "jsno", path, "unknown format 'jsno' (known: esci,");
    refused(t, &import, "chorsu", path, "did you mean 'chorus'?");
    import.map_count = 0;
    must(t, &import, "csv",
         file(0, "a.csv", "query,title,asked\nq,t,\"[{\"\"name\"\": \"\"a\"\", \"\"value\"\": 1}]\"\n"));
    has(t, 0, "\"asked\":[{\"name\":\"a\",\"value\":1}]");
    refused(t, &import, "csv", file(0, "a.csv", "query,title,asked\nq,t,[\n"), "asked: ");
}

/* --- real samples
 * -------------------------------------------------------------------------------------------- */

static const char *sample(const char *name, char path[512])
{
    snprintf(path, 512, "%s%s", SAMPLES, name);
    if (ag_path_exists(path)) return path;
    print_message("skipped: no %s\n", path);
    return NULL;
}

static void test_real_esci(void **state)
{
    taken *t = *state;
    ag_import import = {0};
    char path[512], catalogue[512];
    if (!sample("esci_small/esci_200.csv", path)) skip();
    must(t, &import, "esci", path);
    assert_int_equal(import.stats.written, 200);
    assert_int_equal(t->by_tier[0], 138);
    assert_int_equal(t->by_tier[1], 49);
    assert_int_equal(t->by_tier[2], 1);
    assert_int_equal(t->by_tier[3], 12);
    has(t, 0,
        "\"id\":\"1288327\",\"query\":\"mama koala\",\"locale\":\"us\",\"item\":{\"id\":\"B01LVWQY6K\"");
    has(t, 0, "\"attributes\":{\"colour\":\"Jagger\"}");
    for (int i = 0; i < t->count; i++) assert_null(strstr(t->lines[i], "<br"));

    if (!sample("esci_small/opensearch_esci_us_judgments.json", path)) skip();
    refused(t, &import, "esci", path, "give --catalogue FILE");
    import.catalogue = sample("esci_small/esci_200.csv", catalogue);
    must(t, &import, "opensearch", path);
    assert_int_equal(import.stats.read, 6678);
    assert_int_equal(import.stats.written, 1);
    assert_int_equal(import.stats.no_product, 6677);
    if (!(import.catalogue = sample("esci_small/vespa_sample-products.jsonl", catalogue))) skip();
    must(t, &import, "opensearch",
         file(0, "j.json",
              "{\"judgmentRatings\": [{\"query\": \"q\", \"ratings\": [{\"docId\": \"B08VSJGP1N\", "
              "\"rating\": 100}]}]}"));
    has(t, 0, "\"title\":\"Apple Carplay Double Din Car Stereo");
    has(t, 0, "\"colour\":\"black\"");
}

static void test_real_wands(void **state)
{
    taken *t = *state;
    ag_import import = {.labels = "Relevant=4,Not relevant=1"};
    char path[512];
    ag_queries *queries;
    json_t *query;
    ag_error err = {0};
    if (!sample("wands/wands_2800.csv", path)) skip();
    must(t, &import, "wands", path);
    assert_int_equal(import.stats.written, 2800);
    assert_int_equal(t->by_tier[0], 1400);
    assert_int_equal(t->by_tier[3], 1400);
    if (!sample("wands/WANDS_query.csv", path)) skip();
    assert_ok(ag_queries_load(&queries, path, &err));
    assert_ok(ag_queries_get(queries, "2", &query, &err));
    assert_string_equal(json_string_value(json_object_get(query, "query")), "dinosaur");
    assert_string_equal(json_string_value(json_object_get(query, "query_class")), "Kids Wall Décor");
    json_decref(query);
    assert_ok(ag_queries_get(queries, "no such", &query, &err));
    assert_null(query);
    ag_queries_free(queries);
}

static void test_real_chorus(void **state)
{
    taken *t = *state;
    ag_import import = {0};
    char path[512];
    if (!sample("chorus_icecat/rated_pairs.jsonl", path)) skip();
    must(t, &import, "chorus", path);
    assert_int_equal(import.stats.written, 2388);
    assert_int_equal(t->rated, 3 * 2388);
    static const long given[4] = {996, 56, 186, 1150};
    for (int i = 0; i < 4; i++) assert_int_equal(t->by_tier[i], given[i]);
    int same = 0;
    for (int i = 0; i < t->count; i++) { /* the median of the raters is the label in 2089 of 2388 */
        ag_pair *label = pair_of(t->lines[i], t->book, AG_AGGREGATE_GIVEN);
        ag_pair *median = pair_of(t->lines[i], t->book, AG_AGGREGATE_MEDIAN);
        same += label->gold.tier == median->gold.tier;
        ag_pair_free(label);
        ag_pair_free(median);
    }
    assert_int_equal(same, 2089);

    if (!sample("chorus_icecat/products.jsonl.gz", path)) skip();
    import.catalogue = path;
    must(t, &import, "opensearch",
         file(0, "j.json",
              "{\"judgmentRatings\": [{\"query\": \"q\", \"ratings\": [{\"docId\": \"3920564\", \"rating\": "
              "100}]}]}"));
    has(t, 0, "\"brand\":\"Xerox\",\"price\":49.95");
    has(t, 0, "\"compatibility\":\"CopyCentre C65\"");
}

/* --- damage
 * -------------------------------------------------------------------------------------------------- */

static void test_mutations(void **state)
{
    taken *t = *state;
    static const struct {
        const char *format, *name, *text;
    } kinds[] = {{"chorus", "x.jsonl", chorus_text},
                 {"esci", "x.csv", esci_text},
                 {"opensearch", "x.json", judgments}};
    ag_rng rng = ag_rng_at(8, AG_RNG_TEST, 0, 0, 0, 0);
    const char *catalogue = file(3, "cat.csv", "product_id,product_title\nB1,Mug\nB2,Cup\n");
    int good = 0;
    for (int i = 0; i < 1500; i++) {
        char bytes[sizeof chorus_text + sizeof esci_text], path[160];
        size_t len = strlen(kinds[i % 3].text);
        ag_import import = {.catalogue = i % 3 == 2 ? catalogue : NULL};
        ag_error err = {0};
        memcpy(bytes, kinds[i % 3].text, len);
        len = mutate(&rng, bytes, len, sizeof bytes);
        snprintf(path, sizeof path, "%s/%s", at.folder, kinds[i % 3].name);
        put_file(path, bytes, len);
        ag_status status = import_with(t, &import, kinds[i % 3].format, path, &err);
        good += status == AG_OK;
        if (status != AG_OK) assert_true(status == AG_ERR_INPUT && err.message[0]);
    }
    assert_true(good > 50);
}

typedef struct sweep {
    taken *t;
    ag_import import;
    const char *format, *path;
} sweep;

static ag_status sweep_one(void *context, ag_error *err)
{
    sweep *s = context;
    return import_with(s->t, &s->import, s->format, s->path, err);
}

static void test_memory(void **state)
{
    taken *t = *state;
    sweep chorus = {t, {0}, "chorus", file(0, "c.jsonl", chorus_text)};
    sweep_memory(sweep_one, &chorus);
    sweep esci = {
        t, {.labels = "Exact=4,S=3,Complement=-,Irrelevant=1"}, "esci", file(0, "e.csv", esci_text)};
    sweep_memory(sweep_one, &esci);
    sweep joined = {
        t,
        {.catalogue = file(3, "p.jsonl", "{\"id\":\"B1\",\"title\":\"Mug\",\"attributes\":{\"a\":\"b\"}}\n")},
        "csv",
        file(0, "r.csv", "query,product_id,tier\nmug,B1,4\nmug,B9,4\n")};
    sweep_memory(sweep_one, &joined);
    file(1, "query.csv", "query_id\tquery\n5\tsalon chair\n");
    file(2, "product.csv", "product_id\tproduct_name\tproduct_features\n10\tchair\ta:b|a:c\n");
    sweep wands = {t,
                   {.labels = "Exact=4"},
                   "wands",
                   file(0, "label.csv", "id\tquery_id\tproduct_id\tlabel\n0\t5\t10\tExact\n")};
    sweep_memory(sweep_one, &wands);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_esci),        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_judgments),   cmocka_unit_test(test_rows_joined),
        cmocka_unit_test(test_wands),       cmocka_unit_test(test_chorus),
        cmocka_unit_test(test_qrels),       cmocka_unit_test(test_map),
        cmocka_unit_test(test_real_esci),   cmocka_unit_test(test_real_wands),
        cmocka_unit_test(test_real_chorus), cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
