/* SPDX-License-Identifier: Apache-2.0 */
#include "io/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool parse(const char *text, struct sockaddr_in *ret)
{
    const char *colon = strchr(text, ':');
    char host[INET_ADDRSTRLEN];
    char *end = NULL;

    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    unsigned long port = strtoul(colon + 1, &end, 10);
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return colon[1] >= '0' && colon[1] <= '9' && *end == '\0' && port > 0 && port <= UINT16_MAX &&
           inet_pton(AF_INET, host, &ret->sin_addr) == 1;
}

int dial(const char *address)
{
    struct sockaddr_in to;

    if (!parse(address, &to)) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 ||
        errno == EINPROGRESS)
        return fd;
    int number = errno;
    (void)close(fd);
    errno = number;
    return -1;
}

ssize_t dial_send(int fd, const void *at, size_t len)
{
    return send(fd, at, len, MSG_NOSIGNAL);
}
