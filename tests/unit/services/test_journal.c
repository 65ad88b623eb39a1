/* SPDX-License-Identifier: Apache-2.0 */
/* The signer's journal: what a crash cut is forgotten, what was damaged is not passed over. */
#include "../unit.h"

#include "ca/journal.h"

#include "../scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORDS = 4, LEN = 700, HEADER = 56 };

#define path scratch("journal")

static uint8_t written[(HEADER + LEN) * RECORDS]; /* the file as it was made */

static void fill_certificate(uint8_t *certificate, unsigned number)
{
    for (size_t i = 0; i < LEN; i++)
        certificate[i] = (uint8_t)(1 + (number * 7 + i * 3) % 251);
}

static void serial_of(unsigned number, uint8_t serial[static 16])
{
    memset(serial, (int)number + 1, 16);
}

static void make_journal(void)
{
    uint8_t certificate[LEN], serial[16];
    struct journal j;

    assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    for (unsigned i = 0; i < RECORDS; i++) {
        fill_certificate(certificate, i);
        serial_of(i, serial);
        assert_int_equal(journal_append(&j, serial, neo_bytes(certificate, LEN), NULL), NEO_OK);
    }
    assert_int_equal(pread(j.fd, written, sizeof(written), 0), sizeof(written));
    journal_close(&j);
}

/* By the journal once, and later the same bytes: nobody waits for the disk each time. */
static void write_journal(void)
{
    if (!scratch_exists("journal")) {
        make_journal();
        return;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, written, sizeof(written), 0), sizeof(written));
    assert_int_equal(close(fd), 0);
}

static long size_of_file(void)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (long)st.st_size;
}

static void change_byte(long at)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    assert_int_equal(close(fd), 0);
}

static void zero_from(long at)
{
    long size = size_of_file();

    assert_int_equal(truncate(path, at), 0);
    assert_int_equal(truncate(path, size), 0);
}

/* How many of the records are found after opening; -1 when it is refused as damaged. */
static int reopen(void)
{
    uint8_t expected[LEN], serial[16];
    struct journal j;
    int n = 0;

    enum neo_code code = journal_open(&j, path, NULL);
    for (unsigned i = 0; code == NEO_OK && i < RECORDS; i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer found = {0};
        serial_of(i, serial);
        fill_certificate(expected, i);
        if (journal_find(&j, serial, &found)) {
            assert_int_equal(found.len, LEN);
            assert_memory_equal(found.at, expected, LEN);
            n++;
        }
    }
    journal_close(&j);
    if (code != NEO_OK)
        assert_int_equal(code, NEO_DATA_LOSS);
    return code == NEO_OK ? n : -1;
}

TEST(a_changed_byte_is_damage_wherever_it_is)
{
    long size = (HEADER + LEN) * RECORDS;

    for (long at = 0; at < size; at++) {
        write_journal();
        change_byte(at);
        if (reopen() != -1)
            fail_msg("byte %ld of %ld was changed and the journal opened", at, size);
        assert_int_equal(size_of_file(), size); /* and nothing was cut */
    }
}

TEST(zeros_over_more_than_the_last_record_are_damage)
{
    write_journal();
    zero_from((HEADER + LEN) * 2 + 100);
    /* Two records long, and one of them was handed out. */
    assert_int_equal(reopen(), -1);
    write_journal();
    zero_from((HEADER + LEN) * 2);
    assert_int_equal(reopen(), -1);
}

TEST(a_record_that_a_crash_cut_is_forgotten_wherever_it_was_cut)
{
    for (long left = 1; left < HEADER + LEN; left++) {
        write_journal();
        assert_int_equal(truncate(path, (HEADER + LEN) * (RECORDS - 1) + left), 0);
        assert_int_equal(reopen(), RECORDS - 1);
        assert_int_equal(size_of_file(), (HEADER + LEN) * (RECORDS - 1));
    }
}

TEST(a_record_whose_blocks_the_disk_never_wrote_is_forgotten)
{
    long begin = (HEADER + LEN) * (RECORDS - 1);

    write_journal();
    zero_from(begin);
    assert_int_equal(reopen(), RECORDS - 1);
    write_journal();
    zero_from((begin + 511) / 512 * 512);
    assert_int_equal(reopen(), RECORDS - 1);
}

TEST(after_the_cut_it_goes_on)
{
    uint8_t certificate[LEN], serial[16];
    struct journal j;

    write_journal();
    assert_int_equal(truncate(path, (HEADER + LEN) * (RECORDS - 1) + 99), 0);
    assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    fill_certificate(certificate, RECORDS - 1);
    serial_of(RECORDS - 1, serial);
    assert_int_equal(journal_append(&j, serial, neo_bytes(certificate, LEN), NULL), NEO_OK);
    journal_close(&j);
    assert_int_equal(reopen(), RECORDS);
}

/* More than one size of its index, before and after a start. */
TEST(each_of_many_is_found_and_nothing_else)
{
    enum { MANY = 300, OTHERS = 8 };
    uint8_t serial[16] = {0x40};
    struct journal j;

    assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    for (uint32_t i = 0; i < MANY; i++) { /* neighbours, in the index, too */
        memcpy(serial + 1, &i, sizeof(i));
        assert_int_equal(
            journal_append(&j, serial, neo_bytes((const uint8_t *)&i, sizeof(i)), NULL), NEO_OK);
    }
    for (unsigned start = 0; start < 2; start++) {
        for (uint32_t i = 0; i < MANY + OTHERS; i++) {
            NEO_CLEANUP(neo_buffer_fini) struct neo_buffer found = {0};
            memcpy(serial + 1, &i, sizeof(i));
            assert_int_equal(journal_find(&j, serial, &found), i < MANY);
            if (i < MANY)
                assert_memory_equal(found.at, &i, sizeof(i));
        }
        journal_close(&j);
        assert_int_equal(journal_open(&j, path, NULL), NEO_OK);
    }
    journal_close(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_changed_byte_is_damage_wherever_it_is),
        scratch_test(zeros_over_more_than_the_last_record_are_damage),
        scratch_test(a_record_that_a_crash_cut_is_forgotten_wherever_it_was_cut),
        scratch_test(a_record_whose_blocks_the_disk_never_wrote_is_forgotten),
        scratch_test(after_the_cut_it_goes_on),
        scratch_test(each_of_many_is_found_and_nothing_else),
    };
    return cmocka_run_group_tests_name("services/journal", tests, NULL, NULL);
}
