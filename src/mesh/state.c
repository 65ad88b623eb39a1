/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/mesh.h"

#include <neo/digest.h>
#include <neo/store.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { STATE_FILE_MAX = 8 << 20 };

enum neo_code state_prepare(const char *dir, struct neo_error *err)
{
    struct stat st;

    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return neo_fail_errno(err, "cannot make the state folder '%s'", dir);
    if (stat(dir, &st) != 0)
        return neo_fail_errno(err, "cannot look at the state folder '%s'", dir);
    if (!S_ISDIR(st.st_mode))
        return neo_fail(err, NEO_FAILED_PRECONDITION, "'%s' is not a folder; give another --state",
                        dir);
    if ((st.st_mode & 077) != 0)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "'%s' holds a private key but others may enter it; run: chmod 700 %s", dir,
                        dir);
    return NEO_OK;
}

static bool path_of(const struct neo_mesh *mesh, const char *name, char *path, size_t len)
{
    int written = snprintf(path, len, "%s/%s", mesh->state_dir, name);

    return written > 0 && (size_t)written < len;
}

enum neo_code state_load(const struct neo_mesh *mesh, const char *name, struct neo_buffer *out,
                         struct neo_error *err)
{
    char path[1024];

    if (!path_of(mesh, name, path, sizeof(path)))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the path of the state folder is too long");
    return neo_file_read(path, STATE_FILE_MAX, out, err);
}

void state_save(const struct neo_mesh *mesh, const char *name, struct neo_bytes bytes,
                unsigned mode)
{
    struct neo_error err;
    char path[1024];

    if (!path_of(mesh, name, path, sizeof(path)))
        return;
    if (neo_file_replace(path, bytes, mode, &err) != NEO_OK)
        neo_log_error(&mesh->log, "mesh.state_not_saved", NEO_STR("file", path),
                      NEO_STR("why", err.message));
}

neo_nsec mesh_backoff(unsigned failures, neo_nsec base, neo_nsec max)
{
    neo_nsec ceiling = base;
    uint32_t random;

    for (unsigned i = 0; i < failures && ceiling < max; i++)
        ceiling *= 2;
    if (ceiling > max)
        ceiling = max;
    neo_random(&random, sizeof(random));
    return (neo_nsec)((double)ceiling * (random / 4294967296.0));
}
