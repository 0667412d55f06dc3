//! Inside a crate no two modules import each other.
//!
//! An import is a path into another module, in a `use` or in the code. Three things make the answer the one a reader
//! would give: a path through a re-export leads to the module that the name comes from; a re-export itself is a
//! heading in a table of contents and no import; and modules of tests are left out. Names that come through a glob are
//! counted for the module that has the glob, and macros are not looked into: good enough for code that people review.

use super::fault::Fault;
use super::rust_text::{Token, code_only, tokens};
use std::collections::{BTreeMap, BTreeSet};

/// A module, by its path from the crate's root; the root is empty.
type Module = Vec<String>;

/// Re-exports of re-exports are followed this far, and then taken as they are.
const DEEPEST_REEXPORT: usize = 8;

/// One path that stands in a module.
#[derive(Debug)]
struct Import {
    from: Module,
    path: Vec<String>,
    /// The name under which a `pub use` shows it; `None` if it is an import.
    shown_as: Option<String>,
}

/// What one pass over the files of a crate finds.
#[derive(Default)]
struct Crate {
    modules: BTreeSet<Module>,
    imports: Vec<Import>,
}

/// Each pair of modules of the crate `name` that import each other. `files` are (path below `src/`, text).
pub(super) fn check(name: &str, files: &[(&str, &str)]) -> Vec<Fault> {
    let edges = edges(files);
    let mutual = edges.iter().filter(|(from, to)| from < to && edges.contains(&(to.clone(), from.clone())));
    let spelled = |module: &Module| if module.is_empty() { "the root".to_owned() } else { module.join("::") };
    let fault =
        |(a, b): &(Module, Module)| Fault::new(name, format!("{} and {} import each other", spelled(a), spelled(b)));
    mutual.map(fault).collect()
}

fn edges(files: &[(&str, &str)]) -> BTreeSet<(Module, Module)> {
    let mut found = Crate::default();
    let has_library = files.iter().any(|(path, _)| *path == "lib.rs");
    for (path, text) in files {
        let Some(module) = module_of(path) else { continue };
        if !(has_library && *path == "main.rs") {
            found.read(module, &without_tests(&tokens(&code_only(text))));
        }
    }
    let shown = found.shown();
    let edge = |import: &Import| Some((import.from.clone(), found.owner(&shown, &found.absolute(import)?, 0)?));
    let imports = found.imports.iter().filter(|import| import.shown_as.is_none());
    imports.filter_map(edge).filter(|(from, to)| from != to).collect()
}

/// `a/b.rs` and `a/b/mod.rs` are the module `a::b`. `None` for a further program and for a file of tests.
fn module_of(path: &str) -> Option<Module> {
    let mut parts: Module = path.strip_suffix(".rs")?.split('/').map(str::to_owned).collect();
    if parts.first().is_some_and(|part| part == "bin") || parts.last().is_some_and(|part| part == "tests") {
        return None;
    }
    if matches!(parts.last().map(String::as_str), Some("mod")) || matches!(path, "lib.rs" | "main.rs") {
        parts.pop();
    }
    Some(parts)
}

/// Drops every `#[cfg(test)] mod … { … }`.
fn without_tests(code: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut rest = code;
    while let Some((first, after)) = rest.split_first() {
        rest = match test_module(rest) {
            Some(length) => rest.get(length..).unwrap_or_default(),
            None => {
                kept.push(first.clone());
                after
            }
        };
    }
    kept
}

/// The number of tokens of the test module that `code` begins with.
fn test_module(code: &[Token]) -> Option<usize> {
    const HEAD: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let is_head = code.len() > HEAD.len() && code.iter().zip(HEAD).all(|(token, word)| token.is(word));
    let open = HEAD.len() + 1;
    if !is_head || !code.get(open)?.is("{") {
        return None;
    }
    Some(open + closing(code.get(open..)?)? + 1)
}

/// The index of the brace that closes the one at index 0.
fn closing(code: &[Token]) -> Option<usize> {
    let mut depth = 0_usize;
    code.iter().position(|token| {
        if token.is("{") {
            depth += 1;
        } else if token.is("}") {
            depth = depth.saturating_sub(1);
        }
        depth == 0
    })
}

