// Classifies handwritten digits; see ../mnist/README.md for the model and the file of digits.
//
//   smc compile examples/mnist/model -o libmnist.o
//   c++ -std=c++17 -o mnist_cpp examples/cpp/main.cpp libmnist.o -I .
//   ./mnist_cpp examples/mnist/digits.bin

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <vector>

#include "libmnist.h"

namespace {

constexpr std::size_t pixels = 28 * 28, record = pixels + 1, classes = 10;

// Probabilities of the ten classes for each image. The model keeps its workspace from call to call.
std::vector<float> classify(const std::vector<float> &images, smc::mnist::serving_default &model) {
  std::vector<float> probabilities(images.size() / pixels * classes);
  model.batch = static_cast<std::int64_t>(images.size() / pixels);
  model.inputs = images;
  model.output_0 = probabilities;
  if (const smc::status status = model(); status != smc::status::ok) throw std::runtime_error(smc::text(status));
  return probabilities;
}

}  // namespace

int main(int argc, char **argv) try {
  std::ifstream file(argc == 2 ? argv[1] : "", std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "usage: %s digits.bin\n", argv[0]);
    return 2;
  }
  const std::vector<unsigned char> records{std::istreambuf_iterator<char>(file), {}};
  const std::size_t count = records.size() / record;

  std::vector<float> images;
  for (std::size_t i = 0; i < count; i++)
    for (std::size_t p = 0; p < pixels; p++) images.push_back(records[i * record + p] / 255.0f);

  smc::mnist::serving_default model;
  const std::vector<float> probabilities = classify(images, model);
  std::size_t right = 0;
  for (std::size_t i = 0; i < count; i++) {
    const auto first = probabilities.begin() + static_cast<std::ptrdiff_t>(i * classes);
    const auto best = std::max_element(first, first + classes);
    const int label = records[i * record + pixels];
    std::printf("label %d, predicted %d with probability %.4f\n", label, static_cast<int>(best - first), *best);
    right += label == best - first;
  }
  std::printf("%zu of %zu digits recognised\n", right, count);
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
