//! Sets of code points, by RE2's names for them, and their bytes in UTF-8.

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind};

/// The greatest code point.
pub const LAST: u32 = 0x10_ffff;

/// Code points, surrogates included, in ascending ranges that do not touch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points(Vec<(u32, u32)>);

/// General categories of Unicode, as RE2 names them; what is not assigned has no name.
const CATEGORIES: &[&str] = &[
    "C", "Cc", "Cf", "Co", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No", "P", "Pc",
    "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs",
];

/// Scripts of Unicode 15.
const SCRIPTS: &str = "Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali \
    Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee \
    Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan \
    Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi \
    Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi \
    Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki \
    Khudawadi Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean \
    Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian \
    Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki \
    Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur \
    Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan \
    Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac \
    Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto \
    Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square";

/// Code points that simple case folding takes for one in pairs since Unicode 15.1; RE2 tells them apart.
const FOLDED_LATER: [u32; 6] = [0x390, 0x1fd3, 0x3b0, 0x1fe3, 0xfb05, 0xfb06];
/// A code point that was a nonspacing mark in Unicode 15 and is a spacing one since.
const MOVED: (u32, u32) = (0x1171e, 0x1171e);

const SURROGATES: (u32, u32) = (0xd800, 0xdfff);

impl Points {
    pub fn new(ranges: impl IntoIterator<Item = (u32, u32)>) -> Points {
        let mut ranges: Vec<(u32, u32)> = ranges.into_iter().collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = vec![];
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        Points(merged)
    }
    pub fn all() -> Points {
        Points(vec![(0, LAST)])
    }
    /// The set that RE2 calls so after `\p`; none where it knows no such name.
    pub fn named(name: &str) -> Option<Points> {
        match name {
            "Any" => Some(Points::all()),
            "Cs" => Some(Points(vec![SURROGATES])),
            // Of what the standard counts here, RE2 leaves out what is not assigned.
            "C" => ["Cc", "Cf", "Cs", "Co"].iter().map(|part| Points::named(part)).sum(),
            "Mn" => Some([unicode("gc=Mn"), Points(vec![MOVED])].into_iter().sum()),
            "Mc" => {
                let others = [unicode("gc=Mc").negated(), Points(vec![MOVED])];
                Some(others.into_iter().sum::<Points>().negated())
            }
            _ if CATEGORIES.contains(&name) => Some(unicode(&format!("gc={name}"))),
            _ if SCRIPTS.split(' ').any(|script| script == name) => Some(unicode(&format!("sc={name}"))),
            _ => None,
        }
    }
    /// The set of the name in `[:name:]`, all of ASCII.
    pub fn posix(name: &str) -> Option<Points> {
        let ranges: &[(char, char)] = match name {
            "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
            "alpha" => &[('A', 'Z'), ('a', 'z')],
            "ascii" => &[('\0', '\x7f')],
            "blank" => &[('\t', '\t'), (' ', ' ')],
            "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
            "digit" => &[('0', '9')],
            "graph" => &[('!', '~')],
            "lower" => &[('a', 'z')],
            "print" => &[(' ', '~')],
            "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
            "space" => &[('\t', '\r'), (' ', ' ')],
            "upper" => &[('A', 'Z')],
            "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
            _ => return None,
        };
        Some(Points::new(ranges.iter().map(|&(low, high)| (low.into(), high.into()))))
    }
    /// The set of `\d`, `\s` or `\w`, all of ASCII.
    pub fn perl(letter: u8) -> Option<Points> {
        match letter {
            b'd' => Points::posix("digit"),
            b'w' => Points::posix("word"),
            b's' => Some(Points::new([b'\t', b'\n', b'\x0c', b'\r', b' '].map(|c| (c.into(), c.into())))),
            _ => None,
        }
    }
    pub fn extend(&mut self, other: &Points) {
        *self = Points::new(self.0.iter().chain(&other.0).copied());
    }
    #[must_use]
    pub fn negated(&self) -> Points {
        let starts = std::iter::once(0).chain(self.0.iter().map(|range| range.1 + 1));
        let ends = self.0.iter().map(|range| range.0).chain([LAST + 1]);
        Points(starts.zip(ends).filter(|(start, end)| start < end).map(|(start, end)| (start, end - 1)).collect())
    }
    /// With all that differs by simple case folding only.
    #[must_use]
    pub fn folded(&self) -> Points {
        let mut class = self.without_surrogates();
        class.intersect(&assigned());
        class.case_fold_simple();
        class.intersect(&assigned());
        let later = FOLDED_LATER.into_iter().filter_map(char::from_u32).map(|c| ClassUnicodeRange::new(c, c));
        class.difference(&ClassUnicode::new(later));
        let mut all = self.clone();
        all.extend(&Points::of(&class));
        all
    }
    pub fn contains(&self, point: u32) -> bool {
        self.0.iter().any(|&(low, high)| (low..=high).contains(&point))
    }
    fn without_surrogates(&self) -> ClassUnicode {
        let chars = self
            .0
            .iter()
            .flat_map(|&(low, high)| [(low, high.min(SURROGATES.0 - 1)), (low.max(SURROGATES.1 + 1), high)]);
        let range = |(low, high)| Some(ClassUnicodeRange::new(char::from_u32(low)?, char::from_u32(high)?));
        ClassUnicode::new(chars.filter(|(low, high)| low <= high).filter_map(range))
    }
    fn of(class: &ClassUnicode) -> Points {
        Points::new(class.iter().map(|range| (range.start().into(), range.end().into())))
    }

