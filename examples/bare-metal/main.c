/* Classifies handwritten digits on a machine without an operating system; see README.md.
 *
 * start_*.S calls this with a stack, cleared memory and floating point switched on. Everything else that a program needs
 * stands in board.c. */
#include "board.h"
#include "libmnist.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, RECORD = PIXELS + 1, CLASSES = 10 };

/* What a batch of one needs is known when linking, by `smc compile --batch 1`. */
static _Alignas(SMC_WORKSPACE_ALIGN) unsigned char workspace[MNIST_SERVING_DEFAULT_WORKSPACE + 1];
static float pixels[PIXELS], probabilities[CLASSES];

static void draw(const unsigned char *image) {
  static const char shades[] = " .:-=+*#%@";
  int row, column;
  for (row = 0; row < SIDE; row += 2) {
    for (column = 0; column < SIDE; column++) {
      int grey = (image[row * SIDE + column] + image[(row + 1) * SIDE + column]) / 2;
      print_character(shades[grey * 10 / 256]);
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
