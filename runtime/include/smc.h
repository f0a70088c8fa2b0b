/* Generic calls of models compiled by smc: what a program does that learns only at run time which model it has.
 * A program that knows its model needs the model's own header alone.
 *
 * C99 and C++; everything is static inline, allocates nothing and needs no library, so it also runs on bare metal.
 * A model's header defines the initialiser of a struct smc_model:
 *
 *   static const struct smc_model mnist = MNIST_MODEL;
 *   const struct smc_signature *s = smc_signature_at(&mnist, 0);
 *   int64_t dims[1] = {3}, bytes;                        // one value per symbolic dimension: smc_symbol_at
 *   int status = smc_workspace_bytes(&mnist, s, dims, &bytes);
 *   ...
 *   status = smc_call(&mnist, 0, inputs, outputs, dims, NULL, io, workspace, bytes);   // io: s->io_bytes
 *
 * Functions that can fail return a status (enum smc_status), others a null pointer or -1 where nothing is found. */
#ifndef SMC_H
#define SMC_H

#include "smc_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the descriptor ---- */

#define SMC_MAGIC UINT32_C(0x31434d53)
#define SMC_MAX_STACK 64

/* count values of one kind, offset bytes from the start of the descriptor. Texts end with a zero that is not counted. */
struct smc_array {
  uint32_t offset;
  uint32_t count;
};

struct smc_header {
  uint32_t magic;                /* SMC_MAGIC */
  uint32_t abi_version;          /* SMC_ABI */
  uint32_t total_bytes;          /* of the descriptor */
  uint32_t pointer_bytes;        /* sizeof(void *) on the target */
  struct smc_array name;         /* prefix of the exported symbols */
  struct smc_array compiler;     /* name and version */
  uint8_t fingerprint[32];       /* SHA-256 of the model that was compiled */
  struct smc_array signatures;   /* of struct smc_signature */
  struct smc_array levels;       /* of struct smc_level, ascending */
};

/* A CPU level that there is code for. */
struct smc_level {
  struct smc_array name;         /* such as x86-64-v3 */
  uint32_t number;               /* what an io struct's cpu asks for; greater numbers are better */
  uint32_t reserved;
};

/* An entry point. */
struct smc_signature {
  struct smc_array key;          /* as the model's author named it */
  struct smc_array c_name;       /* the function is the model's name, an underscore and this */
  struct smc_array inputs;       /* of struct smc_tensor */
  struct smc_array outputs;      /* of struct smc_tensor */
  struct smc_array symbols;      /* of struct smc_symbol */
  struct smc_array guards;       /* of struct smc_guard */
  struct smc_array workspace;    /* bytes, as an expression */
  uint32_t workspace_align;
  uint32_t io_bytes;             /* of the io struct */
  uint32_t threads_slot;         /* offset of threads in the io struct */
  uint32_t cpu_slot;             /* offset of cpu, a uint64_t, in the io struct */
  uint64_t stack_bytes;          /* at most, on the calling thread */
};

/* An input or an output. */
struct smc_tensor {
  struct smc_array key;          /* as the model's author named it */
  struct smc_array c_name;       /* the member of the io struct */
  uint32_t element;              /* enum smc_element */
  uint32_t slot;                 /* offset of the pointer in the io struct */
  struct smc_array extents;      /* of struct smc_array, each an expression; count is the rank */
  struct smc_array room;         /* elements that its memory has room for, as an expression */
};

/* A symbolic dimension. */
struct smc_symbol {
  struct smc_array name;
  struct smc_array c_name;       /* the member of the io struct */
  uint32_t slot;                 /* offset of the int64_t in the io struct */
  uint32_t reserved;
  struct smc_array bound;        /* of a size that the call writes: the most that it can be; otherwise empty */
};

/* Two expressions that must be equal. */
struct smc_guard {
  struct smc_array left;
  struct smc_array right;
  struct smc_array text;         /* the condition in words */
};

/* One step of a postfix expression over the symbolic dimensions. */
struct smc_step {
  uint32_t action;               /* enum smc_action */
  uint32_t symbol;
  int64_t value;
};

