//! The syntax of RE2: what a pattern means, for any engine that works on bytes.
//!
//! Patterns and texts are UTF-8; where a text is not, a class matches the bytes of its code points and nothing else. `^` and `$`
//! are the ends of the text, unless `(?m)` says lines.

use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};

use super::{
    super::super::Infer,
    points::{LAST, Points},
};

/// The most repetitions, of one operator and of all that are in each other.
const REPETITIONS: u32 = 1000;
/// The most groups that are in each other; RE2 has no bound.
const DEPTH: usize = 200;

/// A pattern as read.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub hir: Hir,
    /// The number of groups that capture.
    pub groups: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Flags {
    fold: bool,
    lines: bool,
    dot_all: bool,
    lazy: bool,
}

/// Something that an operator may repeat.
struct Item {
    hir: Hir,
    /// The operator, `*`, `+` or `?`, where it is one that was repeated, and the flags at it.
    unary: Option<(u8, Flags)>,
    /// How many copies counted repetitions make of what is in it.
    copies: u32,
}

/// A group that is open: what comes before the last `|`, and what is behind it.
struct Open {
    /// The number of the group, where it captures.
    capture: Option<u32>,
    /// What is in force behind the group.
    flags: Flags,
    before: Vec<Item>,
    items: Vec<Item>,
}

impl Open {
    fn new(capture: Option<u32>, flags: Flags) -> Open {
        Open { capture, flags, before: vec![], items: vec![] }
    }
    /// Ends an alternative.
    fn end(&mut self) {
        let items = std::mem::take(&mut self.items);
        self.before.push(joined(items, Hir::concat));
    }
}

fn joined(mut items: Vec<Item>, join: fn(Vec<Hir>) -> Hir) -> Item {
    if items.len() == 1 {
        return items.swap_remove(0);
    }
    let copies = items.iter().map(|item| item.copies).max().unwrap_or(1);
    Item { hir: join(items.into_iter().map(|item| item.hir).collect()), unary: None, copies }
}

impl From<Hir> for Item {
    fn from(hir: Hir) -> Item {
        Item { hir, unary: None, copies: 1 }
    }
}

struct Parser<'p> {
    rest: &'p str,
    flags: Flags,
    groups: u32,
    open: Vec<Open>,
}

/// What a pattern means, or what is wrong with it.
pub fn parse(pattern: &str) -> Infer<Parsed> {
    let flags = Flags { fold: false, lines: false, dot_all: false, lazy: false };
    let mut parser = Parser { rest: pattern, flags, groups: 0, open: vec![Open::new(None, flags)] };
    let mut repeated = false;
    while !parser.rest.is_empty() {
        repeated = parser.next(repeated)?;
    }
    let [_] = parser.open[..] else { return Err("missing )".into()) };
    let mut whole = parser.open.swap_remove(0);
    whole.end();
    Ok(Parsed { hir: joined(whole.before, Hir::alternation).hir, groups: parser.groups })
}

