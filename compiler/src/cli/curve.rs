//! A picture of training: the loss of each epoch, and of the validation behind it.

use std::fmt::Write;

use smc::driver::train::Epoch;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 480.0;
/// The axes' corner, and where they end.
const LEFT: f64 = 84.0;
const BOTTOM: f64 = HEIGHT - 60.0;
const RIGHT: f64 = WIDTH - 32.0;
const TOP: f64 = 84.0;
/// At most so many lines across, and numbers below.
const LINES: usize = 6;
const NUMBERS: usize = 12;
/// As many points are told apart by marks.
const MARKS: usize = 60;

const TRAINING: &str = "#2f6fb5";
const VALIDATION: &str = "#c7772e";

/// The picture as SVG. Epochs count from 1; a ring marks the one whose state was kept, if one was chosen.
pub fn svg(title: &str, epochs: &[Epoch], kept: Option<usize>) -> String {
    let losses = || epochs.iter().flat_map(|e| [Some(e.training.loss), e.validation.map(|v| v.loss)]).flatten();
    let (least, most) = losses().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    let (least, most) = if least <= most { (least, most) } else { (0.0, 1.0) };
    let ticks = ticks(least, most);
    let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
    let last = epochs.len().max(2) as f64;
    let x = |epoch: usize| LEFT + (epoch as f64 - 1.0) / (last - 1.0) * (RIGHT - LEFT);
    let y = |loss: f64| BOTTOM - (loss - low) / (high - low) * (BOTTOM - TOP);
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<text x="24" y="34" font-size="20" font-weight="600" fill="#1b2733">{}</text>
<text x="24" y="58" font-size="13" fill="#5b6b7a">loss</text>
<text x="{:.1}" y="{:.1}" font-size="13" fill="#5b6b7a" text-anchor="middle">epoch</text>
"##,
        super::draw::escape(title),
        (LEFT + RIGHT) / 2.0,
        HEIGHT - 16.0
    );
    // Writing to a string does not fail.
    for tick in &ticks {
        let at = y(*tick);
        let _ = writeln!(
            out,
            r##"<path d="M{LEFT} {at:.1} L{RIGHT} {at:.1}" stroke="#e3e8ee"/>
<text x="{:.1}" y="{:.1}" font-size="12" fill="#5b6b7a" text-anchor="end">{}</text>"##,
            LEFT - 8.0,
            at + 4.0,
            number(*tick, ticks[1] - ticks[0])
        );
    }
    let every = epochs.len().div_ceil(NUMBERS).max(1);
    for epoch in (1..=epochs.len()).filter(|n| every == 1 || n % every == 0) {
        let _ = writeln!(
            out,
            r##"<text x="{:.1}" y="{:.1}" font-size="12" fill="#5b6b7a" text-anchor="middle">{epoch}</text>"##,
            x(epoch),
            BOTTOM + 20.0
        );
    }
    let _ =
        writeln!(out, r##"<path d="M{LEFT} {TOP} L{LEFT} {BOTTOM} L{RIGHT} {BOTTOM}" fill="none" stroke="#9db2c7"/>"##);
    let training: Vec<_> = (1..).zip(epochs).map(|(n, e)| (x(n), y(e.training.loss))).collect();
    let validation = (1..).zip(epochs).filter_map(|(n, e)| Some((x(n), y(e.validation?.loss))));
    let validation: Vec<_> = validation.collect();
    let mut at = RIGHT - 230.0;
    for (name, points, color) in [("training", &training, TRAINING), ("validation", &validation, VALIDATION)] {
        if points.is_empty() {
            continue;
        }
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let _ = writeln!(
            out,
            r##"<path d="M{}" fill="none" stroke="{color}" stroke-width="2" stroke-linejoin="round"/>"##,
            path.join(" L")
        );
        for (x, y) in points.iter().filter(|_| points.len() <= MARKS) {
            let _ = writeln!(out, r##"<circle cx="{x:.1}" cy="{y:.1}" r="2.5" fill="{color}"/>"##);
        }
        let _ = writeln!(
            out,
            r##"<rect x="{at:.1}" y="46" width="18" height="4" rx="2" fill="{color}"/>
<text x="{:.1}" y="53" font-size="13" fill="#1b2733">{name}</text>"##,
            at + 26.0
        );
        at += 120.0;
    }
    if let Some(epoch) = kept.and_then(|n| epochs.get(n).map(|epoch| (n + 1, epoch.watched()))) {
        let (x, y) = (x(epoch.0), y(epoch.1));
        let _ = writeln!(
            out,
            r##"<circle cx="{x:.1}" cy="{y:.1}" r="6" fill="none" stroke="#1b2733" stroke-width="1.4"><title>kept: epoch {}</title></circle>"##,
            epoch.0
        );
    }
    out.push_str("</svg>\n");
    out
}

/// Round numbers around a range, evenly spaced; two at least, which differ.
fn ticks(least: f64, most: f64) -> Vec<f64> {
    let span = (most - least).max(most.abs() * 1e-3).max(1e-9);
    let raw = span / (LINES - 1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= raw).unwrap_or(raw);
    let (first, mut last) = ((least / step).floor(), (most / step).ceil());
    if last <= first {
        last = first + 1.0;
    }
    (0..=(last - first) as usize).map(|n| (first + n as f64) * step).collect()
}

/// With as many decimals as steps of this size need.
fn number(value: f64, step: f64) -> String {
    if value.abs() >= 1e6 {
        return format!("{value:.2e}");
    }
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{value:.decimals$}")
}

#[test]
fn curves_are_well_formed() {
    use smc::driver::train::Score;
    let score = |loss: f64| Score { loss, accuracy: None };
    let epoch =
        |training, validation: Option<f64>| Epoch { training: score(training), validation: validation.map(score) };
    let picture = svg("a < b", &[epoch(2.3, Some(2.5)), epoch(0.31, Some(0.5)), epoch(0.1, Some(0.7))], Some(1));
    assert!(picture.contains("a &lt; b") && picture.contains("validation") && picture.contains("kept: epoch 2"));
    assert_eq!(picture.matches("<circle").count(), 7);
    // However few or odd the numbers are.
    for epochs in
        [vec![], vec![epoch(0.0, None)], vec![epoch(1e30, None), epoch(1e-30, None)], vec![epoch(-0.5, None); 200]]
    {
        let picture = svg("", &epochs, None);
        assert!(!picture.contains("NaN") && !picture.contains("inf") && !picture.contains("validation"), "{picture}");
    }
    assert_eq!(ticks(0.1, 2.5), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
    assert_eq!(number(0.25, 0.05), "0.25");
}
