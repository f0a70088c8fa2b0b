"""Regular expressions: what RE2's syntax means, on texts of every kind, what is no UTF-8 among them."""

from .spec import case, const, rand, tensor
from .text import ODD, strings

TEXTS = [
    *ODD, b"aab", b"abab", b"ab\ncd", b"ab\ncd\n", b"\n", b"a\n", b"hello world", b"Hello, World!", b"a_1 b-2", b"user@example.com",
    b"x=1;y=22", b"\xe4\xb8", b"\xe0\x80\x80", b"\xf4\xbf\x80\x80", b"\xf0\x80\x80\x80x", b"\xc2\xa0", b"ab" * 40 + b"c",
    "K\u212a k".encode(), "stra\u00dfe \u017f\u017fs S".encode(), "\u039f\u0394\u03a5\u03a3\u03a3\u03b5\u03cd\u03c2 \u03c3".encode(),
    "\u0661\u0662\u0663 123".encode(), "caf\u00e9 e\u0301".encode(), "\u00a1ol\u00e9! \u2013 \u201cq\u201d".encode(),
    "<br /><br <br />x".encode(), b"It's 3.14% of $5 (ok) [x] {y} ~^`|\\", b"2026-11-29", b"aaaa", b"b", b"AbC", b"0", b"\x7f", b"\v",
]  # fmt: skip

PATTERNS = [
    "", "a", "ab", "a|b", "a*", "a*?", "a+", "(?:ab)*", "a?b", "(a|b)*", "(|a)*", "(|a)+", "(a*)*", "(a*)+", "(a|b*)*", "(?:a|ab)(?:c|bcd)*",
    ".", ".*", "(?s).*", "(?s).", "[^a]", "[^a]*", "[^\\x00-\\x7F]", "[^\\x00-\\x7F]+", "\\C", "\\C*", "(?:\\C\\C)*",
    "\\s", "\\s+", "\\S+", "\\d+", "\\D+", "\\w+", "\\W+", "\\b", "\\B", "\\bab\\b", "\\b\\w", "^", "$", "^a", "a$", "(?m)^", "(?m)$", "(?m)^\\w",
    "\\A", "\\z", "\\Aab", "[a-c]+", "[]a]", "[^]a]", "[a-]", "[-a]", "[a\\-c]", "[\\d_]+", "[^\\w\\s]", "[[:alpha:]]+", "[[:^alpha:]]+",
    "[[:punct:]]", "[[:space:][:digit:]]", "[[:word:]]+", "\\pL", "\\pL+", "\\p{Lu}", "\\P{L}+", "\\p{^L}", "\\pN+", "\\p{Greek}+", "[\\p{P}$+<=>^`|~]",
    "\\p{Mn}", "\\p{C}", "\\p{Any}", "(?i)k", "(?i)K+", "(?i)s", "(?i)\u00df", "(?i)\u03c3+", "(?i)ABC", "(?i)[a-c]+", "(?i)\\w+", "(?i)\\W+", "(?i)[^k]",
    "(?i:a)b", "a(?i)b", "(?i)a(?-i)b", "(?U)a+", "(?U)a+?", "(?U)a*b", "a{2}", "a{2,}", "a{1,3}", "a{1,3}?", "a{0}", "(a{0})b", "a{,3}", "a{", "(?:a{2}){2}",
    "\\Qa.b\\E", "\\Q<br />", "\\x41", "\\x{41}", "\\x{20ac}", "\\x{1F44D}", "\\101", "\\0", "\\n", "\\t\\v\\f\\r", "\\a", "\\.", "\\_", "\u00fc", "[\u00e0-\u00ff]", "[^\u00fc]",
    "\\x{d800}", "[\\x{d000}-\\x{e000}]", "[\\x{80}-\\x{10ffff}]", "[\\x{81}-\\x{10ffff}]", "<br />", "<[^>]+>", "<.*?>", "(\\w+)@(\\w+)\\.com",
    "(?P<year>\\d{4})-(?P<month>\\d\\d)", "https?://\\S+", "[^a-z0-9]", "[^a-zA-Z0-9 ]", "(?:ab)+c", "(a+)(b+)", "(a)|(b)", "(a|ab)(c|bcd)?", "x*", "b*",
    "(?:a+)+", "(?:a*?)*?", "(?:^)*", "(?:\\b)+a", "(a?)(ab)?", "(.)(.)", "(.*)(b)", "()", "()a", "\\$\\d+", "['\"`]",
    "[!\"#$%&()\\*\\+,-\\./:;<=>?@\\[\\\\\\]^_`{|}~\\']", "\\[.*?\\]|\\(.*?\\)", "(?i)<br\\s*/?>", "[[:ascii:]]", "[\\pN&&a]", "[[:alpha:]-z]",
]  # fmt: skip

REFUSED = ["a**", "a{2}{3}", "*a", "(", ")", "(a", "a)", "[a", "[b-a]", "a\\", "\\8", "\\1", "\\Z", "a(?=b)", "(?<!a)b", "a{1001}", "(a{32}){32}", "[[:foo:]]",
           "\\p{greek}", "\\p{Cn}", "\\pX", "\\x{110000}", "\\xg1", "(?P<>a)", "(?P<n", "(?P=n)", "(?z)a", "(?i", "(?-)", "[\\b]", "\\y", "|*", "(?<n>a)", "a++"]  # fmt: skip


