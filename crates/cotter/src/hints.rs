//! Every command line that a message or a comment of ours names is one that there is.

use crate::args::Cli;
use clap::Parser;
use clap::error::ErrorKind;
use std::fs;
use std::path::{Path, PathBuf};

/// What begins a command line in a text that is not set off.
const COMMANDS: [&str; 8] = ["policy ", "tpm ", "luks ", "image ", "keys ", "serve", "encrypt", "decrypt"];

#[test]
fn every_command_line_in_the_sources_parses() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = 0;
    let mut wrong = Vec::new();
    for file in sources(&crates).into_iter().filter(|file| !file.ends_with("hints.rs")) {
        for line in command_lines(&fs::read_to_string(&file).unwrap()) {
            found += 1;
            if let Err(kind) = parse(&line) {
                wrong.push(format!("{}: {line}: {kind}", file.display()));
            }
        }
    }
    assert!(found > 100, "only {found} were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Approvals lie on a volume, which the machine may have several of: whoever copies the line has to be told which.
#[test]
fn whoever_is_told_to_sign_is_told_for_which_volume() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let texts = sources(&crates).into_iter().map(|file| fs::read_to_string(file).unwrap());
    let lines: Vec<String> = texts.flat_map(|text| command_lines(&text)).filter(|line| wants_a_volume(line)).collect();
    assert!(lines.len() > 4, "{lines:?}");
    let nameless: Vec<&String> = lines.iter().filter(|line| !names_a_volume(line)).collect();
    assert!(nameless.is_empty(), "{nameless:?}");
    let hooked = ["luks reseal --sign FILE", "luks reseal --sign FILE -s {slot}", "luks reseal --drop-old"];
    assert!(hooked.iter().all(|line| wants_a_volume(line) && !names_a_volume(line)));
}

/// As a device is printed: the option and its value.
const DEVICE: &str = "{device}";

fn wants_a_volume(line: &str) -> bool {
    line.starts_with("luks reseal ") && !line.contains("--hook")
}

fn names_a_volume(line: &str) -> bool {
    line.split(' ').any(|word| ["-d", DEVICE].contains(&word))
}

#[test]
fn a_command_line_that_there_is_not_is_found() {
    let lines =
        command_lines("`cotter luks bnid` \"try: cotter luks kill -d {device} --nothing\" `cotter luks list -d {x}`");
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines.iter().map(|line| parse(line).is_ok()).collect::<Vec<_>>(), [false, false, true]);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() && !path.ends_with("tests") => sources(&path),
            Some(end) if end == "rs" => vec![path],
            _ => Vec::new(),
        })
        .collect()
}

/// What stands behind `cotter ` up to the end of the quotation.
fn command_lines(text: &str) -> Vec<String> {
    let text = text.split("\\\n").map(str::trim_start).collect::<String>();
    let mut lines = Vec::new();
    for (at, _) in text.match_indices("cotter ") {
        let (before, rest) = text.split_at(at);
        let rest = rest.strip_prefix("cotter ").unwrap_or_default();
        let quoted = before.ends_with('`');
        let told = (before.ends_with('"') || before.ends_with(": ")) && COMMANDS.iter().any(|c| rest.starts_with(c));
        if quoted || told {
            let end = if quoted { rest.find('`') } else { rest.find(['"', '\\', ';', ',']) };
            lines.push(rest[..end.unwrap_or(0)].to_owned());
        }
    }
    lines
}

/// Something may be missing; nothing may be unknown. What stands in braces by itself may also be an option with its value, as a device
/// is printed.
fn parse(line: &str) -> Result<(), ErrorKind> {
    let line = line
        .split_whitespace()
        .take_while(|word| !["<", ">", "|", "…", "..."].contains(word) && !word.starts_with('('));
    let told: Vec<&str> = line.collect();
    let value = |word| if is_placeholder(word) { "1" } else { word.split('{').next().unwrap_or(word) };
    let words: Vec<&str> =
        told.iter().flat_map(|word| if *word == DEVICE { vec!["-d", "1"] } else { vec![value(word)] }).collect();
    let last = told.last().copied();
    match words.split_last() {
        Some((_, before)) if last.is_some_and(is_placeholder) => parse_words(&words).or_else(|_| parse_words(before)),
        _ => parse_words(&words),
    }
}

fn is_placeholder(word: &str) -> bool {
    word.starts_with('{') || (word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c == ':'))
}

fn parse_words(words: &[&str]) -> Result<(), ErrorKind> {
    match Cli::try_parse_from(["cotter"].iter().chain(words)) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::ValueValidation
            | ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelp
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Ok(()),
            kind => Err(kind),
        },
    }
}
