//! The grammar of shapes and conditions in declarations of custom operators.
//!
//! ```text
//! shape     = NAME | "[" [ "<=" ] [ item { "," item } ] "]"     an input's shape; or extents, of which the first may be a bound
//! item      = NAME "[" [ INT ] ":" [ INT ] "]" | sum            some extents of an input, or all numbers of a list; or one extent
//! sum       = product { ( "+" | "-" ) product }
//! product   = factor { ( "*" | "/" | "%" ) factor }             "/" rounds down, "%" is what that leaves
//! factor    = INT | NAME | NAME "[" INT "]" | ( "max" | "min" ) "(" sum "," sum ")"
//!           | "rank" "(" NAME ")" | "(" sum ")" | "-" factor
//! condition = sum ( "==" | "<=" | ">=" | "<" | ">" ) sum
//! ```
//!
//! A name alone is an integer attribute; with a number behind it an extent of an input, counted from the end where it is
//! negative, or an element of an attribute that is a list.

/// A number that extents and attributes make.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Int(i64),
    /// The attribute of this name.
    Name(String),
    /// An extent of an input, or an element of a list; from the end where negative.
    At(String, i64),
    Rank(String),
    Op(Arith, Box<Expr>, Box<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arith {
    Add,
    Sub,
    Mul,
    /// Rounded down.
    Div,
    Rem,
    Max,
    Min,
}

/// The shape of an output.
#[derive(Clone, Debug, PartialEq)]
pub enum ShapeRule {
    /// That of an input.
    Of(String),
    Extents {
        items: Vec<Item>,
        /// Whether the first is only the most that it can be.
        bounded: bool,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    One(Expr),
    /// Extents of an input, or elements of a list: from, to.
    Some(String, Option<i64>, Option<i64>),
}

/// What has to hold: the first is equal to the second, or at most that.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub text: String,
    pub equal: bool,
    pub left: Expr,
    pub right: Expr,
}

type Parse<T> = Result<T, String>;

/// Expressions nest at most this deep.
const MAX_DEPTH: usize = 64;

pub fn shape(text: &str) -> Parse<ShapeRule> {
    let mut parser = Parser::new(text)?;
    let rule = match parser.next() {
        Some(Token::Name(name)) => ShapeRule::Of(name),
        Some(Token::Sign("[")) => {
            let bounded = parser.takes("<=");
            let mut items = vec![];
            while !parser.takes("]") {
                if !items.is_empty() {
                    parser.expect(",")?;
                }
                items.push(parser.item()?);
            }
            if bounded && items.is_empty() {
                return Err("a bound is missing behind `<=`".into());
            }
            ShapeRule::Extents { items, bounded }
        }
        _ => return Err("expected the name of an input, or `[` and extents".into()),
    };
    parser.end()?;
    Ok(rule)
}

pub fn condition(text: &str) -> Parse<Condition> {
    let mut parser = Parser::new(text)?;
    let left = parser.sum(0)?;
    let one = || Box::new(Expr::Int(1));
    let above = |x: Expr| Expr::Op(Arith::Add, Box::new(x), one());
    let compare = match parser.next() {
        Some(Token::Sign(sign @ ("==" | "<=" | ">=" | "<" | ">"))) => sign,
        _ => return Err("expected `==`, `<=`, `>=`, `<` or `>`".into()),
    };
    let right = parser.sum(0)?;
    parser.end()?;
    let (equal, left, right) = match compare {
        "==" => (true, left, right),
        "<=" => (false, left, right),
        ">=" => (false, right, left),
        "<" => (false, above(left), right),
        _ => (false, above(right), left),
    };
    Ok(Condition { text: text.trim().into(), equal, left, right })
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Int(i64),
    Name(String),
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 16] = ["==", "<=", ">=", "<", ">", "[", "]", "(", ")", ",", ":", "+", "-", "*", "/", "%"];

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn new(text: &str) -> Parse<Parser> {
        let (mut rest, mut tokens) = (text.trim_start(), vec![]);
        while let Some(first) = rest.chars().next() {
            let word = |is: fn(char) -> bool| rest.find(|c| !is(c)).unwrap_or(rest.len());
            let length = if first.is_ascii_digit() {
                let length = word(|c| c.is_ascii_digit());
                let number = rest[..length].parse().map_err(|_| format!("`{}` is too large", &rest[..length]))?;
                tokens.push(Token::Int(number));
                length
            } else if first.is_ascii_alphabetic() || first == '_' {
                let length = word(|c| c.is_ascii_alphanumeric() || c == '_');
                tokens.push(Token::Name(rest[..length].into()));
                length
            } else {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| format!("`{first}` has no meaning"))?;
                tokens.push(Token::Sign(sign));
                sign.len()
            };
            rest = rest[length..].trim_start();
        }
        Ok(Parser { tokens, at: 0 })
    }
    fn next(&mut self) -> Option<Token> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }
    fn takes(&mut self, sign: &str) -> bool {
        let is = matches!(self.tokens.get(self.at), Some(Token::Sign(next)) if *next == sign);
        self.at += usize::from(is);
        is
    }
    fn expect(&mut self, sign: &str) -> Parse<()> {
        if self.takes(sign) { Ok(()) } else { Err(format!("expected `{sign}`")) }
    }
    fn end(&self) -> Parse<()> {
        if self.at >= self.tokens.len() { Ok(()) } else { Err("something follows that does not belong to it".into()) }
    }
    /// A number with its sign.
    fn int(&mut self) -> Parse<i64> {
        let negative = self.takes("-");
        match self.next() {
            Some(Token::Int(n)) => Ok(if negative { -n } else { n }),
            _ => Err("expected a number".into()),
        }
    }
    fn item(&mut self) -> Parse<Item> {
        let start = self.at;
        if let (Some(Token::Name(name)), true) = (self.next(), self.takes("[")) {
            let from = if self.takes(":") { None } else { Some(self.int()?) };
            if from.is_none() || self.takes(":") {
                let to = if self.takes("]") { return Ok(Item::Some(name, from, None)) } else { Some(self.int()?) };
                self.expect("]")?;
                return Ok(Item::Some(name, from, to));
            }
        }
        self.at = start;
        self.sum(0).map(Item::One)
    }
    fn sum(&mut self, depth: usize) -> Parse<Expr> {
        let mut sum = self.product(depth)?;
        loop {
            let op = match () {
                () if self.takes("+") => Arith::Add,
                () if self.takes("-") => Arith::Sub,
                () => return Ok(sum),
            };
            sum = Expr::Op(op, Box::new(sum), Box::new(self.product(depth)?));
        }
    }
    fn product(&mut self, depth: usize) -> Parse<Expr> {
        let mut product = self.factor(depth)?;
        loop {
            let op = match () {
                () if self.takes("*") => Arith::Mul,
                () if self.takes("/") => Arith::Div,
                () if self.takes("%") => Arith::Rem,
                () => return Ok(product),
            };
            product = Expr::Op(op, Box::new(product), Box::new(self.factor(depth)?));
        }
    }
    fn factor(&mut self, depth: usize) -> Parse<Expr> {
        if depth > MAX_DEPTH {
            return Err("it nests too deep".into());
        }
        match self.next() {
            Some(Token::Int(n)) => Ok(Expr::Int(n)),
            Some(Token::Sign("-")) => {
                let of = self.factor(depth + 1)?;
                Ok(Expr::Op(Arith::Sub, Box::new(Expr::Int(0)), Box::new(of)))
            }
            Some(Token::Sign("(")) => {
                let inner = self.sum(depth + 1)?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(Token::Name(name)) if self.takes("(") => {
                let of = match &name[..] {
                    "rank" => match self.next() {
                        Some(Token::Name(input)) => Expr::Rank(input),
                        _ => return Err("`rank` takes the name of an input".into()),
                    },
                    "max" | "min" => {
                        let op = if name == "max" { Arith::Max } else { Arith::Min };
                        let a = self.sum(depth + 1)?;
                        self.expect(",")?;
                        Expr::Op(op, Box::new(a), Box::new(self.sum(depth + 1)?))
                    }
                    other => return Err(format!("`{other}` is no function: max, min and rank are")),
                };
                self.expect(")")?;
                Ok(of)
            }
            Some(Token::Name(name)) if self.takes("[") => {
                let at = self.int()?;
                self.expect("]")?;
                Ok(Expr::At(name, at))
            }
            Some(Token::Name(name)) => Ok(Expr::Name(name)),
            _ => Err("expected a number, a name or `(`".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_conditions_are_read() {
        let int = |n| Box::new(Expr::Int(n));
        let at = |name: &str, n| Expr::At(name.into(), n);
        assert_eq!(shape(" x "), Ok(ShapeRule::Of("x".into())));
        let extents = |items: Vec<Item>, bounded| Ok(ShapeRule::Extents { items, bounded });
        assert_eq!(shape("[]"), extents(vec![], false));
        let twice = Expr::Op(Arith::Mul, int(2), Box::new(at("x", 0)));
        let sum = Expr::Op(Arith::Add, Box::new(twice.clone()), int(1));
        assert_eq!(shape("[<= 2*x[0]+1, x[1:-1], k]"), {
            let rest = Item::Some("x".into(), Some(1), Some(-1));
            extents(vec![Item::One(sum), rest, Item::One(Expr::Name("k".into()))], true)
        });
        assert_eq!(shape("[x[:]]"), extents(vec![Item::Some("x".into(), None, None)], false));
        assert_eq!(shape("[x[-1]]"), extents(vec![Item::One(at("x", -1))], false));
        let above = condition("x[0] > 3").unwrap();
        assert_eq!((above.equal, above.left, above.right), (false, Expr::Op(Arith::Add, int(3), int(1)), at("x", 0)));
        assert!(condition("rank(x) == max(1, min(k, 2)) % 2").unwrap().equal);
        for wrong in ["", "[", "[x", "[x[0]", "[<=]", "x y", "[1 2]", "[foo(1)]", "[99999999999999999999]", "[?]"] {
            assert!(shape(wrong).is_err(), "{wrong}");
        }
        assert!(shape(&format!("[{}1{}]", "(".repeat(1000), ")".repeat(1000))).is_err());
        assert!(condition("x[0]").is_err() && condition("1 == ").is_err());
    }
}