enum smc_action {
  SMC_PUSH_CONST = 0,
  SMC_PUSH_SYMBOL = 1,
  SMC_ADD = 2,
  SMC_MUL = 3,
  SMC_FLOOR_DIV = 4,
  SMC_MAX = 5,
  /* Floats are on the stack as the bits of a double; see the runtime crate's Action for what each one does. */
  SMC_TO_I32 = 6,
  SMC_TO_I64 = 7,
  SMC_LESS = 8,
  SMC_LESS_EQUAL = 9,
  SMC_EQUAL = 10,
  SMC_AND = 11,
  SMC_OR = 12,
  SMC_XOR = 13,
  SMC_SHL = 14,
  SMC_SHR = 15,
  SMC_POW = 16,
  SMC_QUOTIENT = 17,
  SMC_SELECT = 18,
  SMC_TO_REAL = 19,
  SMC_SINGLE = 20,
  SMC_NEG = 21,
  SMC_ABS = 22,
  SMC_FLOOR = 23,
  SMC_CEIL = 24,
  SMC_ROUND = 25,
  SMC_TRUNC = 26,
  SMC_ADD_REAL = 27,
  SMC_SUB_REAL = 28,
  SMC_MUL_REAL = 29,
  SMC_DIV_REAL = 30,
  SMC_MIN_REAL = 31,
  SMC_MAX_REAL = 32
};

/* f16 and bf16 are passed as their bits in a uint16_t, bool as a uint8_t of 0 or 1, complex numbers as two parts, strings as a
 * struct smc_string. */
enum smc_element {
  SMC_BOOL = 0,
  SMC_I8 = 1,
  SMC_I16 = 2,
  SMC_I32 = 3,
  SMC_I64 = 4,
  SMC_U8 = 5,
  SMC_U16 = 6,
  SMC_U32 = 7,
  SMC_U64 = 8,
  SMC_F16 = 9,
  SMC_BF16 = 10,
  SMC_F32 = 11,
  SMC_F64 = 12,
  SMC_C64 = 13,
  SMC_C128 = 14,
  SMC_STR = 15
};

static inline const char *smc_element_name(uint32_t element) {
  static const char *const names[] = {"bool", "i8",  "i16",  "i32", "i64", "u8",  "u16", "u32",
                                      "u64",  "f16", "bf16", "f32", "f64", "c64", "c128", "str"};
  return element < sizeof names / sizeof *names ? names[element] : "unknown";
}

/* Bytes of one element. */
static inline size_t smc_element_bytes(uint32_t element) {
  static const uint8_t bytes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 8, 16, sizeof(struct smc_string)};
  return element < sizeof bytes ? bytes[element] : 0;
}

/* ---- what the model says about itself ---- */

static inline const struct smc_header *smc_header_of(const struct smc_model *model) {
  return (const struct smc_header *)model->descriptor;
}

/* Whether this header can read the model's descriptor. */
static inline int smc_is_readable(const struct smc_model *model) {
  const struct smc_header *header = smc_header_of(model);
  return header != NULL && header->magic == SMC_MAGIC && header->abi_version == SMC_ABI &&
         header->pointer_bytes == sizeof(void *);
}

/* The first value of an array. */
static inline const void *smc_at(const struct smc_model *model, struct smc_array array) {
  return (const char *)model->descriptor + array.offset;
}

static inline const char *smc_text(const struct smc_model *model, struct smc_array text) {
  return (const char *)smc_at(model, text);
}

static inline uint32_t smc_signature_count(const struct smc_model *model) {
  return smc_header_of(model)->signatures.count;
}

static inline const struct smc_signature *smc_signature_at(const struct smc_model *model, uint32_t index) {
  struct smc_array all = smc_header_of(model)->signatures;
  return index < all.count ? (const struct smc_signature *)smc_at(model, all) + index : NULL;
}

static inline const struct smc_level *smc_level_at(const struct smc_model *model, uint32_t index) {
  struct smc_array all = smc_header_of(model)->levels;
  return index < all.count ? (const struct smc_level *)smc_at(model, all) + index : NULL;
}

