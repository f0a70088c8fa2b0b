/* One character at a time on the serial line, and the two functions that compilers call on their own. */
#include "board.h"

#include <stddef.h>

/* QEMU's virt machines. */
#if defined(__aarch64__)
static volatile uint8_t *const serial = (volatile uint8_t *)0x09000000;
#elif defined(__riscv)
static volatile uint8_t *const serial = (volatile uint8_t *)0x10000000;
#else
#error "add the address of this machine's serial line"
#endif

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  size_t i;
  for (i = 0; i < bytes; i++) ((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
  return to;
}

void *memset(void *to, int value, size_t bytes) {
  size_t i;
  for (i = 0; i < bytes; i++) ((volatile unsigned char *)to)[i] = (unsigned char)value;
  return to;
}

void print_character(char character) { *serial = (uint8_t)character; }

void print(const char *text) {
  while (*text != '\0') print_character(*text++);
}

void print_number(int number) {
  char digit[2] = {(char)('0' + number % 10), '\0'};
  if (number >= 10) print_number(number / 10);
  print(digit);
}
