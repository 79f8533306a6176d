//! What of a file is test code: it is cut out before anything is read.
//!
//! `#[test]`, what a `cfg` lets in for tests, doctests or pages of the documentation
//! alone, and modules
//! called `tests` or `…_tests` behind a `cfg` that names tests at all: they
//! may be tests of a board's image too.

use super::tokens::{Kind, Token};

/// The tokens that are no test code, and what modules of tests are called.
pub fn without_tests(tokens: Vec<Token<'_>>) -> (Vec<Token<'_>>, Vec<String>) {
    let mut modules = Vec::new();
    let mut left = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let inner = tokens[at].is("#") && tokens.get(at + 1).is_some_and(|t| t.is("!"));
        let open = at + 1 + usize::from(inner);
        if !tokens[at].is("#") || !tokens.get(open).is_some_and(|t| t.is("[")) {
            left.push(tokens[at]);
            at += 1;
            continue;
        }
        let behind = closing(&tokens, open) + 1;
        let attribute = &tokens[open + 1..behind - 1];
        if inner && for_tests(attribute, false) {
            return (Vec::new(), modules);
        }
        let item = behind_attributes(&tokens, behind);
        if !inner && for_tests(attribute, is_test_module(&tokens[item..])) {
            let first = behind_visibility(&tokens, item);
            if tokens.get(first).is_some_and(|t| t.is("mod")) {
                modules.extend(tokens.get(first + 1).map(|name| name.text.to_owned()));
            }
            at = end(&tokens, item);
            // The attributes before this one belong to what is gone.
            while let Some(hash) = last_attribute(&left) {
                left.truncate(hash);
            }
        } else {
            left.extend_from_slice(&tokens[at..behind]);
            at = behind;
        }
    }
    (left, modules)
}

/// Where the bracket that opens at `open` is closed.
pub fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.kind == Kind::Mark {
            match token.text {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at;
            }
        }
    }
    tokens.len().saturating_sub(1)
}

/// The first token at or behind `at` that is not part of an attribute.
pub fn behind_attributes(tokens: &[Token<'_>], mut at: usize) -> usize {
    while at + 1 < tokens.len() && tokens[at].is("#") {
        let open = at + 1 + usize::from(tokens[at + 1].is("!"));
        if !tokens.get(open).is_some_and(|t| t.is("[")) {
            break;
        }
        at = closing(tokens, open) + 1;
    }
    at
}

/// Behind `pub` or `pub(…)`.
pub fn behind_visibility(tokens: &[Token<'_>], at: usize) -> usize {
    if !tokens.get(at).is_some_and(|t| t.is("pub")) {
        return at;
    }
    match tokens.get(at + 1) {
        Some(open) if open.is("(") => closing(tokens, at + 1) + 1,
        _ => at + 1,
    }
}

/// Where the attribute begins with which these tokens end.
fn last_attribute(tokens: &[Token<'_>]) -> Option<usize> {
    if !tokens.last()?.is("]") {
        return None;
    }
    let mut depth = 0;
    for at in (0..tokens.len()).rev() {
        match tokens[at].text {
            "]" => depth += 1,
            "[" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (at > 0 && tokens[at - 1].is("#")).then(|| at - 1);
        }
    }
    None
}

fn is_test_module(item: &[Token<'_>]) -> bool {
    let at = behind_visibility(item, 0);
    let (Some(word), Some(name)) = (item.get(at), item.get(at + 1)) else {
        return false;
    };
    word.is("mod") && (name.is("tests") || name.text.ends_with("_tests"))
}

/// Whether such an attribute says that what follows is test code.
fn for_tests(attribute: &[Token<'_>], test_module: bool) -> bool {
    match attribute {
        [only] => only.is("test"),
        [cfg, open, inside @ .., _] if cfg.is("cfg") && open.is("(") => {
            never_holds(inside) || test_module && inside.iter().any(|t| t.is("test"))
        }
        _ => false,
    }
}

/// Whether such a `cfg` lets in nothing that is built for a program.
fn never_holds(cfg: &[Token<'_>]) -> bool {
    match cfg {
        [name] => ["test", "doctest", "doc"].iter().any(|it| name.is(it)),
        [name, open, inside @ .., _] if open.is("(") => match name.text {
            "all" => inside.split_at_depth_zero().any(never_holds),
            "any" => inside.split_at_depth_zero().all(never_holds),
            _ => false,
        },
        _ => false,
    }
}

trait SplitAtDepthZero<'t, 'a> {
    fn split_at_depth_zero(&'t self) -> std::vec::IntoIter<&'t [Token<'a>]>;
}

impl<'t, 'a> SplitAtDepthZero<'t, 'a> for [Token<'a>] {
    fn split_at_depth_zero(&'t self) -> std::vec::IntoIter<&'t [Token<'a>]> {
        let mut depth = 0;
        let parts = self.split(move |token| {
            match token.text {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            depth == 0 && token.is(",")
        });
        let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
        parts.into_iter()
    }
}

/// Behind the item, statement, field or arm that begins at `at`.
pub fn end(tokens: &[Token<'_>], at: usize) -> usize {
    let first = behind_visibility(tokens, at);
    let items = [
        "fn",
        "mod",
        "use",
        "impl",
        "struct",
        "enum",
        "union",
        "trait",
        "type",
        "const",
        "static",
        "unsafe",
        "async",
        "extern",
        "macro_rules",
    ];
    let item = tokens.get(first).is_some_and(|t| items.contains(&t.text));
    // These end with a semicolon, whatever stands in braces before it.
    let assigned = tokens.get(first).is_some_and(|t| match t.text {
        "use" => true,
        "const" | "static" => !tokens
            .get(first + 1)
            .is_some_and(|t| ["fn", "unsafe", "async", "extern"].contains(&t.text)),
        _ => false,
    });
    let (mut at, mut angles) = (first, 0i32);
    while at < tokens.len() {
        match tokens[at].text {
            _ if tokens[at].kind != Kind::Mark => {}
            ";" => return at + 1,
            "," if !item && angles <= 0 => return at + 1,
            "<" => angles += 1,
            ">" => angles -= 1,
            "(" | "[" => at = closing(tokens, at),
            "{" => {
                let block = at == 0 || !tokens[at - 1].is("<");
                at = closing(tokens, at);
                let goes_on = tokens.get(at + 1).is_some_and(|t| {
                    [".", "?", "else"].contains(&t.text) && t.kind != Kind::Literal
                });
                if block && !assigned && !goes_on {
                    // An arm's or a field's comma goes with it.
                    let comma = !item && tokens.get(at + 1).is_some_and(|t| t.is(","));
                    return at + 1 + usize::from(comma);
                }
            }
            ")" | "]" | "}" => return at,
            _ => {}
        }
        at += 1;
    }
    at
}
