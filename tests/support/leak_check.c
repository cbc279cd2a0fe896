/*
 * leak_check - every Criterion test ends with a search for leaks.
 *
 * Criterion runs a test in a process of its own that leaves by _exit, so LeakSanitizer's own check at exit never
 * runs. Test programs are linked with --wrap=criterion_internal_test_main; the wrapper looks for leaks after the test's body
 * and turns a test that ends the process by exit() into a crash instead of a pass.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_LSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_LSAN 1
#endif
#endif

#ifdef HAVE_LSAN
#include <sanitizer/lsan_interface.h>
#endif

typedef void (*test_body)(void *parameter);

void __real_criterion_internal_test_main(void (*body)(void));
void __wrap_criterion_internal_test_main(void (*body)(void));

static test_body wrapped;
static bool running;

static void refuse_exit(void)
{
    if (running)
        abort();
}

/* Parameterised tests get their parameter here, plain ones ignore it. */
static void run_and_check(void *parameter)
{
    running = true;
    if (atexit(refuse_exit) != 0)
        abort();
    wrapped(parameter);
    running = false;
#ifdef HAVE_LSAN
    if (__lsan_do_recoverable_leak_check() != 0) {
        fprintf(stderr, "the test leaks memory\n");
        abort();
    }
#endif
}

void __wrap_criterion_internal_test_main(void (*body)(void))
{
    wrapped = (test_body)(void *)body;
    __real_criterion_internal_test_main((void (*)(void))(void *)run_and_check);
}
