/* Logs of a run: lines appended and cut back, TFRecords with the right checksums, timing lines of one length. */
#include "unit/base/test_help.h"

#include <math.h>

#include "train/runlog.h"

static uint32_t crc32c(const unsigned char *p, size_t n)
{
    uint32_t crc = 0xffffffffu;
    for (size_t bit = 0; bit < 8 * n; bit++) {
        uint32_t in = (uint32_t)p[bit / 8] >> (bit % 8) & 1;
        crc = (crc ^ in) & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    }
    return ~crc;
}

static uint32_t masked(const unsigned char *p, size_t n)
{
    uint32_t crc = crc32c(p, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static char *read_log(const char *folder, const char *name, size_t *len)
{
    char path[160], *data = NULL;
    ag_error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_ok(ag_file_read(path, 0, &data, len, &err));
    return data;
}

static void put_step(ag_runlog *log, int64_t step)
{
    ag_error err = {0};
    json_t *line = json_pack("{s:I, s:f, s:{s:f}}", "step", (json_int_t)step, "loss", 0.5, "valid", "f1",
                             0.25);
    assert_ok(ag_runlog_metrics(log, step, line, &err));
    assert_ok(ag_runlog_timing(log, step, 1e-3 * (double)step, step == 1 ? INFINITY : 12345, &err));
    json_decref(line);
}

static int check_records(const unsigned char *p, size_t n)
{
    int count = 0;
    for (size_t at = 0; at < n; count++) {
        uint64_t length;
        uint32_t crc;
        assert_true(n - at >= 16);
        memcpy(&length, p + at, 8);
        memcpy(&crc, p + at + 8, 4);
        assert_int_equal(crc, masked(p + at, 8));
        assert_true(length <= n - at - 16);
        memcpy(&crc, p + at + 12 + length, 4);
        assert_int_equal(crc, masked(p + at + 12, length));
        at += 16 + length;
    }
    return count;
}

static void test_cut_back(void **state)
{
    (void)state;
    ag_error err = {0};
    char folder[64];
    ag_runlog *log = NULL;
    ag_runlog_place place, end;
    size_t n;
    test_folder(folder);
    assert_ok(ag_runlog_open(&log, folder, (ag_runlog_place){0}, &err));
    put_step(log, 1);
    assert_ok(ag_runlog_sync(log, &place, &err));
    put_step(log, 2);
    ag_runlog_close(log);
    assert_ok(ag_runlog_open(&log, folder, place, &err)); /* step 2 is forgotten */
    put_step(log, 3);
    assert_ok(ag_runlog_sync(log, &end, &err));
    ag_runlog_close(log);

    char *text = read_log(folder, "metrics.jsonl", &n);
    assert_string_equal(text, "{\"step\":1,\"loss\":0.5,\"valid\":{\"f1\":0.25}}\n"
                              "{\"step\":3,\"loss\":0.5,\"valid\":{\"f1\":0.25}}\n");
    assert_int_equal(n, end.metrics);
    ag_free(text);
    text = read_log(folder, "timing.jsonl", &n);
    assert_int_equal(n, 2 * place.timing); /* one length, whatever the clock says */
    assert_null(strstr(text, "inf"));
    ag_free(text);
    text = read_log(folder, "events.out.tfevents.agrl", &n);
    assert_int_equal(n, end.events);
    assert_int_equal(check_records((unsigned char *)text, n), 3);
    assert_non_null(memmem(text, n, "brain.Event:2", 13));
    assert_non_null(memmem(text, n, "valid/f1", 8));
    ag_free(text);

    place = end;
    place.metrics += 10;
    assert_int_equal(ag_runlog_open(&log, folder, place, &err), AG_ERR_INPUT);
    assert_says(err, "shorter");
    assert_null(log);
    assert_ok(ag_dir_remove(folder, &err));
}

static void test_crc(void **state)
{
    (void)state;
    assert_int_equal(crc32c((const unsigned char *)"123456789", 9), 0xE3069283u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_crc), cmocka_unit_test(test_cut_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
