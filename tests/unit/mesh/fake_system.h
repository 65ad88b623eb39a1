/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_system.h - a machine for attesters: its files, devices and clock, right or broken in one
 * place.
 *
 * Files are a table. An entry of configfs-tsm, whatever its name, has its files under
 * "@/", which are there while an entry is. Time passes only when somebody sleeps or
 * waits for a silent file, so that ten seconds take none.
 */
#ifndef NEO_TESTS_MESH_FAKE_SYSTEM_H
#define NEO_TESTS_MESH_FAKE_SYSTEM_H

#include "../unit.h"

#include "mesh/attester.h"

#include <errno.h>
#include <fcntl.h>

enum { FAKE_FILES = 24, FAKE_HANDLES = 8, FAKE_FOR_EVER = 1 << 30 };

#define FAKE_REPORTS "/sys/kernel/config/tsm/report"

struct fake;

struct fake_file {
    const char *path;
    struct neo_buffer text; /* what is read */
    struct neo_buffer got;  /* what was written last */
    int open_error;
    int read_error;       /* this many times */
    unsigned read_errors; /* ... */
    int write_error;
    unsigned write_errors;
    bool takes_less; /* a write of n takes n - 1 */
    bool silent;     /* never ready to be read */
    bool is_private; /* no O_PATH either: its folder is closed */
    void (*wrote)(struct fake *f, struct fake_file *file);
};

struct fake {
    struct attester_sys face;
    struct fake_file files[FAKE_FILES];
    size_t n;
    struct {
        struct fake_file *file;
        size_t at;
    } handles[FAKE_HANDLES];
    unsigned opened, closed;
    int mkdir_error;
    unsigned mkdir_errors;
    unsigned entries_made, entries_removed;
    unsigned generation;
    bool generation_moves; /* with each look at it */
    int (*on_ioctl)(struct fake *f, unsigned long request, void *argument);
    void *world; /* of the test */
    _Atomic neo_nsec time;
};

static inline struct fake *fake_of(struct attester_sys *s)
{
    return neo_owner(s, struct fake, face);
}

static inline struct fake_file *fake_find(struct fake *f, const char *path)
{
    const char *name = path;

    if (neo_bytes_starts(neo_text(path), NEO_LIT(FAKE_REPORTS "/neo-"))) {
        name = strrchr(path, '/');
        if (strlen(FAKE_REPORTS) == (size_t)(name - path) || f->entries_made == f->entries_removed)
            return NULL;
    }
    for (size_t i = 0; i < f->n; i++) {
        const char *is = f->files[i].path;
        if (name == path ? strcmp(is, path) == 0 : is[0] == '@' && strcmp(is + 1, name) == 0)
            return &f->files[i];
    }
    return NULL;
}

static inline struct fake_file *fake_put(struct fake *f, const char *path, const char *text)
{
    struct fake_file *file = fake_find(f, path);

    for (size_t i = 0; file == NULL && i < f->n; i++) {
        if (strcmp(f->files[i].path, path) == 0)
            file = &f->files[i];
    }
    if (file == NULL) {
        assert_true(f->n < FAKE_FILES);
        file = &f->files[f->n++];
        *file = (struct fake_file){.path = path};
    }
    neo_buffer_clear(&file->text);
    assert_true(neo_buffer_append_text(&file->text, text));
    return file;
}

static inline void fake_set(struct fake_file *file, struct neo_bytes bytes)
{
    neo_buffer_clear(&file->text);
    assert_true(neo_buffer_append(&file->text, bytes));
}

static inline int fake_fail(int number)
{
    errno = number;
    return -1;
}

/* What the kernel counts, as of now. */
static inline void fake_count(struct fake *f, struct fake_file *file)
{
    if (strcmp(file->path, "@/generation") != 0)
        return;
    f->generation += f->generation_moves ? 1 : 0;
    neo_buffer_clear(&file->text);
    assert_true(neo_buffer_printf(&file->text, "%u\n", f->generation));
}

static inline int fake_open(struct attester_sys *s, const char *path, int flags)
{
    struct fake *f = fake_of(s);
    struct fake_file *file = fake_find(f, path);

    if (file == NULL)
        return fake_fail(ENOENT);
    if (file->open_error != 0 && ((flags & O_PATH) == 0 || file->is_private))
        return fake_fail(file->open_error);
    for (int i = 0; i < FAKE_HANDLES; i++) {
        if (f->handles[i].file == NULL) {
            f->handles[i].file = file;
            f->handles[i].at = 0;
            f->opened++;
            fake_count(f, file);
            return i;
        }
    }
    return fake_fail(EMFILE);
}

