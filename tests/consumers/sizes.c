/* Sizes that data decide: the call writes them in its struct, also where it stops at one; outputs have room for the greatest. */
#include "check.h"
#include "libsizes.h"
#include "smc.h"

static const float x[5] = {1, -2, 3, 4, -5};

static void by_header(void) {
  float first[5] = {0}, rest[5] = {0};
  struct sizes_main io;
  memset(&io, 0, sizeof io);
  io.x = x, io.first = first, io.rest = rest, io.n = 5;
  size_t bytes = sizes_main_workspace(5);
  void *workspace = workspace_of(bytes);
  CHECK(sizes_main(&io, workspace, bytes) == SMC_OK);
  CHECK(io.k == 3);
  CHECK(first[0] == 1 && first[1] == -2 && first[2] == 3 && first[3] == 0);
  CHECK(rest[0] == 4 && rest[1] == -5 && rest[2] == 0);
  io.n = 0;
  CHECK(sizes_main(&io, workspace, bytes) == SMC_OK && io.k == 0);
}

static void refused(void) {
  float y[5] = {0};
  struct sizes_even io;
  memset(&io, 0, sizeof io);
  io.x = x, io.y = y, io.n = 5;
  size_t bytes = sizes_even_workspace(5);
  void *workspace = workspace_of(bytes);
  CHECK(sizes_even(&io, workspace, bytes) == SMC_BROKEN_SIZE && io.k == 3);
  io.n = 4, io.x = x + 1;
  CHECK(sizes_even(&io, workspace, bytes) == SMC_OK && io.k == 2);
  struct sizes_two tight;
  memset(&tight, 0, sizeof tight);
  tight.x = x, tight.y = y, tight.n = 5, y[2] = 7;
  CHECK(sizes_two_workspace(5) <= bytes);
  CHECK(sizes_two(&tight, workspace, bytes) == SMC_SIZE_OUT_OF_BOUNDS && tight.k == 3 && y[2] == 7);
  tight.n = -1;
  CHECK(sizes_two(&tight, workspace, bytes) == SMC_BAD_DIMENSION);
}

static void by_descriptor(void) {
  static const struct smc_model model = SIZES_MODEL;
  CHECK(smc_is_readable(&model));
  const struct smc_signature *s = smc_signature_at(&model, SIZES_MAIN_SIGNATURE);
  CHECK(s->symbols.count == 2);
  CHECK(!smc_is_found(smc_symbol_at(&model, s, 0)) && smc_is_found(smc_symbol_at(&model, s, 1)));
  int64_t dims[2] = {5, -1}, bytes, bound, room, count;
  CHECK(smc_eval(&model, smc_symbol_at(&model, s, 1)->bound, dims, &bound) == SMC_OK && bound == 5);
  const struct smc_tensor *rest = smc_tensor_at(&model, s->outputs, 1);
  CHECK(smc_room(&model, rest, dims, &room) == SMC_OK && room == 5);
  CHECK(smc_element_count(&model, rest, dims, &count) == SMC_BAD_DIMENSION);
  CHECK(smc_workspace_bytes(&model, s, dims, &bytes) == SMC_OK);
  float first[5], second[5];
  const void *inputs[1] = {x};
  void *outputs[2] = {first, second};
  int64_t io[16];
  CHECK(s->io_bytes <= sizeof io);
  void *workspace = workspace_of((size_t)bytes);
  CHECK(smc_call(&model, SIZES_MAIN_SIGNATURE, inputs, outputs, dims, NULL, io, workspace, (size_t)bytes) == SMC_OK);
  dims[1] = smc_found(smc_symbol_at(&model, s, 1), io);
  CHECK(dims[1] == 3);
  CHECK(smc_element_count(&model, rest, dims, &count) == SMC_OK && count == 2);
}

#if SMC_CPP >= 201703L
static void by_class(void) {
  float first[5], rest[5], few[4];
  smc::sizes::main model;
  model.x = smc::span<const float>(x, 5);
  model.first = smc::span<float>(first, 5);
  model.rest = smc::span<float>(few, 4);
  model.n = 5;
  CHECK(model() == smc::status::short_span);
  model.rest = smc::span<float>(rest, 5);
  CHECK(model() == smc::status::ok && model.k == 3 && rest[1] == -5);
}
#endif

int main(void) {
  by_header();
  refused();
  by_descriptor();
#if SMC_CPP >= 201703L
  by_class();
#endif
  puts("ok");
  return 0;
}
