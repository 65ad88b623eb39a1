/* SPDX-License-Identifier: Apache-2.0 */
/*
 * H18: attacks that only a repaired library survives. What runs here must be at least the version
 * in which Debian has the repair: the number that the library tells does not say.
 */
#include "matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

struct repaired {
    const char *package;
    const char *since;  /* Debian 12 */
    const char *before; /* the last without it */
};

static const struct repaired repairs[] = {
    /* CVE-2026-27135: an assertion behind the end of a session */
    {"libnghttp2-14", "1.52.0-1+deb12u3", "1.52.0-1+deb12u2"},
    /* CVE-2023-0464: policy trees; CVE-2022-0778: explicit curves */
    {"libssl3", "3.0.9-1", "3.0.8-1"},
    /* CVE-2022-37434: the extra field of a gzip header */
    {"zlib1g", "1:1.2.13.dfsg-1", "1:1.2.12.dfsg-1"},
};

/* The first line that a command says; empty when it fails. */
static void first_line(const char *command, char *ret, size_t room)
{
    FILE *pipe = popen(command, "r");

    ret[0] = '\0';
    if (pipe == NULL)
        return;
    if (fgets(ret, (int)room, pipe) == NULL)
        ret[0] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    if (pclose(pipe) != 0)
        ret[0] = '\0';
}

static bool is_older(const char *version, const char *than)
{
    char command[256];

    (void)snprintf(command, sizeof(command), "dpkg --compare-versions '%s' lt '%s'", version, than);
    return system(command) == 0;
}

/* The one that is installed, or, for the control, the last one without the repair. */
static bool is_repaired(const struct repaired *r, bool control, char *said, size_t room)
{
    char command[128], version[64];

    (void)snprintf(command, sizeof(command), "dpkg-query -W -f='${Version}\\n' %s 2>/dev/null",
                   r->package);
    first_line(command, version, sizeof(version));
    if (control)
        (void)snprintf(version, sizeof(version), "%s", r->before);
    size_t used = strlen(said);
    (void)snprintf(said + used, room - used, "%s%s", used == 0 ? "" : ", ", version);
    return version[0] != '\0' && !is_older(version, r->since);
}

/* Of another system we know only that it is not older upstream. */
static bool are_new_enough_upstream(char *said, size_t room)
{
    const nghttp2_info *h2 = nghttp2_version(0);

    (void)snprintf(said, room, "no Debian 12: nghttp2 %s, zlib %s", h2->version_str, zlibVersion());
    return h2->version_num >= 0x013400;
}

void repaired_libraries(struct report *r)
{
    char release[64], said[256] = "";
    bool good = true;

    first_line(". /etc/os-release && echo $ID$VERSION_ID", release, sizeof(release));
    if (strcmp(release, "debian12") == 0 || r->control) {
        for (size_t i = 0; i < NEO_COUNT(repairs); i++)
            good = is_repaired(&repairs[i], r->control, said, sizeof(said)) && good;
    } else {
        good = are_new_enough_upstream(said, sizeof(said));
    }
    r->through = !good;
    attack_say(r, "%s", said);
}