static inline const struct smc_tensor *smc_tensor_at(const struct smc_model *model, struct smc_array tensors,
                                                     uint32_t index) {
  return index < tensors.count ? (const struct smc_tensor *)smc_at(model, tensors) + index : NULL;
}

static inline const struct smc_symbol *smc_symbol_at(const struct smc_model *model, const struct smc_signature *s,
                                                     uint32_t index) {
  return index < s->symbols.count ? (const struct smc_symbol *)smc_at(model, s->symbols) + index : NULL;
}

static inline int smc_same_text(const char *a, const char *b) {
  while (*a != '\0' && *a == *b) a++, b++;
  return *a == *b;
}

/* The number of the signature with this key. */
static inline int64_t smc_find_signature(const struct smc_model *model, const char *key) {
  uint32_t i, count = smc_signature_count(model);
  for (i = 0; i < count; i++)
    if (smc_same_text(smc_text(model, smc_signature_at(model, i)->key), key)) return i;
  return -1;
}

/* The number of the tensor with this key; tensors is a signature's inputs or outputs. */
static inline int64_t smc_find_tensor(const struct smc_model *model, struct smc_array tensors, const char *key) {
  uint32_t i;
  for (i = 0; i < tensors.count; i++)
    if (smc_same_text(smc_text(model, smc_tensor_at(model, tensors, i)->key), key)) return i;
  return -1;
}

/* ---- sizes ---- */

/* A double as it is on the stack, and back. */
static inline int64_t smc_bits(double x) {
  union { double x; int64_t bits; } as;
  as.x = x;
  return as.bits;
}
static inline double smc_real(int64_t bits) {
  union { double x; int64_t bits; } as;
  as.bits = bits;
  return as.x;
}

/* The greatest whole number that is not more than x. */
static inline double smc_floor(double x) {
  double whole;
  if (!(x > -4503599627370496.0 && x < 4503599627370496.0)) return x;
  whole = (double)(int64_t)x;
  return whole > x ? whole - 1 : whole;
}

/* The nearest whole number; halves go to even. */
static inline double smc_round(double x) {
  double below = smc_floor(x), rest = x - below;
  return rest > 0.5 || (rest == 0.5 && ((int64_t)below & 1)) ? below + 1 : below;
}

/* How many operands a step takes. */
static inline uint32_t smc_arity(uint32_t action) {
  switch (action) {
    case SMC_PUSH_CONST: case SMC_PUSH_SYMBOL: return 0;
    case SMC_TO_I32: case SMC_TO_I64: case SMC_TO_REAL: case SMC_SINGLE: case SMC_NEG: case SMC_ABS:
    case SMC_FLOOR: case SMC_CEIL: case SMC_ROUND: case SMC_TRUNC: return 1;
    case SMC_SELECT: return 3;
    default: return 2;
  }
}

/* A step with one operand; 0 where it has no value. */
static inline int smc_convert(uint32_t action, int64_t a, int64_t *value) {
  double x = smc_real(a);
  switch (action) {
    case SMC_TO_I32:
      if (!(x > -2147483649.0 && x < 2147483648.0)) return 0;
      *value = (int64_t)x;
      return 1;
    case SMC_TO_I64:
      if (!(x >= -9223372036854775808.0 && x < 9223372036854775808.0)) return 0;
      *value = (int64_t)x;
      return 1;
    case SMC_TO_REAL: *value = smc_bits((double)a); return 1;
    case SMC_SINGLE: *value = smc_bits((double)(float)x); return 1;
    case SMC_NEG: *value = smc_bits(-x); return 1;
    case SMC_ABS: *value = smc_bits(x < 0 ? -x : x); return 1;
    case SMC_FLOOR: *value = smc_bits(smc_floor(x)); return 1;
    case SMC_CEIL: *value = smc_bits(-smc_floor(-x)); return 1;
    case SMC_ROUND: *value = smc_bits(smc_round(x)); return 1;
    case SMC_TRUNC: *value = smc_bits(x < 0 ? -smc_floor(-x) : smc_floor(x)); return 1;
    default: return 0;
  }
}

static inline int smc_combine(uint32_t action, int64_t a, int64_t b, int64_t *value);

