/*
 * postgres_server - a PostgreSQL server for the time of this program.
 *
 * The program holds the writing end of a pipe. The keeper, a child, holds the reading end, and sees it end when the program
 * closes it or dies.
 */
#include "postgres_server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_TURNS_MAX = 1200, START_TURN_MS = 50, LOG_SHOWN = 2048, SOCKET_PATH_MAX = 107 };

typedef struct server {
    pid_t keeper;
    int control;
    char programs[PATH_MAX];   /* folder of initdb and postgres */
    char directory[PATH_MAX];  /* ours; the cluster and the log are in it, and the socket */
    const struct passwd *user; /* to become; NULL: stay who we are */
} server;

static server the_server = { .control = -1 };

static bool failed(const char *what, const char *why)
{
    fprintf(stderr, "nextorm-perf: postgres: %s: %s\n", what, why);
    return false;
}

/* -------------------------------------------------------------------------------- in the keeper */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

/* In a child: become the server's user, with standard output and error in the log, and run a program. */
static void become(const server *of, char *const *arguments)
{
    const struct passwd *user = of->user;
    int log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0644);

    if (log >= 0 && dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0 &&
        (user == NULL ||
         (initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 && setuid(user->pw_uid) == 0)))
        (void)execv(arguments[0], arguments);
    dprintf(STDERR_FILENO, "%s: %s\n", arguments[0], strerrordesc_np(errno));
    _exit(EXIT_FAILURE);
}

static pid_t run(const server *of, char *const *arguments)
{
    pid_t child = fork();
    if (child == 0)
        become(of, arguments);
    return child;
}

static bool make_cluster(const server *of, const char *program, char *data)
{
    char path[PATH_MAX + 16];
    char *arguments[] = { path,
                          (char[]){ "-D" },
                          data,
                          (char[]){ "--username=postgres" },
                          (char[]){ "--auth=trust" },
                          (char[]){ "--encoding=UTF8" },
                          (char[]){ "--locale=C" },
                          (char[]){ "--no-sync" },
                          NULL };
    int status = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", of->programs, program);
    pid_t child = run(of, arguments);
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/*
 * Nothing is done in the background that one side would pay for and the other not: no autovacuum, no checkpoint but those that
 * are asked for between the runs. Promises stay: fsync, full pages in the log. Whether commits wait for the disk is each
 * database's setting.
 */
static pid_t run_server(const server *of, char *data)
{
    static const char *const settings[] = {
        "listen_addresses=",     "shared_buffers=512MB",     "max_wal_size=32GB", "min_wal_size=4GB",
        "checkpoint_timeout=1d", "autovacuum=off",           "jit=off",           "max_connections=200",
        "logging_collector=off", "log_min_messages=warning",
    };
    enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };
    char path[PATH_MAX + 16], own[SETTINGS][64], sockets[PATH_MAX + 32];
    char folder[] = "-D", option[] = "-c", *arguments[3 + 2 * (SETTINGS + 1) + 1] = { path, folder, data };
    size_t count = 3;

    (void)snprintf(path, sizeof(path), "%s/postgres", of->programs);
    (void)snprintf(sockets, sizeof(sockets), "unix_socket_directories=%s", of->directory);
    for (size_t i = 0; i < SETTINGS; i++) {
        (void)snprintf(own[i], sizeof(own[i]), "%s", settings[i]);
        arguments[count++] = option;
        arguments[count++] = own[i];
    }
    arguments[count++] = option;
    arguments[count] = sockets;
    return run(of, arguments);
}

/* The end of the log, for the reason why there is no server. */
static void show_log(void)
{
    char text[LOG_SHOWN];
    int log = open("log", O_RDONLY);
    off_t size = log >= 0 ? lseek(log, 0, SEEK_END) : 0;
    ssize_t got = size > 0 ? pread(log, text, sizeof(text), size > LOG_SHOWN ? size - LOG_SHOWN : 0) : 0;

    if (got > 0)
        dprintf(STDERR_FILENO, "%.*s", (int)got, text);
    if (log >= 0)
        (void)close(log);
}

/* Until the program is gone, or the server is. True: the server still runs. */
static bool keep(int control, pid_t postmaster)
{
    int process = (int)syscall(SYS_pidfd_open, postmaster, 0);
    struct pollfd both[] = { { .fd = control, .events = POLLIN }, { .fd = process, .events = POLLIN } };

    while (poll(both, 2, -1) < 0 && errno == EINTR)
        ;
    (void)close(process);
    return both[1].revents == 0;
}

