//! Rust's text cut into tokens: as much of it as it takes not to find a path in
//! a string, a comment or a lifetime. Macro bodies are tokens like all others.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Word,
    Literal,
    Lifetime,
    /// One character, or one of `::`, `->`, `=>`.
    Mark,
}

#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// Lines of its first and its last character, from 1.
    pub lines: (usize, usize),
}

impl Token<'_> {
    pub fn is(&self, text: &str) -> bool {
        self.text == text && matches!(self.kind, Kind::Mark | Kind::Word)
    }
}

/// The tokens of a source; comments of any kind are none.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut cutter = Cutter { source, at: 0 };
    let mut found = Vec::new();
    let (mut line, mut counted) = (1, 0);
    while let Some((kind, start)) = cutter.next() {
        let breaks = |from: usize, to: usize| source[from..to].matches('\n').count();
        line += breaks(counted, start);
        let text = &source[start..cutter.at];
        let last = line + breaks(start, cutter.at);
        found.push(Token {
            kind,
            text: text
                .strip_prefix("r#")
                .filter(|_| kind == Kind::Word)
                .unwrap_or(text),
            lines: (line, last),
        });
        (line, counted) = (last, cutter.at);
    }
    found
}

struct Cutter<'a> {
    source: &'a str,
    at: usize,
}

fn starts_word(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn in_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

impl<'a> Cutter<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn skip_while(&mut self, is: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !is(c)).unwrap_or(rest.len());
    }

    /// Cuts one token; its text begins at what is returned.
    fn next(&mut self) -> Option<(Kind, usize)> {
        loop {
            self.skip_while(char::is_whitespace);
            if self.rest().starts_with("//") {
                self.skip_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                self.block_comment();
            } else {
                break;
            }
        }
        let start = self.at;
        let first = self.rest().chars().next()?;
        let kind = if self.string_or_char() {
            Kind::Literal
        } else if first == '\'' {
            self.at += 1;
            self.skip_while(in_word);
            Kind::Lifetime
        } else if starts_word(first) {
            if self.rest().starts_with("r#") {
                self.at += 2;
            }
            self.skip_while(in_word);
            Kind::Word
        } else if first.is_ascii_digit() {
            self.skip_while(in_word);
            let mut rest = self.rest().chars();
            if rest.next() == Some('.') && rest.next().is_some_and(|c| c.is_ascii_digit()) {
                self.at += 1;
                self.skip_while(in_word);
            }
            Kind::Literal
        } else {
            let two = ["::", "->", "=>"];
            let pair = two.iter().any(|two| self.rest().starts_with(two));
            self.at += if pair { 2 } else { first.len_utf8() };
            Kind::Mark
        };
        Some((kind, start))
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return;
                }
            } else if let Some(c) = rest.chars().next() {
                self.at += c.len_utf8();
            } else {
                return;
            }
        }
    }

    /// Cuts a literal in quotes, if one begins here.
    fn string_or_char(&mut self) -> bool {
        let rest = self.rest();
        let prefix = rest.len() - rest.trim_start_matches(['b', 'c', 'r']).len();
        let hashes = rest[prefix..].len() - rest[prefix..].trim_start_matches('#').len();
        let quote = rest[prefix + hashes..].chars().next();
        let raw = rest[..prefix].ends_with('r');
        if prefix > 2 || (hashes > 0 && !raw) {
            return false;
        }
        if quote == Some('"') {
            self.at += prefix + hashes + 1;
            let rest = self.rest();
            if raw {
                let end = format!("\"{}", "#".repeat(hashes));
                self.at += rest.find(&end).map_or(rest.len(), |at| at + end.len());
            } else {
                self.until('"');
            }
            return true;
        }
        if quote != Some('\'') || hashes > 0 || !matches!(&rest[..prefix], "" | "b") {
            return false;
        }
        // `'a'` is a character, `'a` a lifetime.
        let mut after = rest[prefix + 1..].chars();
        let escaped = after.next() == Some('\\');
        if !escaped && after.next() != Some('\'') {
            return false;
        }
        self.at += prefix + 1;
        self.until('\'');
        true
    }

    /// Goes behind the next such quote that no backslash precedes.
    fn until(&mut self, quote: char) {
        let mut escaped = false;
        for (at, c) in self.rest().char_indices() {
            if c == quote && !escaped {
                self.at += at + 1;
                return;
            }
            escaped = c == '\\' && !escaped;
        }
        self.at = self.source.len();
    }
}