/* One step with two operands that no sum and product says; 0 where it has no value. */
static inline int smc_combine_formula(uint32_t action, int64_t a, int64_t b, int64_t *value) {
  double x = smc_real(a), y = smc_real(b);
  switch (action) {
    case SMC_LESS: *value = x < y; return 1;
    case SMC_LESS_EQUAL: *value = x <= y; return 1;
    case SMC_EQUAL: *value = x == y; return 1;
    case SMC_AND: *value = a & b; return 1;
    case SMC_OR: *value = a | b; return 1;
    case SMC_XOR: *value = a ^ b; return 1;
    case SMC_SHL:
    case SMC_POW:
      if (b < 0 || b > 63) return 0;
      for (*value = action == SMC_SHL ? a : 1; b > 0; b--)
        if (!smc_combine(SMC_MUL, *value, action == SMC_SHL ? 2 : a, value)) return 0;
      return 1;
    case SMC_SHR:
      if (b < 0 || b > 63) return 0;
      *value = a < 0 ? ~(int64_t)(~(uint64_t)a >> b) : a >> b;
      return 1;
    case SMC_QUOTIENT:
      if (b == 0 || (b == -1 && a == INT64_MIN)) return 0;
      *value = a / b - (a % b != 0 && (a % b < 0) != (b < 0));
      return 1;
    case SMC_ADD_REAL: *value = smc_bits(x + y); return 1;
    case SMC_SUB_REAL: *value = smc_bits(x - y); return 1;
    case SMC_MUL_REAL: *value = smc_bits(x * y); return 1;
    case SMC_DIV_REAL: *value = smc_bits(x / y); return 1;
    case SMC_MIN_REAL: *value = x < y || x != x ? a : b; return 1;
    case SMC_MAX_REAL: *value = x > y || x != x ? a : b; return 1;
    default: return 0;
  }
}

/* One step with two operands; 0 when the result does not fit 64 bits or b does not divide. */
static inline int smc_combine(uint32_t action, int64_t a, int64_t b, int64_t *value) {
  switch (action) {
    case SMC_ADD:
      if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b) return 0;
      *value = a + b;
      return 1;
    case SMC_MUL:
      if (a != 0 && b != 0) {
        if ((a == -1 && b == INT64_MIN) || (b == -1 && a == INT64_MIN)) return 0;
        if (a > 0 ? (b > 0 ? a > INT64_MAX / b : b < INT64_MIN / a)
                  : (b > 0 ? a < INT64_MIN / b : b < INT64_MAX / a))
          return 0;
      }
      *value = a * b;
      return 1;
    case SMC_FLOOR_DIV:
      if (b < 1) return 0;
      *value = a / b - (a % b < 0);
      return 1;
    case SMC_MAX:
      *value = a > b ? a : b;
      return 1;
    default: return smc_combine_formula(action, a, b, value);
  }
}

/* The value of an expression; dims has one value per symbolic dimension of the signature. */
static inline int smc_eval(const struct smc_model *model, struct smc_array expression, const int64_t *dims,
                           int64_t *value) {
  const struct smc_step *step = (const struct smc_step *)smc_at(model, expression);
  int64_t stack[SMC_MAX_STACK];
  uint32_t i, depth = 0;
  for (i = 0; i < expression.count; i++, step++) {
    if (step->action > SMC_PUSH_SYMBOL) {
      uint32_t arity = smc_arity(step->action);
      int64_t *top;
      if (depth < arity) return SMC_BAD_DIMENSION;
      top = stack + depth - arity;
      if (arity == 3)
        top[0] = top[0] != 0 ? top[1] : top[2];
      else if (!(arity == 1 ? smc_convert(step->action, top[0], top)
                            : smc_combine(step->action, top[0], top[1], top)))
        return SMC_BAD_DIMENSION;
      depth -= arity - 1;
    } else {
      int64_t pushed = step->action == SMC_PUSH_SYMBOL ? dims[step->symbol] : step->value;
      if (depth == SMC_MAX_STACK || (step->action == SMC_PUSH_SYMBOL && pushed < 0)) return SMC_BAD_DIMENSION;
      stack[depth++] = pushed;
    }
  }
  if (depth != 1) return SMC_BAD_DIMENSION;
  *value = stack[0];
  return SMC_OK;
}

