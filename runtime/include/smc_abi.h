/* What every model compiled by smc and its callers agree on. This text also stands at the head of each generated
 * header, under the same guard, so that any number of models and smc.h can be included together. */
#ifndef SMC_ABI
#define SMC_ABI 3

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a model's functions return. */
enum smc_status {
  SMC_OK = 0,
  SMC_NULL_POINTER = 1,
  SMC_MISALIGNED_WORKSPACE = 2,
  SMC_SHORT_WORKSPACE = 3,
  SMC_BAD_DIMENSION = 4,
  SMC_BROKEN_GUARD = 5,
  SMC_INDEX_OUT_OF_RANGE = 6,
  SMC_DIVISION_BY_ZERO = 7,
  SMC_NEGATIVE_EXPONENT = 8,
  SMC_ASSERTION_FAILED = 9,
  SMC_NO_SUCH_SIGNATURE = 10,
  SMC_NO_SUCH_CPU = 11,
  SMC_NO_WEIGHTS = 12,
  SMC_WRONG_WEIGHTS = 13,
  SMC_WRONG_STATE = 14,
  SMC_SIZE_OUT_OF_BOUNDS = 15,
  SMC_BROKEN_SIZE = 16,
  SMC_UNSET_VARIABLE = 17,
  SMC_STRINGS_EXCEEDED = 18,
  SMC_OPERATOR_FAILED = 19,
  SMC_BROKEN_RECORD = 20
};

/* What a custom operator's function returned, of a status whose low eight bits are SMC_OPERATOR_FAILED: 24 bits of it. */
#define SMC_OPERATOR_CODE(status) ((status) >> 8)

static inline const char *smc_status_text(int status) {
  switch ((status & 255) == SMC_OPERATOR_FAILED ? SMC_OPERATOR_FAILED : status) {
    case SMC_OK: return "ok";
    case SMC_NULL_POINTER: return "a pointer is null";
    case SMC_MISALIGNED_WORKSPACE: return "the workspace is not aligned to 64 bytes";
    case SMC_SHORT_WORKSPACE: return "the workspace is too small";
    case SMC_BAD_DIMENSION: return "a dimension is negative or so large that sizes overflow";
    case SMC_BROKEN_GUARD: return "the dimensions break a condition of the model";
    case SMC_INDEX_OUT_OF_RANGE: return "an index is out of range";
    case SMC_DIVISION_BY_ZERO: return "an integer is divided by zero";
    case SMC_NEGATIVE_EXPONENT: return "an integer has a negative exponent";
    case SMC_ASSERTION_FAILED: return "an assertion of the model failed";
    case SMC_NO_SUCH_SIGNATURE: return "there is no such signature";
    case SMC_NO_SUCH_CPU: return "the model has no code for this CPU level, or the processor is not of this level";
    case SMC_NO_WEIGHTS: return "no weights are bound";
    case SMC_WRONG_WEIGHTS: return "these are not the model's weights, or not all of them, or not aligned to 64 bytes";
    case SMC_WRONG_STATE: return "this is no state of the model, or a damaged one, or too short, or not aligned";
    case SMC_SIZE_OUT_OF_BOUNDS: return "a size that data decide is negative or above its bound; its member of the struct says how large it is";
    case SMC_BROKEN_SIZE: return "sizes that data decide break a condition of the model";
    case SMC_UNSET_VARIABLE: return "a variable is read that nothing has assigned yet";
    case SMC_STRINGS_EXCEEDED: return "the call makes more bytes of strings than the object was compiled for; the workspace begins with how many";
    case SMC_OPERATOR_FAILED: return "a custom operator failed; its code is in the bits above the low eight";
    case SMC_BROKEN_RECORD: return "a serialized record is damaged, or its features are not those that the model parses";
    default: return "unknown status";
  }
}

/* Every workspace starts at a multiple of this. */
#define SMC_WORKSPACE_ALIGN 64

/* Who runs the parallel loops of a call. parallel_for has run task over all of [0, count), split in any way, on any
 * threads, before it returns; about so many nanoseconds one thread would take for it, at least 1: a hint whether
 * waking somebody is worth it. Ranges of few microseconds occur. width says how many threads there are. */
struct smc_threads {
  void *pool;
  void (*parallel_for)(void *pool, void (*task)(void *arg, int64_t begin, int64_t end), void *arg, int64_t count,
                       int64_t nanoseconds);
  int64_t width;
};

/* An element of a tensor of strings: so many bytes from data on, which are anything, zeros included; of an empty one data means
 * nothing. Those of an output lie in an input's bytes, in the model or in the workspace, and are there until one of these
 * changes. */
struct smc_string {
  const char *data;
  size_t bytes;
};

/* An operand or result of a custom operator: dense, row-major elements, rank extents, and the number that smc.h's enum
 * smc_element has for the type. Of a tensor without elements data means nothing, of a scalar extents. */
struct smc_operand {
  void *data;
  int64_t *extents;
  int64_t rank;
  int64_t element;
};

/* A compiled model for generic callers; smc.h reads the descriptor.
 * invoke runs the signature with this number; io points to the signature's struct, in which the call writes the sizes that
 * data decide.
 * workspace_bytes tells what that call needs for the dimensions in io, or a negated status. */
struct smc_model {
  const void *descriptor;
  int (*invoke)(uint32_t signature, const void *io, void *workspace, size_t workspace_bytes);
  int64_t (*workspace_bytes)(uint32_t signature, const void *io);
};

