/*
 * rejects - the file of the records that were not loaded.
 */
#include "api/cli/rejects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *with_suffix(const char *name)
{
    size_t size = strlen(name);
    char *path = take(size + sizeof(".rejects"), 1);

    memcpy(path, name, size);
    memcpy(path + size, ".rejects", sizeof(".rejects"));
    return path;
}

/* Writing the rejects over the input would destroy it while it is read. */
static bool is_input(int fd, const char *input)
{
    struct stat ours, theirs;
    int failed = strcmp(input, "-") == 0 ? fstat(STDIN_FILENO, &theirs) : stat(input, &theirs);

    return failed == 0 && fstat(fd, &ours) == 0 && S_ISREG(ours.st_mode) && ours.st_dev == theirs.st_dev &&
           ours.st_ino == theirs.st_ino;
}

/* An open file that is not cut yet, or -1 with errno. */
static int create(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
}

static int create_default(rejects *self, const char *input)
{
    bool standard = strcmp(input, "-") == 0;
    const char *base = strrchr(input, '/');
    int fd;

    self->path = with_suffix(standard ? "stdin" : input);
    fd = create(self->path);
    if (fd < 0 && base != NULL && (errno == EACCES || errno == EPERM || errno == EROFS)) {
        free(self->path);
        self->path = with_suffix(base + 1);
        fd = create(self->path);
    }
    return fd;
}

bool rejects_open(rejects *self, const char *path, const char *input)
{
    struct stat about = { 0 };
    int fd;

    *self = (rejects){ .path = NULL };
    if (path != NULL) {
        self->path = copy_text(nx_str(path));
        fd = create(path);
    } else {
        fd = create_default(self, input);
    }
    if (fd < 0) {
        complain("cannot create the rejects file %s: %s (choose another place with --rejects)", self->path,
                 strerrordesc_np(errno));
        return false;
    }
    if (is_input(fd, input)) {
        complain("the rejects file %s is the input itself", self->path);
        close(fd);
        return false;
    }
    self->removable = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
    if (self->removable && ftruncate(fd, 0) != 0) {
        complain("cannot empty the rejects file %s: %s", self->path, strerrordesc_np(errno));
        close(fd);
        return false;
    }
    self->file = fdopen(fd, "w");
    if (self->file == NULL) {
        complain("out of memory");
        close(fd);
    }
    return self->file != NULL;
}

/* The letter behind the backslash, or 0 when the byte stands for itself. */
static char escape_of(char byte, bool escape_tab)
{
    switch (byte) {
    case '\\':
        return '\\';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\0':
        return '0';
    case '\t':
        return escape_tab ? 't' : '\0';
    default:
        return '\0';
    }
}

static void write_escaped(FILE *file, nx_text text, bool escape_tab)
{
    size_t plain = 0; /* begin of the bytes that stand for themselves */

    for (size_t i = 0; i < text.size; i++) {
        char letter = escape_of(text.data[i], escape_tab);

        if (letter == '\0')
            continue;
        (void)fwrite(text.data + plain, 1, i - plain, file);
        fputc('\\', file);
        fputc(letter, file);
        plain = i + 1;
    }
    if (text.size > plain)
        (void)fwrite(text.data + plain, 1, text.size - plain, file);
}

static bool fail(rejects *self)
{
    if (!self->failed)
        complain("cannot write the rejects file %s: %s", self->path, strerrordesc_np(errno));
    self->failed = true;
    return false;
}

bool rejects_add(rejects *self, uint64_t line, const char *reason, nx_text raw)
{
    if (self->failed)
        return false;
    self->count++;
    fprintf(self->file, "%llu\t", (unsigned long long)line);
    write_escaped(self->file, nx_str(reason), true);
    fputc('\t', self->file);
    write_escaped(self->file, raw, false);
    fputc('\n', self->file);
    /* The stream's error bit collects what any of the writes met. */
    return ferror(self->file) == 0 || fail(self);
}

bool rejects_close(rejects *self)
{
    bool good = !self->failed;

    if (self->file != NULL && fclose(self->file) != 0)
        good = fail(self);
    if (self->file != NULL && self->removable && self->count == 0 && unlink(self->path) != 0 && errno != ENOENT) {
        complain("cannot remove the empty rejects file %s: %s", self->path, strerrordesc_np(errno));
        good = false;
    }
    free(self->path);
    *self = (rejects){ .path = NULL };
    return good;
}