static inline ssize_t fake_read(struct attester_sys *s, int fd, void *at, size_t len)
{
    struct fake *f = fake_of(s);
    struct fake_file *file = f->handles[fd].file;

    if (file->read_errors > 0) {
        file->read_errors--;
        return fake_fail(file->read_error);
    }
    size_t left = file->text.len - f->handles[fd].at;
    size_t n = left < len ? left : len;
    n = n > 700 ? 700 : n; /* in pieces */
    if (n > 0)
        memcpy(at, file->text.at + f->handles[fd].at, n);
    f->handles[fd].at += n;
    return (ssize_t)n;
}

static inline ssize_t fake_write(struct attester_sys *s, int fd, const void *at, size_t len)
{
    struct fake *f = fake_of(s);
    struct fake_file *file = f->handles[fd].file;

    if (file->write_errors > 0) {
        file->write_errors--;
        return fake_fail(file->write_error);
    }
    neo_buffer_clear(&file->got);
    assert_true(neo_buffer_append(&file->got, neo_bytes(at, len)));
    f->generation++;
    f->handles[fd].at = 0;
    if (file->wrote != NULL)
        file->wrote(f, file);
    return (ssize_t)(file->takes_less ? len - 1 : len);
}

static inline int fake_ioctl(struct attester_sys *s, int fd, unsigned long request, void *argument)
{
    struct fake *f = fake_of(s);

    (void)fd;
    return f->on_ioctl == NULL ? fake_fail(ENOTTY) : f->on_ioctl(f, request, argument);
}

static inline int fake_wait(struct attester_sys *s, int fd, bool to_read, neo_nsec time)
{
    struct fake *f = fake_of(s);

    if (!f->handles[fd].file->silent || !to_read)
        return 1;
    f->time += time;
    return 0;
}

static inline void fake_close(struct attester_sys *s, int fd)
{
    struct fake *f = fake_of(s);

    assert_true(fd >= 0 && fd < FAKE_HANDLES && f->handles[fd].file != NULL);
    f->handles[fd].file = NULL;
    f->closed++;
}

static inline int fake_mkdir(struct attester_sys *s, const char *path)
{
    struct fake *f = fake_of(s);

    assert_int_equal(strncmp(path, FAKE_REPORTS "/", sizeof(FAKE_REPORTS)), 0);
    if (fake_find(f, FAKE_REPORTS) == NULL)
        return fake_fail(ENOENT);
    if (f->mkdir_errors > 0) {
        f->mkdir_errors--;
        return fake_fail(f->mkdir_error);
    }
    f->entries_made++;
    f->generation = 0;
    return 0;
}

static inline int fake_rmdir(struct attester_sys *s, const char *path)
{
    struct fake *f = fake_of(s);

    (void)path;
    for (size_t i = 0; i < FAKE_HANDLES; i++)
        assert_null(f->handles[i].file); /* the kernel would say busy */
    f->entries_removed++;
    return 0;
}

static inline neo_nsec fake_now(struct attester_sys *s)
{
    return fake_of(s)->time;
}

static inline void fake_sleep(struct attester_sys *s, neo_nsec time)
{
    fake_of(s)->time += time;
}

/* This machine has no network. */
static inline int fake_connect(struct attester_sys *s, const char *address)
{
    (void)s;
    (void)address;
    errno = ENETUNREACH;
    return -1;
}

static inline ssize_t fake_send(struct attester_sys *s, int fd, const void *at, size_t len)
{
    (void)at;
    (void)len;
    (void)fake_of(s);
    (void)fd;
    errno = EPIPE;
    return -1;
}

static inline void fake_init(struct fake *f)
{
    *f = (struct fake){
        .face = {fake_open, fake_read, fake_write, fake_ioctl, fake_wait, fake_close, fake_mkdir,
                 fake_rmdir, fake_now, fake_sleep, fake_connect, fake_send},
        .time = 1000 * NEO_NSEC_PER_SEC,
    };
}

/* Whatever happened: nothing is left open or behind. */
static inline void fake_fini(struct fake *f)
{
    assert_int_equal(f->opened, f->closed);
    assert_int_equal(f->entries_made, f->entries_removed);
    for (size_t i = 0; i < f->n; i++) {
        neo_buffer_fini(&f->files[i].text);
        neo_buffer_fini(&f->files[i].got);
    }
}

/* An entry's files, with this provider. */
static inline void fake_tsm(struct fake *f, const char *provider)
{
    (void)fake_put(f, "/sys/kernel/config", "");
    (void)fake_put(f, "/sys/kernel/config/tsm", "");
    (void)fake_put(f, FAKE_REPORTS, "");
    (void)fake_put(f, "@/provider", provider);
    (void)fake_put(f, "@/generation", "");
    (void)fake_put(f, "@/inblob", "");
    (void)fake_put(f, "@/outblob", "");
}

#endif
