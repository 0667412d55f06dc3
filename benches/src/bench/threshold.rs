//! A threshold of two servers out of three, one of which is dead: how much later it opens than at the slower of the two that live.

use super::client::decryptions;
use crate::clock::Cost;
use crate::table::{Asked, Limit, in_turn, markdown, median_cost, time};
use compliance::quiet::{BlackHole, Silent};
use compliance::server::free_port;
use compliance::{Curve, KeyDirectory, Maker, Server, program};
use std::fs;
use std::path::PathBuf;

/// Decryptions of one round.
const RUNS: u64 = 10;

/// What one may notice, in seconds.
const MOST: f64 = 0.1;

pub(crate) fn run() -> Vec<Asked> {
    let makers = [Maker::Ours, Maker::Theirs];
    let keys = makers.map(|maker| KeyDirectory::new(maker, Curve::P521));
    let [one, other] =
        [(Maker::Ours, &keys[0]), (Maker::Theirs, &keys[1])].map(|(maker, keys)| Server::start(maker, keys));
    let (silent, hole) = (Silent::start(), BlackHole::start());
    let refusing = format!("http://127.0.0.1:{}", free_port());
    let scratch = tempfile::tempdir().unwrap();
    // With its keys given, a server need not be there when it is bound to.
    let child = |url: String, keys: &str| format!(r#"{{"url":"{url}","adv":{keys}}}"#);
    let advertised = String::from_utf8(one.fetch("/adv")).unwrap();
    let dead =
        [("refuses", refusing), ("takes the connection and says nothing", silent.url()), ("is not there", hole.url())];
    let mut sides: Vec<(String, PathBuf)> = Vec::new();
    let mut add = |name: String, pin: &str, config: String| {
        let file = scratch.path().join(sides.len().to_string());
        fs::write(&file, Maker::Ours.encrypt(pin, &config, super::client::PLAINTEXT)).unwrap();
        sides.push((name, file));
    };
    add("tang at cotter serve".into(), "tang", one.config());
    add("tang at tangd".into(), "tang", other.config());
    for (how, url) in dead {
        let pins = [child(url, &advertised), one.config(), other.config()].join(",");
        add(format!("2 of 3, the third {how}"), "sss", format!(r#"{{"t":2,"pins":{{"tang":[{pins}]}}}}"#));
    }
    let ours = program::cotter();
    let mut rounds: Vec<_> = sides.iter().map(|(_, file)| || decryptions(ours, file, RUNS)).collect();
    let mut rounds: Vec<&mut dyn FnMut() -> Cost> = rounds.iter_mut().map(|round| round as _).collect();
    let medians: Vec<f64> = in_turn(&mut rounds).iter().map(|samples| median_cost(samples).wall).collect();
    let slower = medians.iter().take(2).copied().fold(0.0, f64::max);
    let rows: Vec<Vec<String>> =
        sides.iter().zip(&medians).map(|((name, _), wall)| vec![name.clone(), time(*wall)]).collect();
    println!("{}", markdown("Decrypting at two servers out of three", &["cotter decrypt", "wall"], &rows));
    let asked = sides.iter().zip(&medians).skip(2).map(|((name, _), wall)| {
        Asked::new(format!("seconds after the slower of the two, {name}"), Limit::AtMost(MOST), wall - slower)
    });
    asked.collect()
}
