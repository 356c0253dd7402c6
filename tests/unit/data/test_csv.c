/* test_csv.c: the CSV reader against Python's csv module (tests/golden/csv), its refusals, and hostile
 * input. */
#include "data_help.h"

#include <unistd.h>
#include <zlib.h>

#include "data/csv.h"
#include "data/record.h"

#define GOLDEN AGRL_SOURCE_DIR "/tests/golden/csv/cases.json"

static char folder[64];

static int setup(void **state)
{
    (void)state;
    test_folder(folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return ag_dir_remove(folder, NULL) == AG_OK ? 0 : -1;
}

static void test_golden(void **state)
{
    (void)state;
    json_t *cases, *one, *row;
    size_t i, r, c;
    char path[160];
    ag_error err = {0};
    if (ag_json_load(&cases, GOLDEN, &err) != AG_OK) fail_msg("%s", err.message);
    assert_true(json_array_size(cases) >= 100);
    snprintf(path, sizeof path, "%s/g.csv", folder);
    json_array_foreach(cases, i, one)
    {
        const json_t *text = json_object_get(one, "text"), *rows = json_object_get(one, "rows");
        const ag_csv_field *fields;
        ag_csv *csv;
        put_file(path, json_string_value(text), json_string_length(text));
        char delimiter = json_string_value(json_object_get(one, "delimiter"))[0];
        if (ag_csv_open(&csv, path, delimiter, &err) != AG_OK) fail_msg("case %zu: %s", i, err.message);
        json_array_foreach(rows, r, row)
        {
            size_t width = json_array_size(row);
            assert_int_equal(ag_csv_column_count(csv), width);
            if (r == 0) {
                for (c = 0; c < width; c++)
                    assert_string_equal(ag_csv_column_name(csv, (int)c),
                                        json_string_value(json_array_get(row, c)));
                continue;
            }
            if (ag_csv_next(csv, &fields, &err) != AG_OK) fail_msg("case %zu row %zu: %s", i, r, err.message);
            assert_non_null(fields);
            for (c = 0; c < width; c++) {
                const json_t *cell = json_array_get(row, c);
                if (fields[c].len != json_string_length(cell) ||
                    strcmp(fields[c].text, json_string_value(cell)) != 0)
                    fail_msg("case %zu row %zu column %zu: '%s', not '%s'", i, r, c, fields[c].text,
                             json_string_value(cell));
            }
        }
        assert_ok(ag_csv_next(csv, &fields, &err));
        assert_null(fields);
        ag_csv_close(csv);
    }
    json_decref(cases);
}

/* Reads all of it; *rows counts. */
static ag_status read_all(const char *path, char delimiter, long *rows, ag_error *err)
{
    ag_csv *csv;
    const ag_csv_field *fields;
    *rows = 0;
    ag_status status = ag_csv_open(&csv, path, delimiter, err);
    while (status == AG_OK && (status = ag_csv_next(csv, &fields, err)) == AG_OK && fields) {
        for (int c = 0; c < ag_csv_column_count(csv); c++) {
            assert_int_equal(strlen(fields[c].text), fields[c].len);
            assert_true(ag_utf8_valid(fields[c].text, fields[c].len, NULL));
        }
        ++*rows;
    }
    ag_csv_close(csv);
    return status;
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "e.csv: empty"},
        {"\n\n", "e.csv: empty"},
        {"a,b\n1\n", "e.csv:2: the row has 1 field, the header 2"},
        {"a,b\n1,2\n\n1,2,3\n", "e.csv:4: the row has 3 fields, the header 2"},
        {"a,b\n1,\"2\n3,4\n", "e.csv:2: a quoted field that begins in this row is never closed"},
        {"a,b\nx,y\rz,w\n", "e.csv:2: a carriage return outside quotes"},
        {"a,b\rx,y\r", "e.csv:1: a carriage return outside quotes"},
        {"a,b,a\n", "e.csv:1: columns 1 and 3 are both named 'a'"},
        {"a,b\n1,\xe9t\xe9\n", "e.csv:2: field 2 (b) is not UTF-8 (byte 0xE9)"},
        {"\xff\xfe"
         "a\n",
         "e.csv:1: field 1 is not UTF-8 (byte 0xFF)"},
    };
    char path[160];
    long rows;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ag_error err = {0};
        put_text(folder, "e.csv", cases[i].text, path);
        if (read_all(path, 0, &rows, &err) != AG_ERR_INPUT) fail_msg("taken: %s", cases[i].text);
        assert_says(err, cases[i].says);
    }
    ag_error err = {0};
    put_file(path, "a,b\n1,\0\n", 8);
    assert_int_equal(read_all(path, 0, &rows, &err), AG_ERR_INPUT);
    assert_says(err, "e.csv:2: the line contains a NUL byte");
}

