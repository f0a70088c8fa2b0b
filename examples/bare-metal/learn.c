/* Learns on a machine without an operating system; see README.md. The model knows ten digits. Its new head learns whether a
 * digit is even, from one image at a time; the layer before it is a constant. */
#include "board.h"
#include "liblearn.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, RECORD = PIXELS + 1, EPOCHS = 20 };

/* `smc compile --batch 1` lets the compiler know what a call needs. One workspace serves both entries. */
static _Alignas(SMC_WORKSPACE_ALIGN) unsigned char
    workspace[LEARN_TRAIN_STEP_WORKSPACE > LEARN_EVALUATE_WORKSPACE ? LEARN_TRAIN_STEP_WORKSPACE : LEARN_EVALUATE_WORKSPACE];
static _Alignas(SMC_WORKSPACE_ALIGN) unsigned char state[LEARN_STATE_BYTES];
static float pixels[PIXELS], loss, accuracy;
static int64_t target;

static void read_digit(const unsigned char *record) {
  int i;
  for (i = 0; i < PIXELS; i++) pixels[i] = (float)record[i] / 255.0f;
  target = record[PIXELS] % 2 == 0;
}

/* How many digits are judged right, or a status below 0. */
static int right(int *count) {
  struct learn_evaluate io = {0};
  const unsigned char *record;
  int found = 0, status;
  io.state = state;
  io.inputs = pixels;
  io.target = &target;
  io.loss = &loss;
  io.accuracy = &accuracy;
  *count = 0;
  for (record = digits; record + RECORD <= digits_end; record += RECORD) {
    read_digit(record);
    status = learn_evaluate(&io, workspace, sizeof workspace);
    if (status != SMC_OK) return -status;
    found += accuracy > 0.5f;
    ++*count;
  }
  return found;
}

static int report(const char *when) {
  int count, found = right(&count);
  if (found < 0) return -found;
  print(when);
  print_number(found);
  print(" of ");
  print_number(count);
  print(" digits are judged right\n");
  return SMC_OK;
}

static int learn(void) {
  struct learn_train_step io = {0};
  const unsigned char *record;
  int epoch, status;
  io.state = state;
  io.inputs = pixels;
  io.target = &target;
  io.loss = &loss;
  io.accuracy = &accuracy;
  for (epoch = 0; epoch < EPOCHS; epoch++)
    for (record = digits; record + RECORD <= digits_end; record += RECORD) {
      read_digit(record);
      status = learn_train_step(&io, workspace, sizeof workspace);
      if (status != SMC_OK) return status;
    }
  return SMC_OK;
}

/* What it returns becomes the exit status of the emulator. */
int main(void) {
  int status = learn_state_init(state, sizeof state);
  if (status == SMC_OK) status = report("before: ");
  if (status == SMC_OK) status = learn();
  if (status == SMC_OK) status = report("after: ");
  if (status != SMC_OK) {
    print(smc_status_text(status));
    print("\n");
    return 1;
  }
  print("RAM: ");
  print_number((int)sizeof state);
  print(" bytes of state, ");
  print_number((int)sizeof workspace);
  print(" of workspace, ");
  print_number((int)(sizeof pixels + sizeof loss + sizeof accuracy + sizeof target));
  print(" of inputs and outputs\n");
  return 0;
}
