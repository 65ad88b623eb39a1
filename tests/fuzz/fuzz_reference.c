/* SPDX-License-Identifier: Apache-2.0 */
/* Reference values of every form: the first byte says which. What is imported is YAML that reads.
 */
#include <neo/attest.h>
#include <neo/reference.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_attest_policies *policies = NULL;
    struct neo_error err;

    if (size == 0)
        return 0;
    enum neo_reference_form form = (enum neo_reference_form)(data[0] % NEO_REFERENCE_FORMS_N);
    if (neo_reference_import(form, neo_bytes(data + 1, size - 1), NEO_LIT("a"), &out, &err) !=
        NEO_OK) {
        must(out.len == 0 && err.message[0] != '\0');
        return 0;
    }
    must(out.len > 0);
    /* A row that lacks its identity says so and does not load; every other one does. */
    bool is_whole = memmem(out.at, out.len, "# add ", 6) == NULL;
    const struct neo_document document = {NEO_LIT("row"), neo_buffer_bytes(&out)};
    enum neo_code code = neo_attest_policies_compile(&document, 1, false, &policies, &err);
    must(code == NEO_OK || !is_whole);
    neo_attest_policies_unref(policies);
    return 0;
}
