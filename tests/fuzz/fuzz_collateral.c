/* SPDX-License-Identifier: Apache-2.0 */
/* Files of collateral. What is read has a name that is safe as a file's, and reads again as the same
 * item. */
#include <neo/collateral.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

static bool is_safe(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len >= NEO_COLLATERAL_NAME_LEN || name[0] == '.')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

static struct neo_collateral *made(void)
{
    struct neo_collateral *set = NULL;

    must(neo_collateral_new(&(struct neo_collateral_options){.development = true}, &set, NULL) ==
         NEO_OK);
    return set;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_collateral *set = made();
    struct neo_bytes text = neo_bytes(data, size);

    (void)neo_collateral_is_request(text);
    if (neo_collateral_add(set, text, "fuzz", NULL) != NEO_OK)
        must(neo_collateral_count(set) == 0);
    size_t before = neo_collateral_count(set);
    if (neo_collateral_add_headers(set, text, "fuzz", NULL) != NEO_OK)
        must(neo_collateral_count(set) == before);
    neo_collateral_verify(set);
    for (size_t i = 0; i < neo_collateral_count(set); i++) {
        const struct neo_collateral_item *item = neo_collateral_at(set, i);
        struct neo_collateral *again = made();
        must(is_safe(item->name) && item->subject != NULL);
        must(item->request == NULL || neo_collateral_is_request(neo_text(item->request)));
        must(neo_collateral_add(again, item->bytes, "again", NULL) == NEO_OK);
        must(neo_collateral_count(again) == 1);
        must(strcmp(neo_collateral_at(again, 0)->name, item->name) == 0);
        neo_collateral_free(again);
    }
    neo_collateral_free(set);
    return 0;
}