/* The functions of a model's state for generic callers; the model's header says what they do. */
struct smc_state {
  size_t (*bytes)(void);
  int (*init)(void *state, size_t bytes);
  int (*save)(const void *state, void *to, size_t bytes);
  int (*load)(void *state, size_t bytes, const void *from, size_t from_bytes);
  int (*seed)(void *state, uint64_t seed);
};

#ifdef __cplusplus
}
#endif

/* For C++17 with a standard library, unless SMC_NO_CPP is defined: what the classes of models are made of. */
#if defined(_MSVC_LANG) && !defined(SMC_NO_CPP)
#define SMC_CPP _MSVC_LANG
#elif defined(__cplusplus) && __STDC_HOSTED__ && !defined(SMC_NO_CPP)
#define SMC_CPP __cplusplus
#else
#define SMC_CPP 0
#endif
#if SMC_CPP >= 201703L
#include <new>
#if SMC_CPP >= 202002L
#include <span>
#endif

namespace smc {

/* What a call returns: the statuses of C, and what is found before they can be. */
enum class status : int {
  ok = SMC_OK,
  null_pointer = SMC_NULL_POINTER,
  misaligned_workspace = SMC_MISALIGNED_WORKSPACE,
  short_workspace = SMC_SHORT_WORKSPACE,
  bad_dimension = SMC_BAD_DIMENSION,
  broken_guard = SMC_BROKEN_GUARD,
  index_out_of_range = SMC_INDEX_OUT_OF_RANGE,
  division_by_zero = SMC_DIVISION_BY_ZERO,
  negative_exponent = SMC_NEGATIVE_EXPONENT,
  assertion_failed = SMC_ASSERTION_FAILED,
  no_such_signature = SMC_NO_SUCH_SIGNATURE,
  no_such_cpu = SMC_NO_SUCH_CPU,
  no_weights = SMC_NO_WEIGHTS,
  wrong_weights = SMC_WRONG_WEIGHTS,
  wrong_state = SMC_WRONG_STATE,
  size_out_of_bounds = SMC_SIZE_OUT_OF_BOUNDS,
  broken_size = SMC_BROKEN_SIZE,
  unset_variable = SMC_UNSET_VARIABLE,
  strings_exceeded = SMC_STRINGS_EXCEEDED,
  operator_failed = SMC_OPERATOR_FAILED,
  broken_record = SMC_BROKEN_RECORD,
  short_span = -1,    /* a span has fewer elements than its tensor */
  out_of_memory = -2  /* there is no memory for the workspace */
};

inline const char *text(status code) {
  switch (code) {
    case status::short_span: return "a span is shorter than its tensor";
    case status::out_of_memory: return "there is no memory for the workspace";
    default: return smc_status_text(static_cast<int>(code));
  }
}

/* The compilation's standard tells which span a class has. */
#if SMC_CPP >= 202002L && defined(__cpp_lib_span)
#define SMC_CPP_NAMESPACE cpp20
inline namespace cpp20 {
template <class T>
using span = std::span<T>;
#else
#define SMC_CPP_NAMESPACE cpp17
inline namespace cpp17 {
/* So many elements from some place on, which somebody else owns. */
template <class T>
class span {
 public:
  constexpr span() = default;
  constexpr span(T *data, std::size_t size) : data_(data), size_(size) {}
  template <std::size_t N>
  constexpr span(T (&array)[N]) : data_(array), size_(N) {}
  template <class C, class = decltype(static_cast<T *>(static_cast<C *>(nullptr)->data()))>
  constexpr span(C &container) : data_(container.data()), size_(container.size()) {}
  constexpr T *data() const { return data_; }
  constexpr std::size_t size() const { return size_; }
  constexpr T *begin() const { return data_; }
  constexpr T *end() const { return data_ + size_; }
  constexpr T &operator[](std::size_t n) const { return data_[n]; }

 private:
  T *data_ = nullptr;
  std::size_t size_ = 0;
};
#endif

/* The memory of a call: exactly what the largest call so far needed. */
class workspace {
 public:
  workspace() = default;
  workspace(workspace &&other) noexcept : memory_(other.memory_), bytes_(other.bytes_) {
    other.memory_ = nullptr;
    other.bytes_ = 0;
  }
  workspace &operator=(workspace &&other) noexcept {
    if (this != &other) {
      release();
      memory_ = other.memory_;
      bytes_ = other.bytes_;
      other.memory_ = nullptr;
      other.bytes_ = 0;
    }
    return *this;
  }
  ~workspace() { release(); }
  /* Whether there are so many bytes now; what was in them is lost. */
  bool reserve(std::size_t bytes) {
    if (bytes <= bytes_) return true;
    release();
    memory_ = ::operator new(bytes, std::align_val_t{SMC_WORKSPACE_ALIGN}, std::nothrow);
    if (memory_ != nullptr) bytes_ = bytes;
    return memory_ != nullptr;
  }
  void *data() const { return memory_; }
  std::size_t size() const { return bytes_; }

 private:
  void release() {
    ::operator delete(memory_, std::align_val_t{SMC_WORKSPACE_ALIGN});
    memory_ = nullptr;
    bytes_ = 0;
  }
  void *memory_ = nullptr;
  std::size_t bytes_ = 0;
};

/* a / b towards minus infinity, b being above 0. */
constexpr int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
constexpr int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }
/* Whether a span has so many elements. */
template <class T>
constexpr bool holds(const span<T> &elements, int64_t count) {
  return count <= 0 || elements.size() >= static_cast<std::size_t>(count);
}

}  // inline namespace
}  // namespace smc
#endif

#elif SMC_ABI != 3
#error "headers of models compiled by incompatible versions of smc are included together"
#endif