impl Crate {
    /// Notes each path in `code`, which is the body of `module`; goes down into modules that stand in the file.
    fn read(&mut self, module: Module, code: &[Token]) {
        self.modules.insert(module.clone());
        let mut rest = code;
        while let Some((first, after)) = rest.split_first() {
            rest = match (first.word(), after) {
                (Some("mod"), [Token::Word(name), brace, ..]) if brace.is("{") => {
                    let body = after.get(1..).unwrap_or_default();
                    let end = closing(body).unwrap_or(body.len());
                    self.read(
                        [module.as_slice(), std::slice::from_ref(name)].concat(),
                        body.get(1..end).unwrap_or_default(),
                    );
                    body.get(end..).unwrap_or_default()
                }
                (Some("use"), _) => {
                    let end = after.iter().position(|token| token.is(";")).unwrap_or(after.len());
                    let tree = after.get(..end).unwrap_or_default();
                    let public = is_public(code.get(..code.len() - rest.len()).unwrap_or_default());
                    self.read_use(&module, tree, public);
                    after.get(end..).unwrap_or_default()
                }
                (Some(_), [Token::PathSeparator, ..]) => {
                    let (path, after) = plain_path(rest);
                    self.imports.push(Import { from: module.clone(), path, shown_as: None });
                    after
                }
                _ => after,
            };
        }
    }

    fn read_use(&mut self, module: &Module, tree: &[Token], public: bool) {
        for (path, name) in leaves(&[], tree) {
            let shown_as = public.then_some(name);
            self.imports.push(Import { from: module.clone(), path, shown_as });
        }
    }

    /// The path from the crate's root. `None` if it leads out of the crate.
    fn absolute(&self, import: &Import) -> Option<Vec<String>> {
        let mut at = import.from.clone();
        let mut rest = import.path.as_slice();
        match rest.first()?.as_str() {
            "crate" => {
                at.clear();
                rest = rest.get(1..)?;
            }
            "self" => rest = rest.get(1..)?,
            "super" => {
                while rest.first().is_some_and(|word| word == "super") {
                    at.pop();
                    rest = rest.get(1..)?;
                }
            }
            child => {
                let child = [at.as_slice(), &[child.to_owned()]].concat();
                self.modules.get(&child)?;
            }
        }
        at.extend(rest.iter().cloned());
        Some(at)
    }

    /// What each `pub use` shows: (module, name) to the path it stands for.
    fn shown(&self) -> BTreeMap<(Module, String), Vec<String>> {
        let shown = self.imports.iter().filter_map(|import| {
            let name = import.shown_as.clone()?;
            Some(((import.from.clone(), name), self.absolute(import)?))
        });
        shown.collect()
    }

    /// The module that the thing at `path` comes from.
    fn owner(&self, shown: &BTreeMap<(Module, String), Vec<String>>, path: &[String], depth: usize) -> Option<Module> {
        let length =
            (0..=path.len()).rev().find(|length| path.get(..*length).is_some_and(|at| self.modules.contains(at)))?;
        let (module, rest) = path.split_at_checked(length)?;
        let through = rest.first().and_then(|name| shown.get(&(module.to_vec(), name.clone())));
        match through {
            Some(path) if depth < DEEPEST_REEXPORT => self.owner(shown, path, depth + 1),
            _ => Some(module.to_vec()),
        }
    }
}

/// Whether `before`, what stands in front of a `use`, ends in `pub` or `pub(…)`.
fn is_public(before: &[Token]) -> bool {
    match before {
        [.., last] if last.is("pub") => true,
        [.., last] if last.is(")") => {
            let open = before.iter().rposition(|token| token.is("("));
            open.and_then(|open| before.get(open.checked_sub(1)?)).is_some_and(|token| token.is("pub"))
        }
        _ => false,
    }
}

/// The path that `code` begins with, and what follows it; a turbofish ends a path.
fn plain_path(code: &[Token]) -> (Vec<String>, &[Token]) {
    let mut path: Vec<String> = code.first().and_then(Token::word).map(str::to_owned).into_iter().collect();
    let mut rest = code.get(1..).unwrap_or_default();
    while let [Token::PathSeparator, Token::Word(word), after @ ..] = rest {
        path.push(word.clone());
        rest = after;
    }
    let rest = if let [Token::PathSeparator, after @ ..] = rest { after } else { rest };
    (path, rest)
}

