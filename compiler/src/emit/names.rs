//! Names that mean something else to C or C++: no member, parameter or function of a header is called so.
//!
//! The list is that of the standards, C99 to C23 and C++11 to C++23: keywords, and of the headers every macro that is more
//! than a function's and every type. What the standards reserve by its form (C23, 7.33) stands here as that form. Names of
//! functions need not be here: members and parameters hide them, and functions start with the model's name.

/// Whether `name` is a keyword, or a macro or type of a standard header.
pub fn is_reserved(name: &str) -> bool {
    [KEYWORDS, MACROS, TYPES, OTHERS].iter().any(|list| list.split_whitespace().any(|word| word == name))
        || has_reserved_form(name)
}

/// Whether the standards keep names of this form for macros and types of some header.
fn has_reserved_form(name: &str) -> bool {
    let behind = |prefix: &str| name.strip_prefix(prefix).and_then(|rest| rest.bytes().next());
    let upper = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let constant =
        UPPER_CASE.iter().any(|p| upper && behind(p).is_some_and(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
    // inttypes.h: PRId64, SCNxMAX.
    let format = ["PRI", "SCN"].iter().any(|p| behind(p).is_some_and(|b| b.is_ascii_lowercase() || b == b'X'));
    // math.h: HUGE_VALF, and those of other widths.
    // limits.h of POSIX: PATH_MAX.
    constant
        || format
        || (upper && name.ends_with("_MAX"))
        || name.starts_with("HUGE_VAL")
        || is_limit(name)
        || is_integer_type(name)
}

/// What upper-case constants start with, and a letter or a digit comes behind it.
const UPPER_CASE: &[&str] = &[
    "ATOMIC_", "CLOCKS_", "DBL_", "DEC32_", "DEC64_", "DEC128_", "DEC_", "E", "FE_", "FLT_", "FP_", "LC_", "LDBL_",
    "MATH_", "M_", "SEEK_", "SIG", "SIG_", "TIME_",
];

/// stdint.h: int8_t, uint_fast16_t, intptr_t.
fn is_integer_type(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("int").or_else(|| name.strip_prefix("uint")) else { return false };
    let Some(kind) = rest.strip_suffix("_t") else { return false };
    let width = kind.strip_prefix("_least").or_else(|| kind.strip_prefix("_fast")).unwrap_or(kind);
    kind == "max" || kind == "ptr" || (!width.is_empty() && width.bytes().all(|b| b.is_ascii_digit()))
}

/// Limits and constants of integer types: INT64_MAX, UINT_FAST8_WIDTH, CHAR_BIT, UINT32_C.
fn is_limit(name: &str) -> bool {
    let kinds =
        ["INT", "UINT", "CHAR", "SCHAR", "UCHAR", "SHRT", "USHRT", "LONG", "ULONG", "LLONG", "ULLONG", "WCHAR", "WINT"];
    let ends = ["_MAX", "_MIN", "_WIDTH", "_BIT", "_C"];
    let Some(kind) = ends.iter().find_map(|end| name.strip_suffix(end)) else { return false };
    let integer = kind.strip_prefix("U").unwrap_or(kind).strip_prefix("INT").is_some_and(|rest| {
        let rest = rest.trim_start_matches('_').trim_start_matches("LEAST").trim_start_matches("FAST");
        rest.bytes().all(|b| b.is_ascii_digit()) || rest == "MAX" || rest == "PTR"
    });
    integer || kinds.contains(&kind) || kind == "SIG_ATOMIC"
}

const KEYWORDS: &str = "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class \
    co_await co_return co_yield compl concept const const_cast consteval constexpr constinit continue \
    contract_assert decltype default delete do double dynamic_cast else enum explicit export extern false float for \
    friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private \
    protected public register reinterpret_cast requires restrict return short signed sizeof static static_assert \
    static_cast struct switch template this thread_local throw true try typedef typeid typename typeof typeof_unqual \
    union unsigned using virtual void volatile wchar_t while xor xor_eq";

/// Macros of the standard headers that stand for something without parentheses, and `assert` and its like, with which
/// nothing else can be called so. `HUGE` and the names of errors were in math.h.
const MACROS: &str = "BOOL_MAX BOOL_WIDTH BUFSIZ CMPLX CMPLXF CMPLXL DECIMAL_DIG DOMAIN EOF EXIT_FAILURE EXIT_SUCCESS FILENAME_MAX \
    FOPEN_MAX HUGE I INFINITY MAXFLOAT MB_CUR_MAX MB_LEN_MAX NAN NDEBUG NULL ONCE_FLAG_INIT OVERFLOW PLOSS \
    PTRDIFF_MAX PTRDIFF_MIN PTRDIFF_WIDTH L_tmpnam RAND_MAX RSIZE_MAX SING SIZE_MAX SIZE_WIDTH SNAN SNANF SNANL SSIZE_MAX \
    TLOSS TMP_MAX TSS_DTOR_ITERATIONS UNDERFLOW WEOF assert complex errno imaginary math_errhandling noreturn \
    offsetof setjmp stderr stdin stdout unreachable";

/// Types of the standard headers, and those of POSIX that they bring along.
const TYPES: &str = "FILE atomic_bool atomic_char atomic_flag atomic_int atomic_llong atomic_long atomic_schar atomic_short \
    atomic_uchar atomic_uint atomic_ullong atomic_ulong atomic_ushort clock_t cnd_t constraint_handler_t div_t \
    double_t errno_t fenv_t fexcept_t float_t fpos_t imaxdiv_t jmp_buf lconv ldiv_t lldiv_t max_align_t mbstate_t \
    memory_order mtx_t nullptr_t off_t once_flag pid_t ptrdiff_t rsize_t sig_atomic_t sigjmp_buf size_t ssize_t \
    thrd_start_t thrd_t time_t timespec tm tss_dtor_t tss_t va_list wctrans_t wctype_t wint_t";

/// What compilers define unless they are told to be strict, and macros of headers that most programs for POSIX or Windows
/// include.
const OTHERS: &str = "BIG_ENDIAN BOOL BYTE BYTE_ORDER CALLBACK CHAR CONST DELETE DWORD ERROR FALSE HANDLE IGNORE IN INT LITTLE_ENDIAN \
    LONG NAME_MAX OPTIONAL OUT PATH_MAX PI PIPE_BUF SHORT STRICT TRUE VOID WINAPI WORD cdecl far huge i386 interface \
    linux major max min minor mips near pascal small sparc sun unix vax";

#[test]
fn names_of_the_standards_are_known_and_others_are_free() {
    let reserved = "int class co_await INT64_MAX SIZE_MAX UINT_LEAST8_MAX INT_FAST16_WIDTH INTMAX_C CHAR_BIT int64_t uint_fast8_t \
        intptr_t NULL I errno EDOM E2BIG SIGINT SIG_DFL PRId64 SCNxMAX FE_ALL_EXCEPT FLT_EPSILON HUGE_VALF LC_ALL NAN \
        INFINITY FILE time_t M_PI min near";
    let free = "x input inputs Inputs E e h_t c_t INTENT LOG TIME time log exp index int8 PRIOR i \
        Max MAX x_t state_t PRICE";
    let wrong = |names: &str, expected| names.split_whitespace().find(|n| is_reserved(n) != expected).map(String::from);
    assert_eq!(wrong(reserved, true), None);
    assert_eq!(wrong(free, false), None);
}
