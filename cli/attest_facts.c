/* SPDX-License-Identifier: Apache-2.0 */
/* What a person wants to know of a machine whose evidence does not come. Nothing decides by it. */
#include "cli/attest_machine.h"

#include <neo/memory.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX = 256 << 10, CAP_DAC_OVERRIDE_BIT = 1 };

NEO_PRINTF(3, 4)
static void add(struct attest_facts *facts, const char *name, const char *format, ...)
{
    struct attest_fact *f = &facts->at[facts->n];
    va_list args;

    if (facts->n == ATTEST_FACTS_MAX)
        return;
    facts->n++;
    f->name = name;
    va_start(args, format);
    (void)vsnprintf(f->text, sizeof(f->text), format, args);
    va_end(args);
}

static void path_of(const char *root, const char *path, char ret[static PATH_LEN])
{
    (void)snprintf(ret, PATH_LEN, "%s%s", root == NULL ? "" : root, path);
}

static bool exists(const char *root, const char *path)
{
    char full[PATH_LEN];

    path_of(root, path, full);
    return access(full, F_OK) == 0;
}

/* The beginning of a text, "" when there is none; neo_free(). */
static char *read_text(const char *root, const char *path)
{
    char full[PATH_LEN];
    char *text = neo_alloc(FILE_MAX + 1);

    path_of(root, path, full);
    FILE *file = text == NULL ? NULL : fopen(full, "re");
    if (file != NULL) {
        text[fread(text, 1, FILE_MAX, file)] = '\0';
        (void)fclose(file);
    }
    return text;
}

/* What stands behind "name :" on its line; "" when there is none. */
static void value_of(const char *text, const char *name, char *ret, size_t len)
{
    const char *at = text == NULL ? NULL : strstr(text, name);

    ret[0] = '\0';
    if (at == NULL)
        return;
    at += strlen(name);
    at += strspn(at, " \t:");
    (void)snprintf(ret, len, "%.*s", (int)strcspn(at, "\n"), at);
}

static void line_of(const char *root, const char *path, char *ret, size_t len)
{
    NEO_CLEANUP(neo_freep) char *text = read_text(root, path);

    (void)snprintf(ret, len, "%.*s", text == NULL ? 0 : (int)strcspn(text, "\n"),
                   text == NULL ? "" : text);
}

static void append_word(char *text, size_t len, const char *word)
{
    size_t used = strlen(text);

    (void)snprintf(text + used, len - used, "%s%s", used == 0 ? "" : " ", word);
}

/* Does the word stand in the text, between spaces or ends of lines? */
static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = text; (at = strstr(at, word)) != NULL; at += len) {
        bool begins = at == text || at[-1] == ' ' || at[-1] == '\n' || at[-1] == '\t';
        if (begins && strchr(" \t\n", at[len]) != NULL)
            return true;
    }
    return false;
}

static void add_words(struct attest_facts *facts, const char *name, const char *text,
                      const char *const *wanted, const char *none)
{
    char found[160] = "";

    for (size_t i = 0; text != NULL && wanted[i] != NULL; i++) {
        if (has_word(text, wanted[i]))
            append_word(found, sizeof(found), wanted[i]);
    }
    add(facts, name, "%s", found[0] == '\0' ? none : found);
}

static void look_at_processor(const char *root, struct attest_facts *facts)
{
    static const char *const flags[] = {"hypervisor", "tdx_guest", "sgx", "sev",
                                        "sev_es",     "sev_snp",   "sme", NULL};
    NEO_CLEANUP(neo_freep) char *text = read_text(root, "/proc/cpuinfo");
    char vendor[48];
    char model[100];

    value_of(text, "vendor_id", vendor, sizeof(vendor));
    value_of(text, "model name", model, sizeof(model));
    if (vendor[0] == '\0')
        value_of(text, "CPU implementer", vendor, sizeof(vendor));
    add(facts, "processor", "%s%s%s", vendor[0] == '\0' ? "unknown" : vendor,
        model[0] == '\0' ? "" : ", ", model);
    add_words(facts, "flags", text, flags, "none of a TEE's");
}

static void look_at_platform(const char *root, struct attest_facts *facts)
{
    char vendor[64];
    char product[64];
    char kernel[96];

    line_of(root, "/proc/sys/kernel/osrelease", kernel, sizeof(kernel));
    add(facts, "kernel", "%s", kernel[0] == '\0' ? "unknown" : kernel);
    line_of(root, "/sys/class/dmi/id/sys_vendor", vendor, sizeof(vendor));
    line_of(root, "/sys/class/dmi/id/product_name", product, sizeof(product));
    add(facts, "platform", "%s%s%s", vendor[0] == '\0' ? "unknown" : vendor,
        product[0] == '\0' ? "" : ", ", product);
}

static void look_at_devices(const char *root, struct attest_facts *facts)
{
    static const char *const devices[] = {"/dev/sev-guest",
                                          "/dev/tdx_guest",
                                          "/dev/nsm",
                                          "/dev/attestation/quote",
                                          "/dev/tpmrm0",
                                          "/dev/tpm0",
                                          "/dev/sev",
                                          "/dev/sgx_enclave",
                                          NULL};
    static const char *const modules[] = {"sev_guest", "tdx_guest", "arm_cca_guest", "tsm",
                                          "nsm",       "tpm_crb",   "tpm_tis",       NULL};
    NEO_CLEANUP(neo_freep) char *loaded = read_text(root, "/proc/modules");
    char found[160] = "";

    for (size_t i = 0; devices[i] != NULL; i++) {
        if (exists(root, devices[i]))
            append_word(found, sizeof(found), devices[i]);
    }
    add(facts, "devices", "%s", found[0] == '\0' ? "none of a TEE's" : found);
    add_words(facts, "modules", loaded, modules,
              "none of a TEE's (a kernel may have them built in)");
}

static void look_at_configfs(const char *root, struct attest_facts *facts)
{
    NEO_CLEANUP(neo_freep) char *mounts = read_text(root, "/proc/mounts");
    bool is_mounted = mounts != NULL && strstr(mounts, " configfs ") != NULL;

    add(facts, "configfs", "%s, %s", is_mounted ? "mounted" : "not mounted",
        exists(root, "/sys/kernel/config/tsm/report") ? "with tsm" : "without tsm");
}

static void look_at_user(const char *root, struct attest_facts *facts)
{
    NEO_CLEANUP(neo_freep) char *status = read_text(root, "/proc/self/status");
    char mask[32];

    value_of(status, "CapEff", mask, sizeof(mask));
    add(facts, "user", "uid %u, %s", (unsigned)geteuid(),
        (strtoull(mask, NULL, 16) >> CAP_DAC_OVERRIDE_BIT & 1) != 0 ? "with CAP_DAC_OVERRIDE"
                                                                    : "without CAP_DAC_OVERRIDE");
}

void attest_look(const char *root, struct attest_facts *ret)
{
    *ret = (struct attest_facts){.n = 0};
    look_at_platform(root, ret);
    look_at_processor(root, ret);
    look_at_devices(root, ret);
    look_at_configfs(root, ret);
    look_at_user(root, ret);
}