impl Parser<'_> {
    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        Some(next)
    }
    fn takes(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
    fn top(&mut self) -> &mut Open {
        self.open.last_mut().expect("the pattern itself is open")
    }
    fn push(&mut self, item: impl Into<Item>) {
        let item = item.into();
        self.top().items.push(item);
    }
    fn push_points(&mut self, points: &Points) {
        self.push(points.to_hir());
    }
    fn literal(&mut self, point: u32) {
        let one = Points::new([(point, point)]);
        let one = if self.flags.fold { one.folded() } else { one };
        self.push_points(&one);
    }

    /// Reads one thing. Whether it was an operator that repeats; `repeated` says so of the thing before.
    fn next(&mut self, repeated: bool) -> Infer<bool> {
        if let Some((least, most)) = self.repetition() {
            let lazy = self.laziness(repeated)?;
            self.repeat(least, most, lazy)?;
            return Ok(true);
        }
        if self.rest.starts_with('\\') {
            return self.escaped().map(|()| false);
        }
        if self.rest.starts_with("(?") {
            return self.flagged().map(|()| false);
        }
        if self.rest.starts_with('[') {
            let class = self.class()?;
            self.push_points(&class);
            return Ok(false);
        }
        let Some(next) = self.take() else { return Ok(false) };
        let look = |lines, line, text| Hir::look(if lines { line } else { text });
        match next {
            '(' => {
                self.groups += 1;
                self.open_group(Some(self.groups))?;
            }
            ')' => self.close()?,
            '|' => self.top().end(),
            '^' => self.push(look(self.flags.lines, Look::StartLF, Look::Start)),
            '$' => self.push(look(self.flags.lines, Look::EndLF, Look::End)),
            '.' => {
                let newline = Points::new([(10, 10)]);
                let points = if self.flags.dot_all { Points::all() } else { newline.negated() };
                self.push_points(&points);
            }
            '*' | '+' | '?' => {
                let lazy = self.laziness(repeated)?;
                self.unary(next as u8, lazy)?;
                return Ok(true);
            }
            other => self.literal(other.into()),
        }
        Ok(false)
    }

    // Groups.

    fn open_group(&mut self, capture: Option<u32>) -> Infer<()> {
        if self.open.len() > DEPTH {
            return Err(format!("more than {DEPTH} groups are in each other"));
        }
        let flags = self.flags;
        self.open.push(Open::new(capture, flags));
        Ok(())
    }
    fn close(&mut self) -> Infer<()> {
        let Some(mut group) = self.open.pop().filter(|_| !self.open.is_empty()) else {
            return Err("unexpected )".into());
        };
        group.end();
        self.flags = group.flags;
        let inner = joined(group.before, Hir::alternation);
        self.push(match group.capture {
            None => inner,
            Some(index) => {
                let hir = Hir::capture(Capture { index, name: None, sub: Box::new(inner.hir) });
                Item { hir, unary: None, copies: inner.copies }
            }
        });
        Ok(())
    }
    /// `(?P<name>`, `(?flags)` or `(?flags:`.
    fn flagged(&mut self) -> Infer<()> {
        let whole = self.rest;
        let bad = || format!("invalid perl operator: {}", whole.chars().take(4).collect::<String>());
        if self.takes("(?P<") {
            let (name, rest) =
                self.rest.split_once('>').ok_or_else(|| format!("invalid named capture group: {whole}"))?;
            let kinds = ["Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Mn", "Mc", "Nd", "Pc"];
            let fits = |c: char| kinds.iter().any(|kind| Points::named(kind).is_some_and(|of| of.contains(c.into())));
            if name.is_empty() || !name.chars().all(fits) {
                return Err(format!("invalid named capture group: (?P<{name}>"));
            }
            self.rest = rest;
            self.groups += 1;
            return self.open_group(Some(self.groups));
        }
        self.takes("(?");
        let (mut flags, mut on, mut seen) = (self.flags, true, true);
        loop {
            let flag = match self.take() {
                Some('i') => &mut flags.fold,
                Some('m') => &mut flags.lines,
                Some('s') => &mut flags.dot_all,
                Some('U') => &mut flags.lazy,
                Some('-') if on => {
                    (on, seen) = (false, false);
                    continue;
                }
                Some(':') if seen => {
                    self.open_group(None)?;
                    break;
                }
                Some(')') if seen => break,
                _ => return Err(bad()),
            };
            (*flag, seen) = (on, true);
        }
        self.flags = flags;
        Ok(())
    }

    // Operators that repeat.

    /// `{2}`, `{2,}` or `{2,4}`; all else is no operator.
    fn repetition(&mut self) -> Option<(u32, Option<u32>)> {
        let number = |text: &str| {
            let plain = text.bytes().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
            // What is too large for RE2's numbers is no operator either.
            text.parse::<u32>().ok().filter(|n| plain && *n < 1_000_000_000)
        };
        let (inner, rest) = self.rest.strip_prefix('{')?.split_once('}')?;
        let range = match inner.split_once(',') {
            None => number(inner).map(|n| (n, Some(n))),
            Some((least, "")) => number(least).map(|least| (least, None)),
            Some((least, most)) => number(least).zip(number(most)).map(|(least, most)| (least, Some(most))),
        }?;
        self.rest = rest;
        Some(range)
    }
    /// Whether the operator, which was just read, is followed by a `?`. Two operators do not follow each other.
    fn laziness(&mut self, repeated: bool) -> Infer<bool> {
        let lazy = self.takes("?");
        if repeated { Err("bad repetition operator".into()) } else { Ok(lazy != self.flags.lazy) }
    }
    fn argument(&mut self) -> Infer<Item> {
        self.top().items.pop().ok_or_else(|| "no argument for repetition operator".into())
    }
    fn unary(&mut self, operator: u8, lazy: bool) -> Infer<()> {
        let mut argument = self.argument()?;
        let flags = Flags { lazy, ..self.flags };
        let (least, most) = match operator {
            b'*' => (0, None),
            b'+' => (1, None),
            _ => (0, Some(1)),
        };
        let repeated = |hir, min, max| Hir::repetition(Repetition { min, max, greedy: !lazy, sub: Box::new(hir) });
        match argument.unary {
            // Of two operators of one laziness one is left: of equal ones the same, else `*`.
            Some((same, at)) if at == flags && same == operator => {}
            Some((_, at)) if at == flags => {
                let inner = match argument.hir.kind() {
                    HirKind::Repetition(inner) => (*inner.sub).clone(),
                    // A look around, which is repeated in vain.
                    _ => argument.hir,
                };
                argument.hir = repeated(inner, 0, None);
                argument.unary = Some((b'*', flags));
            }
            _ => {
                argument.hir = repeated(argument.hir, least, most);
                argument.unary = Some((operator, flags));
            }
        }
        self.push(argument);
        Ok(())
    }
    fn repeat(&mut self, least: u32, most: Option<u32>, lazy: bool) -> Infer<()> {
        let bad = || Err(format!("invalid repetition size: {{{least},{}}}", most.map_or("".into(), |n| n.to_string())));
        let greatest = most.unwrap_or(least);
        if least > REPETITIONS || greatest > REPETITIONS || greatest < least {
            return bad();
        }
        let argument = self.argument()?;
        let copies = argument.copies.saturating_mul(greatest.max(1));
        if greatest >= 2 && copies > REPETITIONS {
            return bad();
        }
        let repetition = Repetition { min: least, max: most, greedy: !lazy, sub: Box::new(argument.hir) };
        self.push(Item { hir: Hir::repetition(repetition), unary: None, copies });
        Ok(())
    }

    // Escapes and classes.

    fn escaped(&mut self) -> Infer<()> {
        let looks =
            [("\\b", Look::WordAscii), ("\\B", Look::WordAsciiNegate), ("\\A", Look::Start), ("\\z", Look::End)];
        for (text, look) in looks {
            if self.takes(text) {
                self.push(Hir::look(look));
                return Ok(());
            }
        }
        if self.takes("\\C") {
            self.push(Hir::class(Class::Bytes(ClassBytes::new([ClassBytesRange::new(0, 255)]))));
            return Ok(());
        }
        if self.takes("\\Q") {
            let (quoted, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
            quoted.chars().for_each(|c| self.literal(c.into()));
            self.rest = rest;
            return Ok(());
        }
        if let Some(points) = self.set()? {
            self.push_points(&points);
            return Ok(());
        }
        let point = self.escape()?;
        self.literal(point);
        Ok(())
    }
    /// `\d`, `\pN`, `\p{Greek}` and their negations, if one of them is next.
    fn set(&mut self) -> Infer<Option<Points>> {
        let whole = self.rest;
        let mut chars = whole.chars();
        let (Some('\\'), Some(letter)) = (chars.next(), chars.next()) else { return Ok(None) };
        let (points, negated) = match letter {
            'd' | 's' | 'w' | 'D' | 'S' | 'W' => {
                (Points::perl(letter.to_ascii_lowercase() as u8), letter.is_ascii_uppercase())
            }
            'p' | 'P' => {
                let bad = || format!("invalid character class range: {whole}");
                let first = chars.next().ok_or_else(bad)?;
                let name = match first {
                    '{' => {
                        let (name, rest) = chars.as_str().split_once('}').ok_or_else(bad)?;
                        chars = rest.chars();
                        name
                    }
                    _ => &whole[2..2 + first.len_utf8()],
                };
                let plain = name.strip_prefix('^');
                let bad = || format!("invalid character class range: \\{letter}{{{name}}}");
                let points = Points::named(plain.unwrap_or(name)).ok_or_else(bad)?;
                (Some(points), (letter == 'P') != plain.is_some())
            }
            _ => return Ok(None),
        };
        self.rest = chars.as_str();
        Ok(points.map(|points| self.chosen(&points, negated)))
    }
    fn chosen(&self, points: &Points, negated: bool) -> Points {
        let points = if self.flags.fold { points.folded() } else { points.clone() };
        if negated { points.negated() } else { points }
    }
    /// A code point behind a backslash.
    fn escape(&mut self) -> Infer<u32> {
        let whole = self.rest;
        self.takes("\\");
        let Some(next) = self.take() else { return Err("trailing \\".into()) };
        let bad = |rest: &str| Err(format!("invalid escape sequence: {}", &whole[..whole.len() - rest.len()]));
        let octal = |text: &str| text.bytes().next().is_some_and(|c| (b'0'..b'8').contains(&c));
        Ok(match next {
            'n' => 10,
            'r' => 13,
            't' => 9,
            'a' => 7,
            'f' => 12,
            'v' => 11,
            '0'..='7' if next == '0' || octal(self.rest) => {
                let mut code = next as u32 - '0' as u32;
                for _ in 0..2 {
                    if octal(self.rest) {
                        code = code * 8 + self.take().map_or(0, |c| c as u32 - '0' as u32);
                    }
                }
                code
            }
            'x' if self.takes("{") => {
                let Some((digits, rest)) = self.rest.split_once('}') else { return bad("") };
                self.rest = rest;
                let fine = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_hexdigit());
                // Leading zeros do not count.
                let digits = digits.trim_start_matches('0');
                let code = if digits.is_empty() { Some(0) } else { u32::from_str_radix(digits, 16).ok() };
                match code.filter(|&code| fine && code <= LAST) {
                    Some(code) => code,
                    None => return bad(rest),
                }
            }
            'x' => {
                let digits = [self.take(), self.take()].map(|c| c.and_then(|c| c.to_digit(16)));
                let [Some(high), Some(low)] = digits else { return bad(self.rest) };
                high * 16 + low
            }
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => other.into(),
            _ => return bad(self.rest),
        })
    }
    /// `[a-z]`.
    fn class(&mut self) -> Infer<Points> {
        let whole = self.rest;
        let missing = || format!("missing ]: {whole}");
        self.takes("[");
        let negated = self.takes("^");
        let mut all = Points::default();
        let mut first = true;
        loop {
            if self.rest.is_empty() {
                return Err(missing());
            }
            if !first && self.takes("]") {
                break;
            }
            first = false;
            if let Some((name, rest)) = self.rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]")) {
                let plain = name.strip_prefix('^');
                let points = Points::posix(plain.unwrap_or(name));
                let points = points.ok_or_else(|| format!("invalid character class range: [:{name}:]"))?;
                all.extend(&self.chosen(&points, plain.is_some()));
                self.rest = rest;
                continue;
            }
            if let Some(points) = self.set()? {
                all.extend(&points);
                continue;
            }
            let low = self.member(missing)?;
            let ranges = self.rest.starts_with('-') && self.rest.len() >= 2 && !self.rest.starts_with("-]");
            let high = if ranges {
                self.takes("-");
                self.member(missing)?
            } else {
                low
            };
            if high < low {
                return Err("invalid character class range".into());
            }
            let range = Points::new([(low, high)]);
            all.extend(&if self.flags.fold { range.folded() } else { range });
        }
        Ok(if negated { all.negated() } else { all })
    }
    fn member(&mut self, missing: impl Fn() -> String) -> Infer<u32> {
        if self.rest.starts_with('\\') {
            return self.escape();
        }
        self.take().map(u32::from).ok_or_else(missing)
    }
}
