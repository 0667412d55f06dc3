//! Just enough of Rust's grammar to tell code from comments and literals, and words from signs.

/// A word, a path separator, or one other sign of Rust code.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(super) enum Token {
    Word(String),
    PathSeparator,
    Sign(char),
}

impl Token {
    /// Whether this token reads as `text`.
    pub(super) fn is(&self, text: &str) -> bool {
        match self {
            Token::Word(word) => word == text,
            Token::PathSeparator => text == "::",
            Token::Sign(sign) => text.chars().eq([*sign]),
        }
    }

    /// The word, if it is one.
    pub(super) fn word(&self) -> Option<&str> {
        if let Token::Word(word) = self { Some(word) } else { None }
    }
}

/// Splits text that [`code_only`] made.
pub(super) fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = code.chars().peekable();
    while let Some(first) = rest.next() {
        if is_word(first) {
            let mut word = String::from(first);
            while let Some(next) = rest.next_if(|next| is_word(*next)) {
                word.push(next);
            }
            tokens.push(Token::Word(word));
        } else if first == ':' && rest.next_if_eq(&':').is_some() {
            tokens.push(Token::PathSeparator);
        } else if !first.is_whitespace() {
            tokens.push(Token::Sign(first));
        }
    }
    tokens
}

/// The same text with every comment and every string and character literal replaced by a space.
pub(super) fn code_only(text: &str) -> String {
    let text: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut rest = text.as_slice();
    let mut before = ' ';
    while let Some(&first) = rest.first() {
        let skipped = comment(rest).or_else(|| literal(rest, before)).unwrap_or(0);
        let taken = skipped.max(1);
        code.push(if skipped > 0 { ' ' } else { first });
        before = first;
        rest = rest.get(taken..).unwrap_or_default();
    }
    code
}

fn is_word(sign: char) -> bool {
    sign == '_' || sign.is_alphanumeric()
}

/// The length of the comment that `text` begins with; the line's end is not part of it.
fn comment(text: &[char]) -> Option<usize> {
    if text.starts_with(&['/', '/']) {
        return Some(text.iter().position(|sign| *sign == '\n').unwrap_or(text.len()));
    }
    if !text.starts_with(&['/', '*']) {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        match text.get(at..).unwrap_or_default() {
            [] => return Some(text.len()),
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] if depth == 1 => return Some(at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
}

/// The length of the string or character literal that `text` begins with. `before` is the sign in front of it: the `r`
/// of a raw string must not be the end of a word.
fn literal(text: &[char], before: char) -> Option<usize> {
    match text {
        ['"', ..] => Some(quoted(text, '"')),
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => Some(quoted(text, '\'')),
        ['r', ..] if !is_word(before) || matches!(before, 'b' | 'c') => raw(text),
        _ => None,
    }
}

/// From the opening quote to the closing one, which is the next that no backslash takes away.
fn quoted(text: &[char], quote: char) -> usize {
    let mut at = 1;
    loop {
        match text.get(at) {
            None => return text.len(),
            Some('\\') => at += 2,
            Some(sign) if *sign == quote => return at + 1,
            Some(_) => at += 1,
        }
    }
}

/// `r"…"`, `r#"…"#` and so on; `r#name` is no literal.
fn raw(text: &[char]) -> Option<usize> {
    let hashes = text.iter().skip(1).take_while(|sign| **sign == '#').count();
    if text.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = text.get(hashes + 2..).unwrap_or_default();
    let length = body.windows(end.len()).position(|window| window == end);
    Some(length.map_or(text.len(), |length| hashes + 2 + length + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found = tokens(&code_only(text));
        let matches = found.len() == expected.len() && found.iter().zip(expected).all(|(token, word)| token.is(word));
        assert!(matches, "{text:?} gave {found:?}");
    }

    #[test]
    fn comments_vanish() {
        check("a // b\nc", &["a", "c"]);
        check("a /* b /* c */ d */ e", &["a", "e"]);
        check("/// doc\nf", &["f"]);
        check("a /* open", &["a"]);
    }

    #[test]
    fn literals_vanish() {
        check(r#"a "b \" c" d"#, &["a", "d"]);
        check("a r#\"b \" c\"# d", &["a", "d"]);
        check("a br\"b\" d", &["a", "b", "d"]); // the prefix remains as a word, which no rule looks for
        check(r"a 'b' '\'' '\u{41}' c", &["a", "c"]);
        check("a \"// no comment\" b", &["a", "b"]);
        check("a \"open", &["a"]);
    }

    #[test]
    fn what_looks_like_a_literal_stays() {
        check("fn f<'a>(x: &'a str)", &["fn", "f", "<", "'", "a", ">", "(", "x", ":", "&", "'", "a", "str", ")"]);
        check("r#type", &["r", "#", "type"]);
        check("var\"s\"", &["var"]);
    }

    #[test]
    fn paths_are_words_and_separators() {
        check("crate::a::{B, c_1}", &["crate", "::", "a", "::", "{", "B", ",", "c_1", "}"]);
    }
}
