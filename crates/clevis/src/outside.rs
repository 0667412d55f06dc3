//! Text out of configurations and headers, which may hold anything: kept as it is, shown cut short and harmless.

use std::fmt;

/// A URL out of a configuration or a header, which may hold anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

/// A name out of a configuration or a header, which may hold anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(String);

/// Longest part of an outside text that a message shows, in characters.
const SHOWN: usize = 200;

impl Url {
    /// The URL as it is shown: without a user name and password.
    pub fn new(url: &str) -> Url {
        // The client takes a scheme with one slash too, so whatever stands before the first `:/` is taken for one, however odd: a
        // password stands behind it.
        let odd = |scheme: &str| scheme.contains(['/', '?', '#', '@']);
        let start = match url.split_once(":/") {
            Some((scheme, rest)) if !odd(scheme) => rest.trim_start_matches('/'),
            _ => url,
        };
        let head = url.strip_suffix(start).unwrap_or_default();
        let (server, path) = start.split_at(start.find(['/', '?', '#']).unwrap_or(start.len()));
        let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
        Url(format!("{head}{server}{path}"))
    }
}

impl Name {
    /// The name as it stands.
    pub fn new(name: &str) -> Name {
        Name(name.to_owned())
    }

    /// The name as it stands, for comparing and not for showing.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text from outside: cut short, and with its control characters shown instead of obeyed.
fn show(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    text.chars()
        .take(SHOWN)
        .try_for_each(|c| if c.is_control() { write!(f, "{}", c.escape_debug()) } else { write!(f, "{c}") })
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&self.0, f)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&self.0, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&self.0, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_is_short_harmless_and_without_passwords() {
        assert_eq!(Url::new("http://u:planted@h/a@b").to_string(), "http://h/a@b");
        assert_eq!(Url::new("u:planted@h:80").to_string(), "h:80");
        for scheme in ["ht-tp://", " http://", "a+b://", "http:/", "://"] {
            assert_eq!(Url::new(&format!("{scheme}u:planted@h:80/p")).to_string(), format!("{scheme}h:80/p"));
        }
        assert_eq!(Url::new("http:/u:planted@h/a@b").to_string(), "http:/h/a@b");
        assert_eq!(Url::new("u:planted@h:/").to_string(), "h:/");
        assert_eq!(Url::new("u:planted@h/a?b=http://c").to_string(), "h/a?b=http://c");
        assert_eq!(Url::new("http://h/\u{1b}[2J").to_string(), "http://h/\\u{1b}[2J");
        assert_eq!(Name::new(&"x".repeat(10_000)).to_string().len(), SHOWN);
    }
}
