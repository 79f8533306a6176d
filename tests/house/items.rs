//! What a module declares and what it names: a reader of items that looks at as
//! much of Rust's grammar as paths need.

use super::test_code::{behind_attributes, behind_visibility, closing, end};
use super::tokens::{Kind, Token};

/// A path as it is written, `a::b::c`; a leading `::` is an empty word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub words: Vec<String>,
    pub line: usize,
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words.join("::"))
    }
}

#[derive(Debug)]
pub enum Declared {
    Use(Path),
    /// A type that only stands for another one.
    Alias(Path),
    Item,
}

/// A module in another.
#[derive(Debug)]
pub enum Below {
    /// In a file of its own, which an attribute may name.
    File(Option<String>),
    Inline(Module),
}

/// `impl … for …`, or without a trait.
#[derive(Debug)]
pub struct Impl {
    pub of: Option<Path>,
    pub on: Path,
}

#[derive(Debug, Default)]
pub struct Module {
    pub names: Vec<(String, Declared)>,
    pub below: Vec<(String, Below)>,
    /// `use path::*`.
    pub globs: Vec<Path>,
    /// Paths of `use` and paths of two words and more, wherever they stand.
    pub paths: Vec<Path>,
    /// Words that stand alone: what a glob may have brought.
    pub words: Vec<Path>,
    pub impls: Vec<Impl>,
    /// Structs and how many fields they have.
    pub fields: Vec<(String, usize, usize)>,
    /// Whether it has more in it than declarations of modules and `use`.
    pub has_code: bool,
    /// Whether a macro may declare what is not seen here.
    pub macros: bool,
}