/* One extent of a shape. */
static inline int smc_extent(const struct smc_model *model, const struct smc_tensor *tensor, uint32_t axis,
                             const int64_t *dims, int64_t *extent) {
  const struct smc_array *extents = (const struct smc_array *)smc_at(model, tensor->extents);
  int status = axis < tensor->extents.count ? smc_eval(model, extents[axis], dims, extent) : SMC_BAD_DIMENSION;
  return status == SMC_OK && *extent < 0 ? (int)SMC_BAD_DIMENSION : status;
}

/* The number of elements. */
static inline int smc_element_count(const struct smc_model *model, const struct smc_tensor *tensor,
                                    const int64_t *dims, int64_t *count) {
  uint32_t axis;
  int64_t product = 1;
  for (axis = 0; axis < tensor->extents.count; axis++) {
    int64_t extent;
    int status = smc_extent(model, tensor, axis, dims, &extent);
    if (status != SMC_OK) return status;
    if (!smc_combine(SMC_MUL, product, extent, &product)) return SMC_BAD_DIMENSION;
  }
  *count = product;
  return SMC_OK;
}

/* The number of elements that a tensor's memory has room for: more than its shape has where data decide about that. */
static inline int smc_room(const struct smc_model *model, const struct smc_tensor *tensor, const int64_t *dims,
                           int64_t *count) {
  return smc_eval(model, tensor->room, dims, count);
}

/* Whether a dimension is a size that data decide. The call writes it; before that, it has no value. */
static inline int smc_is_found(const struct smc_symbol *symbol) { return symbol->bound.count > 0; }

/* Whether the dimensions keep every condition; if not, broken (unless null) is set to the condition in words. */
static inline int smc_check_dims(const struct smc_model *model, const struct smc_signature *s, const int64_t *dims,
                                 const char **broken) {
  const struct smc_guard *guard = (const struct smc_guard *)smc_at(model, s->guards);
  uint32_t i;
  for (i = 0; i < s->symbols.count; i++)
    if (dims[i] < 0 && !smc_is_found(smc_symbol_at(model, s, i))) return SMC_BAD_DIMENSION;
  for (i = 0; i < s->guards.count; i++, guard++) {
    int64_t left, right;
    int status = smc_eval(model, guard->left, dims, &left);
    if (status == SMC_OK) status = smc_eval(model, guard->right, dims, &right);
    if (status != SMC_OK) return status;
    if (left != right) {
      if (broken != NULL) *broken = smc_text(model, guard->text);
      return SMC_BROKEN_GUARD;
    }
  }
  return SMC_OK;
}

/* Bytes of the workspace. */
static inline int smc_workspace_bytes(const struct smc_model *model, const struct smc_signature *s,
                                      const int64_t *dims, int64_t *bytes) {
  int status = smc_check_dims(model, s, dims, NULL);
  return status == SMC_OK ? smc_eval(model, s->workspace, dims, bytes) : status;
}

/* Takes from a tensor's shape the dimensions that it names alone (`batch`, but not `batch+1`).
 * Unknown ones are -1 in dims; a contradiction or another rank is SMC_BAD_DIMENSION. */
static inline int smc_bind_shape(const struct smc_model *model, const struct smc_tensor *tensor, const int64_t *shape,
                                 uint32_t rank, int64_t *dims) {
  const struct smc_array *extent = (const struct smc_array *)smc_at(model, tensor->extents);
  uint32_t axis;
  if (rank != tensor->extents.count) return SMC_BAD_DIMENSION;
  for (axis = 0; axis < rank; axis++) {
    const struct smc_step *step = (const struct smc_step *)smc_at(model, extent[axis]);
    if (shape[axis] < 0) return SMC_BAD_DIMENSION;
    if (extent[axis].count == 1 && step->action == SMC_PUSH_SYMBOL) {
      if (dims[step->symbol] >= 0 && dims[step->symbol] != shape[axis]) return SMC_BAD_DIMENSION;
      dims[step->symbol] = shape[axis];
    }
  }
  return SMC_OK;
}

/* ---- calls ---- */

