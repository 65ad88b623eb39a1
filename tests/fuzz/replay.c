/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over every file of the folders given, so that what fuzzing
 * once found is looked for in every build and by every compiler.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST = 4 << 20 };

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *whole = malloc(LARGEST);
    uint8_t *exact = NULL; /* a copy that ends where the input does, for the sanitizers */
    size_t len = 0;
    int failed = 1;

    if (file != NULL && whole != NULL) {
        len = fread(whole, 1, LARGEST, file);
        exact = malloc(len == 0 ? 1 : len);
    }
    if (exact != NULL) {
        for (size_t i = 0; i < len; i++)
            exact[i] = whole[i];
        (void)LLVMFuzzerTestOneInput(exact, len);
        failed = 0;
    } else {
        (void)fprintf(stderr, "cannot read %s\n", path);
    }
    free(exact);
    free(whole);
    if (file != NULL)
        (void)fclose(file);
    return failed;
}

/* The number of files, or -1. */
static int replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    char path[4096];
    int n = 0;

    if (dir == NULL)
        return -1;
    for (struct dirent *entry; n >= 0 && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        n = replay_file(path) == 0 ? n + 1 : -1;
    }
    (void)closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int n = replay_folder(argv[i]);
        if (n <= 0) {
            (void)fprintf(stderr, "%s: no corpus to replay\n", argv[i]);
            return 1;
        }
        printf("%s: %d inputs\n", argv[i], n);
    }
    return 0;
}
