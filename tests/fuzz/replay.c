/*
 * replay - feed the files of folders to a fuzz target, without a fuzzer.
 *
 * Each argument is a folder; a file that cannot be read, or no file at all, is a failure.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES_MAX = 1 << 20 };

static bool replay_file(const char *path)
{
    /* Of exactly the size of the input, so that a read beyond it is seen. */
    static uint8_t buffer[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    size_t size = fread(buffer, 1, sizeof(buffer), file);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    uint8_t *input = failed ? NULL : malloc(size == 0 ? 1 : size);
    if (input == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return false;
    }
    for (size_t i = 0; i < size; i++)
        input[i] = buffer[i];
    (void)LLVMFuzzerTestOneInput(input, size);
    free(input);
    return true;
}

static bool replay_folder(const char *folder, size_t *count)
{
    DIR *dir = opendir(folder);
    bool ok = dir != NULL;
    if (dir == NULL)
        perror(folder);
    for (const struct dirent *entry; ok && (entry = readdir(dir)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        int size = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        ok = size > 0 && (size_t)size < sizeof(path) && replay_file(path);
        *count += 1;
    }
    if (dir != NULL)
        (void)closedir(dir);
    return ok;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        if (!replay_folder(argv[i], &count))
            return EXIT_FAILURE;
    }
    printf("%zu inputs\n", count);
    return count == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
