/* A caller that knows no model: it lists signatures, binds shapes and calls, all through the descriptor. */
#include "check.h"
#include "libmnist.h"
#include "smc.h"

static const struct smc_model model = MNIST_MODEL;

static void list(void) {
  uint32_t i, j, axis;
  for (i = 0; i < smc_signature_count(&model); i++) {
    const struct smc_signature *s = smc_signature_at(&model, i);
    struct smc_array lists[2];
    lists[0] = s->inputs;
    lists[1] = s->outputs;
    printf("%s %s: %s\n", smc_text(&model, smc_header_of(&model)->compiler),
           smc_text(&model, smc_header_of(&model)->name), smc_text(&model, s->key));
    for (j = 0; j < s->inputs.count + s->outputs.count; j++) {
      int output = j >= s->inputs.count;
      const struct smc_tensor *t = smc_tensor_at(&model, lists[output], output ? j - s->inputs.count : j);
      printf("  %s %s: %s[", output ? "output" : "input", smc_text(&model, t->key), smc_element_name(t->element));
      for (axis = 0; axis < t->extents.count; axis++) {
        int64_t dims[1] = {1000}, extent;
        CHECK_EQ(smc_extent(&model, t, axis, dims, &extent), SMC_OK);
        printf(axis > 0 ? ",%ld" : "%ld", (long)extent);
      }
      puts("]");
    }
  }
}

int main(int argc, char **argv) {
  unsigned char labels[64];
  int64_t count, index, shape[3], dims[1] = {-1}, elements, bytes, impossible[1] = {INT64_MAX}, negative[1] = {-3};
  const struct smc_signature *s;
  const struct smc_tensor *x, *y;
  const void *inputs[1];
  void *outputs[1], *io;
  int64_t i, right = 0;
  CHECK(argc == 2);
  CHECK(smc_is_readable(&model));
  list();
  inputs[0] = read_images(argv[1], &count, labels);

  CHECK_EQ(smc_find_signature(&model, "no such"), -1);
  index = smc_find_signature(&model, "serving_default");
  CHECK(index >= 0);
  s = smc_signature_at(&model, (uint32_t)index);
  CHECK(smc_signature_at(&model, smc_signature_count(&model)) == NULL);
  CHECK_EQ(smc_find_tensor(&model, s->inputs, "output_0"), -1);
  x = smc_tensor_at(&model, s->inputs, (uint32_t)smc_find_tensor(&model, s->inputs, "inputs"));
  y = smc_tensor_at(&model, s->outputs, (uint32_t)smc_find_tensor(&model, s->outputs, "output_0"));
  CHECK_EQ(x->element, SMC_F32);
  CHECK_EQ(smc_element_bytes(x->element), 4);
  CHECK_EQ(s->symbols.count, 1);

  shape[0] = count, shape[1] = 28, shape[2] = 28;
  CHECK_EQ(smc_bind_shape(&model, x, shape, 2, dims), SMC_BAD_DIMENSION);
  CHECK_EQ(smc_bind_shape(&model, x, shape, 3, dims), SMC_OK);
  CHECK_EQ(dims[0], count);
  CHECK_EQ(smc_element_count(&model, x, dims, &elements), SMC_OK);
  CHECK_EQ(elements, count * PIXELS);
  CHECK_EQ(smc_element_count(&model, y, dims, &elements), SMC_OK);
  CHECK_EQ(elements, count * CLASSES);
  CHECK_EQ(smc_element_count(&model, y, impossible, &elements), SMC_BAD_DIMENSION);
  CHECK_EQ(smc_workspace_bytes(&model, s, negative, &bytes), SMC_BAD_DIMENSION);
  CHECK_EQ(smc_workspace_bytes(&model, s, dims, &bytes), SMC_OK);
  CHECK_EQ(bytes, mnist_serving_default_workspace(count));

  outputs[0] = malloc(sizeof(float) * CLASSES * (size_t)count);
  io = malloc(s->io_bytes);
  CHECK(outputs[0] != NULL && io != NULL);
  CHECK_EQ(smc_call(&model, 99, inputs, outputs, dims, NULL, io, NULL, 0), SMC_NO_SUCH_SIGNATURE);
  CHECK_EQ(smc_call(&model, (uint32_t)index, inputs, outputs, dims, NULL, io, workspace_of((size_t)bytes),
                    (size_t)bytes), SMC_OK);
  CHECK_EQ(model.workspace_bytes((uint32_t)index, io), bytes);
  for (i = 0; i < count; i++) right += most_likely((const float *)outputs[0] + i * CLASSES) == labels[i];
  CHECK(right * 10 >= count * 9);
  puts("ok");
  return 0;
}