    /// What matches one of these in UTF-8. Everything beyond ASCII, where it is one whole range, matches more than that, as in
    /// RE2: a byte in front that says how many follow, and so many.
    pub fn to_hir(&self) -> Hir {
        let mut sequences = vec![];
        for &(low, high) in &self.0 {
            if low < 0x80 {
                sequences.push(vec![(low as u8, high.min(0x7f) as u8)]);
            }
            match (low.max(0x80), high) {
                (low, high) if low > high => {}
                (0x80, LAST) => {
                    let fronts = [(0xc2, 0xdf), (0xe0, 0xef), (0xf0, 0xf4)];
                    let inner = |n| std::iter::repeat_n((0x80, 0xbf), n);
                    sequences.extend((1..).zip(fronts).map(|(n, front)| [front].into_iter().chain(inner(n)).collect()));
                }
                (low, high) => encode(low, high, &mut sequences),
            }
        }
        tree(&sequences.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

impl std::iter::Sum<Points> for Points {
    fn sum<I: Iterator<Item = Points>>(all: I) -> Points {
        Points::new(all.flat_map(|points| points.0))
    }
}

/// A property of Unicode as of version 15, which is RE2's.
fn unicode(property: &str) -> Points {
    let mut class = class(property);
    class.intersect(&assigned());
    Points::of(&class)
}

fn assigned() -> ClassUnicode {
    class("age=15.0")
}

fn class(property: &str) -> ClassUnicode {
    let hir = regex_syntax::parse(&format!("\\p{{{property}}}")).expect("the property is known");
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => class,
        HirKind::Literal(one) => {
            let one = std::str::from_utf8(&one.0).ok().and_then(|text| text.chars().next()).expect("one character");
            ClassUnicode::new([ClassUnicodeRange::new(one, one)])
        }
        other => unreachable!("{other:?} is no class"),
    }
}

type Bytes = (u8, u8);

/// Code points beyond ASCII as ranges of bytes that follow each other, in ascending order.
fn encode(low: u32, high: u32, sequences: &mut Vec<Vec<Bytes>>) {
    // Ranges end where the number of bytes grows, and where not all values of the last bytes are in them.
    for last in [0x7ff, 0xffff] {
        if low <= last && last < high {
            encode(low, last, sequences);
            return encode(last + 1, high, sequences);
        }
    }
    for inner in 1..4 {
        let mask = (1u32 << (6 * inner)) - 1;
        if low & !mask == high & !mask {
            break;
        }
        if low & mask != 0 {
            encode(low, low | mask, sequences);
            return encode((low | mask) + 1, high, sequences);
        }
        if high & mask != mask {
            encode(low, (high & !mask) - 1, sequences);
            return encode(high & !mask, high, sequences);
        }
    }
    sequences.push(bytes(low).into_iter().zip(bytes(high)).collect());
}

/// The bytes of a code point beyond ASCII; a surrogate has three.
fn bytes(point: u32) -> Vec<u8> {
    let inner = match point {
        ..0x800 => 1,
        0x800..0x1_0000 => 2,
        _ => 3,
    };
    let front = [0xc0, 0xe0, 0xf0][inner - 1] | (point >> (6 * inner)) as u8;
    let rest = (0..inner).rev().map(|n| 0x80 | (point >> (6 * n) & 0x3f) as u8);
    std::iter::once(front).chain(rest).collect()
}

/// What matches one of the sequences; those that begin alike, alone.
fn tree(sequences: &[&[Bytes]]) -> Hir {
    let mut parts = vec![];
    let mut single = vec![];
    for group in sequences.chunk_by(|a, b| a[0] == b[0] && a.len() > 1 && b.len() > 1) {
        let (low, high) = group[0][0];
        let front = ClassBytesRange::new(low, high);
        if group[0].len() == 1 {
            single.push(front);
            continue;
        }
        let front = Hir::class(Class::Bytes(ClassBytes::new([front])));
        parts.push(Hir::concat(vec![front, tree(&group.iter().map(|sequence| &sequence[1..]).collect::<Vec<_>>())]));
    }
    if !single.is_empty() {
        parts.insert(0, Hir::class(Class::Bytes(ClassBytes::new(single))));
    }
    if parts.is_empty() { Hir::fail() } else { Hir::alternation(parts) }
}