/// Each single path of a `use` tree, with the name it brings in (`*` for a glob).
fn leaves(prefix: &[String], tree: &[Token]) -> Vec<(Vec<String>, String)> {
    let mut path = prefix.to_vec();
    let mut rest = tree;
    loop {
        rest = match rest {
            [Token::PathSeparator, after @ ..] => after,
            [Token::Word(keyword), Token::Word(name), ..] if keyword == "as" => return vec![(path, name.clone())],
            [Token::Word(word), after @ ..] => {
                // `a::{self}` names `a` itself.
                if word != "self" || path.is_empty() {
                    path.push(word.clone());
                }
                after
            }
            [brace, ..] if brace.is("{") => {
                let end = closing(rest).unwrap_or(rest.len());
                let branches = rest.get(1..end).unwrap_or_default();
                return split_branches(branches).into_iter().flat_map(|branch| leaves(&path, branch)).collect();
            }
            [star, ..] if star.is("*") => return vec![(path, "*".to_owned())],
            [_, after @ ..] => after,
            [] => {
                let name = path.last().cloned().unwrap_or_default();
                return vec![(path, name)];
            }
        }
    }
}

/// Splits at the commas that stand in no inner brace.
fn split_branches(code: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_i32;
    let branches = code.split(|token| {
        depth += i32::from(token.is("{")) - i32::from(token.is("}"));
        depth == 0 && token.is(",")
    });
    branches.filter(|branch| !branch.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_crate(files: &[(&str, &str)], expected: &[&str]) {
        let faults: Vec<String> = check("c", files).iter().map(Fault::to_string).collect();
        assert_eq!(faults, expected, "{files:?} has edges {:?}", edges(files));
    }

    #[test]
    fn two_modules_that_import_each_other_are_found() {
        let fault = &["c: a and b import each other"];
        let lib = ("lib.rs", "mod a; mod b;");
        check_crate(&[lib, ("a.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;")], fault);
        check_crate(&[lib, ("a.rs", "use super::b::{self, B};"), ("b.rs", "fn f() { crate::a::f() }")], fault);
        check_crate(&[lib, ("a.rs", "use crate::{b::{B, C}, x};"), ("b.rs", "use crate::{x, a as y};")], fault);
        check_crate(&[lib, ("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::A;")], &[]);
    }

    #[test]
    fn a_path_leads_to_the_module_behind_a_reexport() {
        let lib = ("lib.rs", "mod a; mod b; pub use a::A; pub(crate) use b::inner::B as Bee;");
        let inner = ("b/inner.rs", "use crate::A;");
        check_crate(
            &[lib, ("a.rs", "use crate::Bee;"), ("b.rs", "mod inner;"), inner],
            &["c: a and b::inner import each other"],
        );
        check_crate(&[lib, ("a.rs", ""), ("b.rs", "mod inner;"), inner], &[]);
    }

    #[test]
    fn a_parent_and_its_child_are_two_modules() {
        let fault = &["c: a and a::b import each other"];
        let lib = ("lib.rs", "mod a;");
        check_crate(&[lib, ("a.rs", "mod b; fn f() { b::g() }"), ("a/b.rs", "use super::T;")], fault);
        check_crate(&[lib, ("a/mod.rs", "mod b; use b::G;"), ("a/b.rs", "use crate::a::T;")], fault);
        check_crate(&[lib, ("a.rs", "mod b; pub use b::G; pub struct T;"), ("a/b.rs", "use super::T;")], &[]);
        check_crate(
            &[("lib.rs", "mod a { use super::T; } use a::F; struct T;")],
            &["c: the root and a import each other"],
        );
    }

    #[test]
    fn tests_comments_and_other_crates_do_not_count() {
        let lib = ("lib.rs", "mod a; mod b;");
        let test = "#[cfg(test)]\nmod tests { use crate::a::A; fn f() { if x { crate::a::f() } } }";
        check_crate(&[lib, ("a.rs", "use crate::b::B;"), ("b.rs", test)], &[]);
        check_crate(&[lib, ("a.rs", "use crate::b::B;"), ("b.rs", "// use crate::a::A;\nuse a_crate::a::A;")], &[]);
        check_crate(
            &[lib, ("a.rs", "use crate::b::B;"), ("b/tests.rs", "use crate::a::A;"), ("b.rs", "use std::a;")],
            &[],
        );
    }
}
