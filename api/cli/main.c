/*
 * main - the command `nextorm`: finds the sub-command.
 */
#include "api/cli/ingest.h"

#include <stdio.h>

static const char help[] =
    "Usage: nextorm COMMAND [ARGUMENT...]\n"
    "\n"
    "Commands:\n"
    "  ingest    load a CSV or NDJSON file into a table\n"
    "  help      this text, or with the name of a command its help\n"
    "\n"
    "  nextorm ingest --help    all options, formats and exit statuses\n"
    "  nextorm --version        the version\n";

/* Standard output may be a full disk or a closed pipe: then nobody has read the text. */
static int print(const char *text)
{
    return fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
}

static int print_version(void)
{
    printf("nextorm %s\n", nx_version());
    return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
}

static int run_ingest(int argc, char **argv)
{
    static char name[] = "nextorm ingest";
    ingest_options options;

    argv[0] = name; /* messages about the arguments begin with it */
    options_parse(argc, argv, &options);
    return ingest_run(&options);
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    static char help_option[] = "--help";

    catch_signals();
    if (strcmp(command, "ingest") == 0)
        return run_ingest(argc - 1, argv + 1);
    if (strcmp(command, "help") == 0 && argc > 2 && strcmp(argv[2], "ingest") == 0) {
        argv[2] = help_option;
        return run_ingest(2, argv + 1);
    }
    if (strcmp(command, "--version") == 0 || strcmp(command, "-V") == 0)
        return print_version();
    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0)
        return print(help);
    if (argc > 1)
        fprintf(stderr, "nextorm: unknown command %s\n\n", command);
    fputs(help, stderr);
    return STATUS_USAGE;
}
