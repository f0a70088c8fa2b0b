/* Classifies handwritten digits on a machine without an operating system; see README.md.
 *
 * start_*.S calls this with a stack, cleared memory and floating point switched on. Everything else a program needs
 * stands here: one character at a time on the serial line, and the two functions that compilers call on their own. */
#include <stdint.h>

#include "libmnist.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, RECORD = PIXELS + 1, CLASSES = 10 };

/* QEMU's virt machines. */
#if defined(__aarch64__)
static volatile uint8_t *const serial = (volatile uint8_t *)0x09000000;
#elif defined(__riscv)
static volatile uint8_t *const serial = (volatile uint8_t *)0x10000000;
#else
#error "add the address of this machine's serial line"
#endif

/* The file of digits, which start_*.S includes. */
extern const unsigned char digits[], digits_end[];

/* What a batch of one needs is known when linking, by `smc compile --batch 1`. */
static _Alignas(SMC_WORKSPACE_ALIGN) unsigned char workspace[MNIST_SERVING_DEFAULT_WORKSPACE + 1];
static float pixels[PIXELS], probabilities[CLASSES];

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

static void print(const char *text) {
  while (*text != '\0') *serial = (uint8_t)*text++;
}

static void print_number(int number) {
  char digit[2] = {(char)('0' + number % 10), '\0'};
  if (number >= 10) print_number(number / 10);
  print(digit);
}

static void draw(const unsigned char *image) {
  static const char shades[] = " .:-=+*#%@";
  int row, column;
  for (row = 0; row < SIDE; row += 2) {
    for (column = 0; column < SIDE; column++) {
      int grey = (image[row * SIDE + column] + image[(row + 1) * SIDE + column]) / 2;
      *serial = (uint8_t)shades[grey * 10 / 256];
    }
    print("\n");
  }
}

/* What it returns becomes the exit status of the emulator. */
int main(void) {
  struct mnist_serving_default io = {0};
  const unsigned char *record;
  int count = 0, right = 0;
  io.inputs = pixels;
  io.output_0 = probabilities;

  for (record = digits; record + RECORD <= digits_end; record += RECORD) {
    int i, best = 0, status;
    for (i = 0; i < PIXELS; i++) pixels[i] = (float)record[i] / 255.0f;
    status = mnist_serving_default(&io, workspace, MNIST_SERVING_DEFAULT_WORKSPACE);
    if (status != SMC_OK) {
      print(smc_status_text(status));
      print("\n");
      return 1;
    }
    for (i = 1; i < CLASSES; i++)
      if (probabilities[i] > probabilities[best]) best = i;
    draw(record);
    print("label ");
    print_number(record[PIXELS]);
    print(", predicted ");
    print_number(best);
    print(" with probability ");
    print_number((int)(probabilities[best] * 100.0f));
    print(" %\n\n");
    count++;
    right += best == record[PIXELS];
  }
  print_number(right);
  print(" of ");
  print_number(count);
  print(" digits recognised\n");
  return 0;
}