def full_match():
    texts = strings(TEXTS)
    for pattern in PATTERNS:
        case("StaticRegexFullMatch", f"all texts `{pattern}`", texts, pattern=pattern)
    for pattern in REFUSED:
        case("StaticRegexFullMatch", f"refused `{pattern}`", strings([b"a"]), pattern=pattern, fails=True)
    # What later versions of Unicode than RE2's have changed.
    later = strings([chr(c).encode() for c in (0x390, 0x1FD3, 0x3B0, 0x1FE3, 0xFB05, 0xFB06, 0x1171E, 0x300, 0x903)])
    for pattern in ("(?i)\\x{390}", "(?i)\\x{1fe3}", "(?i)[\\x{fb05}k]", "\\p{Mn}", "\\p{Mc}", "\\PM"):
        case("StaticRegexFullMatch", f"later `{pattern}`", later, pattern=pattern)
    case("StaticRegexFullMatch", "scalar", tensor(b"aab", "str"), pattern="a+b")
    case("StaticRegexFullMatch", "empty", rand(0, 3, dtype="str"), pattern="a+b")
    case("StaticRegexFullMatch", "rank 2", texts[:12].reshape(3, 4), pattern=".*a.*")
    for pattern in (b"a*b+", b"", "\u00fc|\u20ac".encode()):
        case("RegexFullMatch", f"all texts `{pattern.decode()}`", texts, const(pattern, "str"))
    case("RegexFullMatch", "scalar", tensor(b"aab", "str"), const(b"a+b", "str"))
    case("RegexFullMatch", "empty", rand(0, 3, dtype="str"), const(b"a+b", "str"))
    case("RegexFullMatch", "no UTF-8", texts, const(b"\xff", "str"), fails=True)


def replace():
    texts = strings(TEXTS)
    for n, pattern in enumerate(PATTERNS):
        case("StaticRegexReplace", f"all texts `{pattern}`", texts, pattern=pattern, rewrite=("-", "<\\0>")[n % 2])
        if n % 4 == 0:
            case("StaticRegexReplace", f"first of all texts `{pattern}`", texts, pattern=pattern, rewrite="[\\0]", replace_global=False)
    for pattern, rewrite in (
        ("(\\w+)@(\\w+)\\.com", "\\2 at \\1"), ("(?P<year>\\d{4})-(?P<month>\\d\\d)", "\\2/\\1"), ("(a)|(b)", "<\\1,\\2>"), ("(.)(.)", "\\2\\1"),
        ("(a|ab)(c|bcd)?", "<\\1|\\2>"), ("(a*)(b?)", "(\\2\\1)"), ("(?:(a)|b)*", "<\\1>"), ("(a*)*", "<\\1>"), ("(a|b*)*", "<\\1>"), ("(a{0})b", "<\\1>"),
        ("((a)(b))", "\\3\\2\\1"), ("(.*?)b", "\\1B"), ("(\\pL)", "\\1\\1"), ("(?i)(k)", "<\\1>"), ("(\\b)(\\w)", "\\1_\\2"), ("(a)(b)(c)?(d)?(e)?(f)?(g)?(h)?( )?", "\\9\\2\\1"),
    ):  # fmt: skip
        case("StaticRegexReplace", f"groups `{pattern}` by `{rewrite}`", texts, pattern=pattern, rewrite=rewrite)
        case("StaticRegexReplace", f"first groups `{pattern}` by `{rewrite}`", texts, pattern=pattern, rewrite=rewrite, replace_global=False)
    for rewrite in ("", "\\\\", "x\\\\1", "$0", "x\\y", "\\", "\\1", "\\0\\", "\\0\\0-\\0", "\u20ac", "a long text that replaces"):
        for replace_global in (True, False):
            case("StaticRegexReplace", f"rewrite `{rewrite}` {replace_global}", texts, pattern="a+", rewrite=rewrite, replace_global=replace_global)
    for pattern in REFUSED[:8]:
        case("StaticRegexReplace", f"refused `{pattern}`", strings([b"a"]), pattern=pattern, rewrite="-", fails=True)
    case("StaticRegexReplace", "scalar", tensor(b"aab", "str"), pattern="a", rewrite="bb")
    case("StaticRegexReplace", "empty", rand(0, 3, dtype="str"), pattern="a", rewrite="bb")
    case("StaticRegexReplace", "rank 2", texts[:12].reshape(3, 4), pattern="[aeiou]", rewrite="")
    case("StaticRegexReplace", "long", strings([b"ab" * 300, "\u00fc".encode() * 200 + b"a" * 300, b"b" * 999]), pattern="a|\u00fc+$", rewrite="<\\0>")
    for replace_global in (True, False):
        case("RegexReplace", f"all texts {replace_global}", texts, const(b"[^a-z]+", "str"), const(b"\\0.", "str"), replace_global=replace_global)
    case("RegexReplace", "a rewrite that is no UTF-8", texts, const(b"a", "str"), const(b"\xff", "str"))
    case("RegexReplace", "scalar", tensor(b"aab", "str"), const(b"a+b", "str"), const(b"", "str"))
    case("RegexReplace", "empty", rand(0, 3, dtype="str"), const(b"a+b", "str"), const(b"", "str"))
    case("RegexReplace", "no UTF-8", texts, const(b"\xff", "str"), const(b"", "str"), fails=True)


full_match()
replace()