/* Copies bytes into a member of an io struct. */
static inline void smc_set_slot(void *io, uint32_t slot, const void *value, size_t bytes) {
  size_t i;
  for (i = 0; i < bytes; i++) ((char *)io)[slot + i] = ((const char *)value)[i];
}

/* Where the pointer to a state stands in the io struct, or -1 where the signature uses none: in the slot before threads, if
 * nothing else is there. */
static inline int64_t smc_state_slot(const struct smc_model *model, const struct smc_signature *s) {
  int64_t slot = (int64_t)s->threads_slot - 8;
  uint32_t i;
  for (i = 0; i < s->inputs.count; i++)
    if ((int64_t)smc_tensor_at(model, s->inputs, i)->slot == slot) return -1;
  for (i = 0; i < s->outputs.count; i++)
    if ((int64_t)smc_tensor_at(model, s->outputs, i)->slot == slot) return -1;
  for (i = 0; i < s->symbols.count; i++)
    if ((int64_t)smc_symbol_at(model, s, i)->slot == slot) return -1;
  return slot;
}

/* As smc_call_on, on a state of the model, which signatures without one leave alone. */
static inline int smc_call_with(const struct smc_model *model, uint64_t cpu, void *state, uint32_t index,
                                const void *const *inputs, void *const *outputs, const int64_t *dims,
                                const struct smc_threads *threads, void *io, void *workspace,
                                size_t workspace_bytes) {
  const struct smc_signature *s = smc_signature_at(model, index);
  int64_t slot;
  uint32_t i;
  if (s == NULL) return SMC_NO_SUCH_SIGNATURE;
  if (io == NULL || (inputs == NULL && s->inputs.count > 0) || (outputs == NULL && s->outputs.count > 0) ||
      (dims == NULL && s->symbols.count > 0))
    return SMC_NULL_POINTER;
  for (i = 0; i < s->inputs.count; i++)
    smc_set_slot(io, smc_tensor_at(model, s->inputs, i)->slot, &inputs[i], sizeof inputs[i]);
  for (i = 0; i < s->outputs.count; i++)
    smc_set_slot(io, smc_tensor_at(model, s->outputs, i)->slot, &outputs[i], sizeof outputs[i]);
  for (i = 0; i < s->symbols.count; i++)
    smc_set_slot(io, smc_symbol_at(model, s, i)->slot, &dims[i], sizeof dims[i]);
  slot = smc_state_slot(model, s);
  if (slot >= 0) smc_set_slot(io, (uint32_t)slot, &state, sizeof state);
  smc_set_slot(io, s->threads_slot, &threads, sizeof threads);
  smc_set_slot(io, s->cpu_slot, &cpu, sizeof cpu);
  return model->invoke(index, io, workspace, workspace_bytes);
}

/* As smc_call, by the code of a CPU level: its number, or 0 for the best that the processor has. */
static inline int smc_call_on(const struct smc_model *model, uint64_t cpu, uint32_t index, const void *const *inputs,
                              void *const *outputs, const int64_t *dims, const struct smc_threads *threads, void *io,
                              void *workspace, size_t workspace_bytes) {
  return smc_call_with(model, cpu, NULL, index, inputs, outputs, dims, threads, io, workspace, workspace_bytes);
}

/* The value of a dimension in an io struct, after the call: a size that data decided, say. */
static inline int64_t smc_found(const struct smc_symbol *symbol, const void *io) {
  int64_t value;
  size_t i;
  for (i = 0; i < sizeof value; i++) ((char *)&value)[i] = ((const char *)io)[symbol->slot + i];
  return value;
}

/* Runs signature number index. inputs, outputs and dims are in the signature's order (each may be null if it has none);
 * threads may be null; io is memory for the io struct, of io_bytes, aligned to 8 bytes. */
static inline int smc_call(const struct smc_model *model, uint32_t index, const void *const *inputs,
                           void *const *outputs, const int64_t *dims, const struct smc_threads *threads, void *io,
                           void *workspace, size_t workspace_bytes) {
  return smc_call_on(model, 0, index, inputs, outputs, dims, threads, io, workspace, workspace_bytes);
}

#ifdef __cplusplus
}
#endif

#endif
