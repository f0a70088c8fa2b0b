// Keeps a mean over all numbers that it was ever given, and prints those of this run that are more than it; see ../mean.
//
//   smc compile examples/mean/model -o libmean.o
//   c++ -std=c++17 -o mean_cpp examples/cpp/mean.cpp libmean.o -I .
//   ./mean_cpp mean.state 1 2 6
//
// The variables of the model are in the file between runs. How many numbers are more than the mean, the call tells.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "libmean.h"

namespace {

void check(int status) {
  if (status != SMC_OK) throw std::runtime_error(smc_status_text(status));
}

alignas(64) unsigned char state[MEAN_STATE_BYTES];
std::uint64_t saved[MEAN_STATE_BYTES / sizeof(std::uint64_t)];

}  // namespace

int main(int argc, char **argv) try {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FILE NUMBER..\n", argv[0]);
    return 2;
  }
  if (std::ifstream file{argv[1], std::ios::binary}) {
    file.read(reinterpret_cast<char *>(saved), sizeof saved);
    check(mean_state_load(state, sizeof state, saved, static_cast<std::size_t>(file.gcount())));
  } else {
    check(mean_state_init(state, sizeof state));
  }

  std::vector<float> numbers;
  numbers.reserve(static_cast<std::size_t>(argc));
  for (int n = 2; n < argc; n++) {
    char *end;
    numbers.push_back(std::strtof(argv[n], &end));
    if (end == argv[n] || *end != '\0') throw std::runtime_error(std::string(argv[n]) + " is not a number");
  }
  // An output whose size data decide has room for the most that there can be; a span may be longer.
  std::vector<float> above(numbers.size() + 1);
  std::int64_t count[1];
  float mean[1];
  smc::mean::above model;
  model.batch = static_cast<std::int64_t>(numbers.size());
  model.numbers = numbers;
  model.above = above;
  model.count = count;
  model.mean = mean;
  model.state = state;
  check(static_cast<int>(model()));
  above.resize(static_cast<std::size_t>(model.boolean_mask_Where));

  std::printf("%lld numbers, mean %g; above it:", static_cast<long long>(count[0]), mean[0]);
  for (const float number : above) std::printf(" %g", number);
  std::printf("\n");

  check(mean_state_save(state, saved, sizeof saved));
  std::ofstream file{argv[1], std::ios::binary};
  file.write(reinterpret_cast<const char *>(saved), sizeof saved);
  if (!file.flush()) throw std::runtime_error("the state cannot be written");
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
