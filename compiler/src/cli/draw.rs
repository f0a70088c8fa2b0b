//! A picture of a model: its layers from top to bottom, what they read, and bars for what they cost.

use std::fmt::Write;

use smc::{
    base::{Bindings, Dim},
    driver::Layer,
};

const ROW: usize = 44;
const TOP: usize = 84;
const BOX: usize = 130;
const BOX_WIDTH: usize = 400;
const BARS: usize = 560;
const BAR_WIDTH: f64 = 150.0;

/// The picture as SVG. Multiply-adds are those of a call in which every open extent is 1.
pub fn svg(title: &str, layers: &[Layer]) -> String {
    let height = TOP + ROW * layers.len() + 30;
    let cost = |dim: &Dim| {
        let bind: Bindings = dim.symbols().into_iter().map(|s| (s, 1)).collect();
        dim.eval(&bind).unwrap_or(0).max(0) as f64
    };
    let most = |of: &dyn Fn(&Layer) -> f64| layers.iter().map(of).fold(1.0, f64::max);
    let (most_work, most_bytes) = (most(&|l| cost(&l.multiply_adds)), most(&|l| l.bytes as f64));
    let total: f64 = layers.iter().map(|l| cost(&l.multiply_adds)).sum();
    let parameters: u64 = layers.iter().map(|l| l.parameters).sum();
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="960" height="{height}" viewBox="0 0 960 {height}" font-family="system-ui, sans-serif">
<rect width="960" height="{height}" fill="#ffffff"/>
<text x="24" y="34" font-size="20" font-weight="600" fill="#1b2733">{}</text>
<text x="24" y="58" font-size="13" fill="#5b6b7a">{} parameters, {} multiply-adds for a sample</text>
<text x="{BARS}" y="58" font-size="13" fill="#2f6fb5">multiply-adds</text>
<text x="{}" y="58" font-size="13" fill="#c7772e">bytes of weights</text>
"##,
        escape(title),
        short(parameters as f64),
        short(total),
        BARS + 200
    );
    // Writing to a string does not fail.
    for (n, layer) in layers.iter().enumerate() {
        layer.reads.iter().for_each(|&from| edge(&mut out, from, n));
    }
    for (n, layer) in layers.iter().enumerate() {
        let y = TOP + ROW * n;
        let fill = if layer.parameters > 0 { "#e8f0fa" } else { "#f4f5f7" };
        let _ = writeln!(
            out,
            r##"<rect x="{BOX}" y="{y}" width="{BOX_WIDTH}" height="32" rx="6" fill="{fill}" stroke="#9db2c7"/>
<text x="{}" y="{}" font-size="13" fill="#1b2733">{}</text>
<text x="{}" y="{}" font-size="11" fill="#5b6b7a" text-anchor="end">{}</text>"##,
            BOX + 10,
            y + 21,
            escape(&end(&layer.name, 30)),
            BOX + BOX_WIDTH - 10,
            y + 21,
            escape(&end(&layer.shape, 26))
        );
        for (x, value, most, color) in [
            (BARS, cost(&layer.multiply_adds), most_work, "#2f6fb5"),
            (BARS + 200, layer.bytes as f64, most_bytes, "#c7772e"),
        ] {
            if value > 0.0 {
                let width = (value / most * (BAR_WIDTH - 50.0)).max(1.0);
                let _ = writeln!(
                    out,
                    r##"<rect x="{x}" y="{}" width="{width:.1}" height="12" rx="2" fill="{color}"/>
<text x="{:.1}" y="{}" font-size="11" fill="#5b6b7a">{}</text>"##,
                    y + 10,
                    x as f64 + width + 6.0,
                    y + 20,
                    short(value)
                );
            }
        }
    }
    out.push_str("</svg>\n");
    out
}

/// A line to the next layer; a bow on the left to one that is further down.
fn edge(out: &mut String, from: usize, to: usize) {
    let (start, end) = (TOP + ROW * from + 32, TOP + ROW * to);
    let style = r##"fill="none" stroke="#6b8299" stroke-width="1.4""##;
    if to == from + 1 {
        let x = BOX + BOX_WIDTH / 2;
        let _ = writeln!(out, r##"<path d="M{x} {start} L{x} {end}" {style}/>"##);
        return;
    }
    let (start, end) = (start - 16, end + 16);
    let bow = BOX - (20 + 8 * to.abs_diff(from)).min(BOX - 12);
    let _ = writeln!(out, r##"<path d="M{BOX} {start} C{bow} {start} {bow} {end} {BOX} {end}" {style}/>"##);
}

/// The last characters of a text, which tell layers apart.
fn end(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most { text.into() } else { format!("..{}", text.chars().skip(count - most + 2).collect::<String>()) }
}

/// `1.2 M`.
fn short(value: f64) -> String {
    let units = [("G", 1e9), ("M", 1e6), ("k", 1e3)];
    let unit = units.into_iter().find(|(_, size)| value >= *size);
    unit.map_or(format!("{value:.0}"), |(unit, size)| format!("{:.1} {unit}", value / size))
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[test]
fn pictures_are_well_formed() {
    let layer = |name: &str, reads: &[usize]| Layer {
        name: name.into(),
        shape: "f32[batch,3]".into(),
        parameters: 5,
        bytes: 20,
        multiply_adds: "4*batch".parse().unwrap(),
        reads: reads.to_vec(),
    };
    let picture = svg("a & b", &[layer("x", &[]), layer("<dense>", &[0]), layer("add", &[0, 1])]);
    assert_eq!(picture.matches("<path").count(), 3);
    assert!(picture.contains("a &amp; b") && picture.contains("&lt;dense&gt;") && picture.ends_with("</svg>\n"));
    assert!(picture.contains("15 parameters, 12 multiply-adds"));
    assert!(!picture.contains("NaN"));
}