static void test_headers(void **state)
{
    (void)state;
    char path[160];
    ag_csv *csv;
    const ag_csv_field *fields;
    ag_error err = {0};
    put_text(folder, "h.csv", "\xEF\xBB\xBF\tquery_id\t query, text ; \n1\t2\t\"3\"\r\n4\t5\t6\r", path);
    assert_ok(ag_csv_open(&csv, path, 0, &err)); /* tabs win */
    assert_int_equal(ag_csv_column_count(csv), 3);
    assert_string_equal(ag_csv_column_name(csv, 0), "");
    assert_string_equal(ag_csv_column_name(csv, 2), "query, text ;");
    assert_int_equal(ag_csv_column(csv, "query_id"), 1);
    assert_int_equal(ag_csv_column(csv, "nothing"), -1);
    assert_ok(ag_csv_next(csv, &fields, &err));
    assert_string_equal(fields[2].text, "3");
    assert_int_equal(ag_csv_line(csv), 2);
    assert_ok(ag_csv_next(csv, &fields, &err));
    assert_string_equal(fields[2].text, "6");
    assert_ok(ag_csv_next(csv, &fields, &err));
    assert_null(fields);
    ag_csv_close(csv);

    put_text(folder, "h.csv", "\"a,b,c\";d\n1;2\n", path); /* delimiters in quotes do not count */
    assert_ok(ag_csv_open(&csv, path, 0, &err));
    assert_int_equal(ag_csv_column_count(csv), 2);
    json_t *record;
    assert_ok(ag_record_from_csv(&record, csv, &err));
    assert_string_equal(json_string_value(json_object_get(record, "a,b,c")), "1");
    json_decref(record);
    ag_csv_close(csv);

    assert_true(ag_csv_is_name("x.csv") && ag_csv_is_name("x.TSV.gz") && ag_csv_is_name("a/b.tab"));
    assert_false(ag_csv_is_name("x.jsonl") || ag_csv_is_name("csv") || ag_csv_is_name("x.gz") ||
                 ag_csv_is_name("-"));
}

static void test_large(void **state)
{
    (void)state;
    char path[160];
    long rows;
    ag_error err = {0};
    enum { CHUNK = 1 << 20 };
    char *block = ag_calloc(CHUNK + 1, 1);
    memset(block, 'x', CHUNK);

    /* Rows of a megabyte each, gzipped, in constant memory. */
    snprintf(path, sizeof path, "%s/l.csv.gz", folder);
    gzFile gz = gzopen(path, "wb1");
    gzputs(gz, "a,b\n");
    for (int i = 0; i < 40; i++) {
        gzputs(gz, "\"");
        gzwrite(gz, block, CHUNK);
        gzputs(gz, "\",2\n");
    }
    gzclose(gz);
    assert_ok(read_all(path, 0, &rows, &err));
    assert_int_equal(rows, 40);

    /* Half of the gzip file. */
    FILE *f = fopen(path, "rb+");
    fseek(f, 0, SEEK_END);
    assert_int_equal(ftruncate(fileno(f), ftell(f) / 2), 0);
    fclose(f);
    assert_int_equal(read_all(path, 0, &rows, &err), AG_ERR_INPUT);
    assert_says(err, "l.csv.gz");

    /* A field past its bound; an open quote before many lines; one line of 100 MB. */
    snprintf(path, sizeof path, "%s/l.csv", folder);
    f = fopen(path, "wb");
    fputs("a,b\n1,", f);
    for (int i = 0; i < 5; i++) fwrite(block, 1, CHUNK, f);
    fclose(f);
    assert_int_equal(read_all(path, 0, &rows, &err), AG_ERR_INPUT);
    assert_says(err, "l.csv:2: field 2 is longer than 4194304 bytes");
    f = fopen(path, "wb");
    fputs("a,b\n1,\"", f);
    for (int i = 0; i < 20; i++) fprintf(f, "%s\n", block);
    fclose(f);
    assert_int_equal(read_all(path, 0, &rows, &err), AG_ERR_INPUT);
    assert_says(err, "l.csv:2: the row is longer than 16 MiB");
    f = fopen(path, "wb");
    for (int i = 0; i < 100; i++) fwrite(block, 1, CHUNK, f);
    fclose(f);
    assert_int_equal(read_all(path, 0, &rows, &err), AG_ERR_INPUT);
    assert_says(err, "l.csv:1: the line is longer than");
    memset(block, ',', CHUNK);
    put_file(path, block, CHUNK);
    assert_int_equal(read_all(path, 0, &rows, &err), AG_ERR_INPUT);
    assert_says(err, "more than 1024 columns");
    ag_free(block);
}

static void test_mutations(void **state)
{
    (void)state;
    static const char text[] =
        "query,title,\"price\"\nred boots,\"Boots, \"\"red\"\"\nand more\",9.5\r\nété,漢字,\n\n\"a\",b,c\n";
    ag_rng rng = ag_rng_at(5, AG_RNG_TEST, 0, 0, 0, 0);
    char path[160];
    int taken = 0;
    snprintf(path, sizeof path, "%s/m.csv", folder);
    for (int i = 0; i < 2000; i++) {
        char bytes[sizeof text + 8];
        size_t len = sizeof text - 1;
        ag_error err = {0};
        long rows;
        memcpy(bytes, text, len);
        len = mutate(&rng, bytes, len, sizeof bytes);
        put_file(path, bytes, len);
        ag_status status = read_all(path, i % 2 ? ',' : 0, &rows, &err);
        if (status == AG_OK)
            taken++;
        else
            assert_says(err, "m.csv");
        assert_true(status == AG_OK || status == AG_ERR_INPUT);
    }
    assert_true(taken > 100);
}

static ag_status sweep_one(void *context, ag_error *err)
{
    long rows;
    return read_all(context, 0, &rows, err);
}

static void test_memory(void **state)
{
    (void)state;
    char path[160];
    put_text(folder, "s.csv", "a,b,c,d,e,f,g,h,i,j\n1,2,3,\"4\n5\",5,6,7,8,9,0\n", path);
    sweep_memory(sweep_one, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden), cmocka_unit_test(test_errors),    cmocka_unit_test(test_headers),
        cmocka_unit_test(test_large),  cmocka_unit_test(test_mutations), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
