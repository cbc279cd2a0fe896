/*
 * test_kit - what tests of every kind need: how long they may be, time, chance.
 */
#ifndef TEST_KIT_H
#define TEST_KIT_H

#include <stdbool.h>

/* NX_TEST_LONG=1: the full numbers, for a run that may take hours. */
bool tk_is_long(void);
void tk_pause_ms(long ms);
/* 0 to limit - 1; the same numbers in every run. */
unsigned tk_random_below(unsigned limit);

#endif
