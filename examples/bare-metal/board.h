/* What programs of this example have in place of an operating system and a C library. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

/* The file of digits, which start_*.S includes: of each, 28 rows of 28 grey values, then the digit. */
extern const unsigned char digits[], digits_end[];

/* On the serial line. */
void print(const char *text);
void print_character(char character);
/* Not negative. */
void print_number(int number);

#endif