/* The keeper's life; `control` is the reading end. */
static int run_keeper(server *of, int control)
{
    char data[PATH_MAX + 8];
    bool ok = false;

    /* Not of the terminal's group: an interrupt is for the program, we see its end. */
    (void)setsid();
    (void)snprintf(data, sizeof(data), "%s/data", of->directory);
    if (chdir(of->directory) == 0 && make_cluster(of, "initdb", data)) {
        pid_t postmaster = run_server(of, data);
        ok = postmaster > 0 && keep(control, postmaster);
        if (ok)
            (void)kill(postmaster, SIGQUIT); /* at once: nobody wants the data */
        if (postmaster > 0)
            (void)waitpid(postmaster, NULL, 0);
    }
    if (!ok)
        show_log();
    (void)chdir("/");
    (void)nftw(of->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ------------------------------------------------------------------------------- in the program */

/* The folder of `path`, links resolved. */
static bool folder_of(const char *path, char ret_folder[PATH_MAX])
{
    if (realpath(path, ret_folder) == NULL)
        return false;
    char *slash = strrchr(ret_folder, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

/* initdb by PATH, or where Debian and Red Hat put it; the newest version there. */
static bool find_programs(char ret_folder[PATH_MAX])
{
    static const char *const patterns[] = { "/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb" };
    const char *at = getenv("PATH");
    char path[PATH_MAX];
    glob_t found = { 0 };

    while (at != NULL && *at != '\0') {
        size_t size = strcspn(at, ":");
        (void)snprintf(path, sizeof(path), "%.*s/initdb", (int)size, at);
        if (access(path, X_OK) == 0 && folder_of(path, ret_folder))
            return true;
        at += size + (at[size] == ':');
    }
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        (void)glob(patterns[i], i > 0 ? GLOB_APPEND : 0, NULL, &found);
    bool ok = found.gl_pathc > 0 && folder_of(found.gl_pathv[found.gl_pathc - 1], ret_folder);
    globfree(&found);
    return ok || failed("initdb", "neither in PATH nor in /usr/lib/postgresql; install PostgreSQL, or give --url");
}

static bool make_directory(server *of, const char *directory)
{
    int length = snprintf(of->directory, sizeof(of->directory), "%s/nextorm-perf-XXXXXX", directory);
    if (length < 0 || (size_t)length + sizeof("/.s.PGSQL.5432") > SOCKET_PATH_MAX)
        return failed(directory, "too long a path for a socket; see --dir");
    of->user = NULL;
    if (geteuid() == 0 && (of->user = getpwnam("postgres")) == NULL)
        return failed("user postgres", "is needed to run a server under root, and not there");
    if (mkdtemp(of->directory) == NULL)
        return failed(directory, strerrordesc_np(errno));
    if (of->user != NULL && chown(of->directory, of->user->pw_uid, of->user->pw_gid) != 0)
        return failed(of->directory, strerrordesc_np(errno));
    return true;
}

static bool start_keeper(server *of)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return failed("pipe", strerrordesc_np(errno));
    (void)fflush(NULL);
    of->keeper = fork();
    if (of->keeper == 0) {
        (void)close(ends[1]);
        int nothing = open("/dev/null", O_RDWR);
        (void)dup2(nothing, STDIN_FILENO);
        (void)dup2(nothing, STDOUT_FILENO);
        _exit(run_keeper(of, ends[0]));
    }
    (void)close(ends[0]);
    of->control = ends[1];
    return of->keeper > 0 || failed("fork", strerrordesc_np(errno));
}

static bool await_server(server *of, const char *url)
{
    const struct timespec turn = { .tv_nsec = START_TURN_MS * 1000000L };

    for (int i = 0; i < START_TURNS_MAX; i++) {
        if (PQping(url) == PQPING_OK)
            return true;
        if (waitpid(of->keeper, NULL, WNOHANG) == of->keeper) {
            of->keeper = 0;
            return failed("server", "it did not start");
        }
        (void)nanosleep(&turn, NULL);
    }
    return failed("server", "it does not answer");
}

bool perf_postgres_server_start(const char *directory, char *ret_url, size_t room)
{
    server *of = &the_server;

    if (!find_programs(of->programs) || !make_directory(of, directory) || !start_keeper(of))
        return false;
    /* A URI with all in its query part: the socket's folder may have any characters but these two. */
    if (strpbrk(of->directory, "&%") != NULL)
        return failed(directory, "& and % are not supported in the path");
    int length =
        snprintf(ret_url, room, "postgres:///postgres?host=%s&user=postgres&sslmode=disable&gssencmode=disable", of->directory);
    return length > 0 && (size_t)length < room && await_server(of, ret_url);
}

void perf_postgres_server_stop(void)
{
    if (the_server.control >= 0)
        (void)close(the_server.control);
    if (the_server.keeper > 0)
        (void)waitpid(the_server.keeper, NULL, 0);
    the_server.control = -1;
    the_server.keeper = 0;
}
