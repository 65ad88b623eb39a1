/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is accepted as an address is written back so that it reads as the same
 * address, and only IPv6 may be written back differently. What may be looked up
 * has none of the bytes that mean something elsewhere.
 */
#include "io/address.h"

#include <stdlib.h>

enum { LONGEST = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

static void check_address(const char *text)
{
    struct address first, second;
    struct net_address written;

    if (address_parse(text, &first, NULL) != NEO_OK)
        return;
    address_format(&first, &written);
    must(address_parse(written.text, &second, NULL) == NEO_OK);
    must(first.family == second.family && first.port == second.port);
    must(memcmp(first.ip, second.ip, sizeof(first.ip)) == 0);
    must(strcmp(first.path, second.path) == 0);
    must(first.family == ADDRESS_IP6 || strcmp(written.text, text) == 0);
}

static void check_host(const char *text)
{
    if (address_check_host(text, NULL) != NEO_OK)
        return;
    must(text[0] != '\0' && strpbrk(text, " /@%[]#?\\\t\r\n") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[LONGEST + 1] = "";

    if (size > LONGEST)
        return 0;
    memcpy(text, data, size);
    check_address(text);
    check_host(text);
    return 0;
}
