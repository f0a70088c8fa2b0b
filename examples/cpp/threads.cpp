// Runs a model on the threads of the program that calls it: a parallel_for of one's own. Programs that have no pool yet
// find one in the runtime library (smc_pool.h); this is for those that have one.
//
//   smc compile examples/mnist/cnn -o libcnn.o
//   c++ -std=c++17 -pthread -o threads examples/cpp/threads.cpp libcnn.o -I .
//   ./threads examples/mnist/digits.bin

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "libcnn.h"

namespace {

constexpr std::size_t pixels = 28 * 28, record = pixels + 1, classes = 10;

// Threads that sleep until there is a range to work on. It stands for the pool that a program already has: all that a
// model asks of it is that every index was visited when parallel_for returns. How it cuts the range is its own affair,
// and never shows in the result; neither does whether it does so at all, which a range of few nanoseconds is not worth.
class Pool {
 public:
  explicit Pool(unsigned width) {
    for (unsigned i = 1; i < width; i++) workers_.emplace_back([this] { serve(); });
    threads_ = {this, &Pool::parallel_for, static_cast<std::int64_t>(width)};
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    for (std::thread &worker : workers_) worker.join();
  }
  Pool(const Pool &) = delete;
  Pool &operator=(const Pool &) = delete;

  const smc_threads *threads() const { return &threads_; }

 private:
  using Task = void (*)(void *, std::int64_t, std::int64_t);

  static void parallel_for(void *pool, Task task, void *arg, std::int64_t count, std::int64_t nanoseconds) {
    if (nanoseconds < worth_waking) return task(arg, 0, count);
    static_cast<Pool *>(pool)->run(task, arg, count);
  }

  void run(Task task, void *arg, std::int64_t count) {
    // One range at a time: a call that comes while the pool is busy does its work alone.
    std::unique_lock<std::mutex> one(busy_, std::try_to_lock);
    if (!one || workers_.empty()) return task(arg, 0, count);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      task_ = task, arg_ = arg, count_ = count, next_ = 0;
      // A few pieces per thread, which differ by one index at most.
      pieces_ = std::min<std::int64_t>(count, 4 * threads_.width);
      inside_ = workers_.size();
      job_++;
    }
    wake_.notify_all();
    work();
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return inside_ == 0; });
  }

  void serve() {
    std::uint64_t seen = 0;
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return ending_ || job_ != seen; });
        if (ending_) return;
        seen = job_;
      }
      work();
      std::lock_guard<std::mutex> lock(mutex_);
      if (--inside_ == 0) done_.notify_one();
    }
  }

  void work() {
    for (std::int64_t piece; (piece = next_++) < pieces_;) task_(arg_, begin_of(piece), begin_of(piece + 1));
  }

  std::int64_t begin_of(std::int64_t piece) const {
    return count_ / pieces_ * piece + std::min(piece, count_ % pieces_);
  }

  // Nanoseconds of work that pay for waking threads.
  static constexpr std::int64_t worth_waking = 50'000;

  smc_threads threads_{};
  std::vector<std::thread> workers_;
  std::mutex busy_, mutex_;
  std::condition_variable wake_, done_;
  bool ending_ = false;
  std::uint64_t job_ = 0;
  std::size_t inside_ = 0;
  Task task_ = nullptr;
  void *arg_ = nullptr;
  std::int64_t count_ = 0, pieces_ = 1;
  std::atomic<std::int64_t> next_{0};
};

// A workspace that starts where a model wants it.
struct alignas(SMC_WORKSPACE_ALIGN) Line {
  unsigned char bytes[SMC_WORKSPACE_ALIGN];
};

std::vector<float> classify(const std::vector<float> &images, const smc_threads *threads) {
  const auto batch = static_cast<std::int64_t>(images.size() / pixels);
  std::vector<float> probabilities(images.size() / pixels * classes);
  struct cnn_serving_default io{};
  io.inputs = images.data();
  io.output_0 = probabilities.data();
  io.batch = batch;
  io.threads = threads;
  const std::size_t bytes = cnn_serving_default_workspace(batch);
  if (bytes == SIZE_MAX) throw std::length_error("too many images");
  std::vector<Line> workspace(bytes / sizeof(Line) + 1);
  if (int status = cnn_serving_default(&io, workspace.data(), bytes)) throw std::runtime_error(smc_status_text(status));
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

  Pool pool(std::max(2u, std::thread::hardware_concurrency()));
  const std::vector<float> alone = classify(images, nullptr), together = classify(images, pool.threads());
  if (std::memcmp(alone.data(), together.data(), alone.size() * sizeof(float)) != 0)
    throw std::runtime_error("threads changed the result");

  std::size_t right = 0;
  for (std::size_t i = 0; i < count; i++) {
    const auto first = together.begin() + static_cast<std::ptrdiff_t>(i * classes);
    right += records[i * record + pixels] == std::max_element(first, first + classes) - first;
  }
  std::printf("%zu of %zu digits recognised\n", right, count);
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
