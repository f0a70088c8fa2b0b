/* Calls a model with values in all floating-point registers that belong to the caller, and looks at them afterwards. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "liblearn.h"

#if defined(__riscv)
#define REGISTERS(X) X(0, fs0) X(1, fs1) X(2, fs2) X(3, fs3) X(4, fs4) X(5, fs5) X(6, fs6) X(7, fs7) X(8, fs8) X(9, fs9) X(10, fs10) X(11, fs11)
#define LOAD(n, r) __asm__ volatile("fld " #r ", %0" : : "m"(given[n]) : #r);
#define STORE(n, r) __asm__ volatile("fsd " #r ", %0" : "=m"(found[n]));
#elif defined(__aarch64__)
#define REGISTERS(X) X(0, d8) X(1, d9) X(2, d10) X(3, d11) X(4, d12) X(5, d13) X(6, d14) X(7, d15)
#define LOAD(n, r) __asm__ volatile("ldr " #r ", %0" : : "m"(given[n]) : #r);
#define STORE(n, r) __asm__ volatile("str " #r ", %0" : "=m"(found[n]));
#elif defined(__s390x__)
#define REGISTERS(X) X(0, f8) X(1, f9) X(2, f10) X(3, f11) X(4, f12) X(5, f13) X(6, f14) X(7, f15)
#define LOAD(n, r) __asm__ volatile("ld %%" #r ", %0" : : "m"(given[n]) : #r);
#define STORE(n, r) __asm__ volatile("std %%" #r ", %0" : "=m"(found[n]));
#else
#error "no floating-point registers of this machine belong to the caller"
#endif

enum { COUNT = 12 };

static double given[COUNT], found[COUNT];
static _Alignas(SMC_WORKSPACE_ALIGN) unsigned char workspace[4096], state[LEARN_STATE_BYTES];
static float pixels[28 * 28], result[2], loss, accuracy;
static int64_t target = 1;

static int wrong(const char *entry, int status) {
  int n;
  if (status != SMC_OK) printf("%s: %s\n", entry, smc_status_text(status));
  for (n = 0; n < COUNT; n++)
    if (found[n] != given[n]) printf("%s: register %d was %g and is %g\n", entry, n, given[n], found[n]);
  return status != SMC_OK || memcmp(given, found, sizeof given) != 0;
}

int main(void) {
  struct learn_serving_default infer = {0};
  struct learn_train_step step = {0};
  struct learn_evaluate evaluate = {0};
  int n, status, bad = learn_state_init(state, sizeof state) != SMC_OK;
  for (n = 0; n < COUNT; n++) given[n] = found[n] = n + 0.5;
  for (n = 0; n < 28 * 28; n++) pixels[n] = (float)(n % 28) / 28.0f;
  step.state = state;
  infer.state = evaluate.state = state;
  infer.inputs = step.inputs = evaluate.inputs = pixels;
  infer.output_0 = result;
  step.target = evaluate.target = &target;
  step.loss = evaluate.loss = &loss;
  step.accuracy = evaluate.accuracy = &accuracy;
  REGISTERS(LOAD)
  status = learn_serving_default(&infer, workspace, sizeof workspace);
  REGISTERS(STORE)
  bad |= wrong("serving_default", status);
  REGISTERS(LOAD)
  status = learn_train_step(&step, workspace, sizeof workspace);
  REGISTERS(STORE)
  bad |= wrong("train_step", status);
  REGISTERS(LOAD)
  status = learn_evaluate(&evaluate, workspace, sizeof workspace);
  REGISTERS(STORE)
  bad |= wrong("evaluate", status);
  if (!bad) printf("ok\n");
  return bad;
}