/// Reads the items of a module. The tokens hold no test code.
pub fn module(tokens: &[Token<'_>]) -> Module {
    let mut module = Module::default();
    let mut at = 0;
    while at < tokens.len() {
        let begun = at;
        at = behind_attributes(tokens, at);
        let attributes = &tokens[begun..at];
        let first = behind_visibility(tokens, at);
        if first >= tokens.len() {
            break;
        }
        let end = end(tokens, at).max(first + 1);
        module.item(attributes, &tokens[first..end]);
        at = end;
    }
    module
}

impl Module {
    fn item(&mut self, attributes: &[Token<'_>], item: &[Token<'_>]) {
        let modifiers = ["unsafe", "async", "default", "safe"];
        let mut at = 0;
        while item.get(at).is_some_and(|t| modifiers.contains(&t.text)) {
            at += 1;
        }
        if item[at].is("extern") && item.get(at + 1).is_some_and(|t| t.kind == Kind::Literal) {
            at += 2;
        }
        if item[at].is("const")
            && item
                .get(at + 1)
                .is_some_and(|t| ["fn", "unsafe", "async"].contains(&t.text))
        {
            at += if item[at + 1].is("fn") { 1 } else { 2 };
        }
        let item = &item[at..];
        let Some(keyword) = item.first() else { return };
        let name = item.get(1).filter(|t| t.kind == Kind::Word);
        match (keyword.text, name) {
            ("mod", Some(name)) => {
                let below = match item.get(2) {
                    Some(open) if open.is("{") => {
                        self.has_code = true;
                        Below::Inline(module(&item[3..closing(item, 2)]))
                    }
                    _ => Below::File(path_attribute(attributes)),
                };
                self.below.push((name.text.into(), below));
                return;
            }
            ("use", _) => return self.use_tree(&item[1..]),
            (";", _) => return,
            ("extern", Some(krate)) if krate.is("crate") => return,
            ("macro_rules", _) => {
                let name = item.get(2).map_or("", |t| t.text);
                self.names.push((name.into(), Declared::Item));
            }
            ("type", Some(name)) => {
                let equals = item.iter().position(|t| t.is("="));
                let target = equals.and_then(|at| path_of_type(&item[at + 1..]));
                let declared = target.map_or(Declared::Item, Declared::Alias);
                self.names.push((name.text.into(), declared));
            }
            ("struct", Some(name)) => {
                let fields = (name.text.to_owned(), name.lines.0, fields(item));
                self.fields.push(fields);
                self.names.push((name.text.into(), Declared::Item));
            }
            ("static", Some(name)) if name.is("mut") => {
                self.names.push((item[2].text.into(), Declared::Item));
            }
            ("fn" | "enum" | "union" | "trait" | "const" | "static", Some(name)) => {
                self.names.push((name.text.into(), Declared::Item));
            }
            ("impl", _) => self.impls.extend(impl_header(item)),
            _ => {
                self.macros = true;
                // A macro that is given a struct declares it.
                let inside = item.get(3..).unwrap_or_default();
                let first = behind_visibility(inside, behind_attributes(inside, 0));
                if let Some([word, name, ..]) = inside.get(first..)
                    && word.is("struct")
                {
                    self.names.push((name.text.into(), Declared::Item));
                }
            }
        }
        self.has_code = true;
        self.scan(item);
    }

    /// Finds `use` and paths in anything.
    fn scan(&mut self, tokens: &[Token<'_>]) {
        let mut at = 0;
        while at < tokens.len() {
            let token = tokens[at];
            let behind = behind_attributes(tokens, at);
            if behind > at {
                at = behind;
            } else if token.is("use") && !tokens.get(at + 1).is_some_and(|t| t.is("<")) {
                let end = end(tokens, at);
                self.use_tree(&tokens[at + 1..end]);
                at = end;
            } else if token.kind == Kind::Word || token.is("::") {
                let (path, end) = path(tokens, at);
                let before = at.checked_sub(1).map(|at| tokens[at]);
                // Of a field, a method, a type in angles, a macro's variable.
                let of_other = before.is_some_and(|t| [".", ">", "$"].contains(&t.text));
                let of_other = of_other && (before.is_some_and(|t| !t.is(">")) || token.is("::"));
                let dollar_crate = before.is_some_and(|t| t.is("$")) && token.is("crate");
                if !of_other || dollar_crate {
                    let long = path.words.len() > 1;
                    let into = if long {
                        &mut self.paths
                    } else {
                        &mut self.words
                    };
                    into.push(path);
                }
                at = end;
            } else {
                at += 1;
            }
        }
    }

    fn use_tree(&mut self, tree: &[Token<'_>]) {
        self.use_branch(&[], tree);
    }

    fn use_branch(&mut self, stem: &[String], tree: &[Token<'_>]) {
        let Some(first) = tree.first() else { return };
        let mut words = stem.to_vec();
        let mut at = 0;
        while let Some(token) = tree.get(at) {
            match token.text {
                "::" if at == 0 && stem.is_empty() => words.push(String::new()),
                "::" => {}
                "{" => {
                    let end = closing(tree, at);
                    let (mut begun, mut depth) = (at + 1, 0);
                    for i in at + 1..=end {
                        match tree[i].text {
                            "{" => depth += 1,
                            "}" if i < end => depth -= 1,
                            "," | "}" if depth == 0 => {
                                self.use_branch(&words, &tree[begun..i]);
                                begun = i + 1;
                            }
                            _ => {}
                        }
                    }
                    return;
                }
                "*" => {
                    let line = token.lines.0;
                    let path = Path { words, line };
                    self.paths.push(path.clone());
                    self.globs.push(path);
                    return;
                }
                "$" => {}
                "as" | ";" => break,
                "self" if !words.is_empty() => {}
                word => words.push(word.into()),
            }
            at += 1;
        }
        let line = first.lines.0;
        let renamed = tree.get(at).filter(|t| t.is("as")).and(tree.get(at + 1));
        let name = renamed.map_or(words.last().cloned(), |t| Some(t.text.into()));
        let path = Path { words, line };
        self.paths.push(path.clone());
        self.names
            .extend(name.map(|name| (name, Declared::Use(path))));
    }
}

/// The path that begins at `at`, without what stands in angles, and where it ends.
fn path(tokens: &[Token<'_>], mut at: usize) -> (Path, usize) {
    let line = tokens[at].lines.0;
    let mut words = Vec::new();
    if tokens[at].is("::") {
        words.push(String::new());
        at += 1;
    }
    while let Some(word) = tokens.get(at).filter(|t| t.kind == Kind::Word) {
        words.push(word.text.to_owned());
        at += 1;
        let goes_on = tokens.get(at).is_some_and(|t| t.is("::"))
            && tokens.get(at + 1).is_some_and(|t| t.kind == Kind::Word);
        if !goes_on {
            break;
        }
        at += 1;
    }
    (Path { words, line }, at.max(1))
}

/// What a type is called, behind references and brackets.
fn path_of_type(tokens: &[Token<'_>]) -> Option<Path> {
    let skipped = ["&", "*", "mut", "const", "dyn", "(", "[", "!", "?"];
    let is_first = |t: &Token<'_>| t.kind != Kind::Lifetime && !skipped.contains(&t.text);
    let at = tokens.iter().position(is_first)?;
    let names = tokens[at].kind == Kind::Word || tokens[at].is("::");
    names.then(|| path(tokens, at).0)
}

fn impl_header(item: &[Token<'_>]) -> Option<Impl> {
    let mut at = 1;
    if item.get(1).is_some_and(|t| t.is("<")) {
        let mut angles = 0;
        for (i, token) in item.iter().enumerate().skip(1) {
            angles += i32::from(token.is("<")) - i32::from(token.is(">"));
            if angles == 0 {
                at = i + 1;
                break;
            }
        }
    }
    let ends = |t: &Token<'_>| t.is("{") || t.is("where");
    let header = &item[at..];
    let header = &header[..header.iter().position(ends)?];
    let mut angles = 0;
    let parts = header.iter().position(|token| {
        angles += i32::from(token.is("<")) - i32::from(token.is(">"));
        angles == 0 && token.is("for")
    });
    Some(match parts {
        Some(at) => Impl {
            of: Some(path_of_type(&header[..at])?),
            on: path_of_type(&header[at + 1..]).unwrap_or(Path {
                words: vec!["_".into()],
                line: item[0].lines.0,
            }),
        },
        None => Impl {
            of: None,
            on: path_of_type(header)?,
        },
    })
}

/// How many fields a struct has.
fn fields(item: &[Token<'_>]) -> usize {
    let Some(open) = item.iter().position(|t| t.is("{") || t.is("(")) else {
        return 0;
    };
    let inside = &item[open + 1..closing(item, open)];
    let (mut count, mut at) = (0, 0);
    while at < inside.len() {
        at = end(inside, behind_attributes(inside, at)).max(at + 1);
        count += 1;
    }
    count
}

fn path_attribute(attributes: &[Token<'_>]) -> Option<String> {
    let at = attributes.iter().position(|t| t.is("path"))?;
    let text = attributes.get(at + 2)?.text;
    Some(text.trim_matches('"').to_owned())
}
