//! Advice about a name that is not known: the one that was probably meant, and all there are.

/// Names this alike are taken for slips of each other (Jaro and Winkler's measure: 1 for equal names).
const ALIKE: f64 = 0.8;

/// More names than these are not listed.
const MOST: usize = 20;

/// ``did you mean `x`? the inputs are `x`, `y` ``; `what` is a plural, such as `inputs`.
pub fn advice(name: &str, what: &str, known: &[&str]) -> String {
    let mut quoted: Vec<_> = known.iter().take(MOST).map(|k| format!("`{k}`")).collect();
    if known.len() > MOST {
        quoted.push(format!("and {} more", known.len() - MOST));
    }
    let list = match quoted.is_empty() {
        true => format!("there are no {what}"),
        false => format!("the {what} are {}", quoted.join(", ")),
    };
    format!("{}{list}", meant(name, known))
}

/// ``did you mean `x`? `` with the space, or nothing where no known name is like this one.
pub fn meant(name: &str, known: &[&str]) -> String {
    let alike = known.iter().map(|k| (strsim::jaro_winkler(&k.to_lowercase(), &name.to_lowercase()), k));
    let nearest = alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map_or(String::new(), |(_, name)| format!("did you mean `{name}`? "))
}

#[test]
fn slips_are_recognised() {
    assert_eq!(
        advice("Image", "inputs", &["size", "images"]),
        "did you mean `images`? the inputs are `size`, `images`"
    );
    assert_eq!(advice("zzz", "outputs", &["a"]), "the outputs are `a`");
    assert_eq!(advice("a", "outputs", &[]), "there are no outputs");
}
