//! A corpus of faulty headers: one fault a case, named after it, made by code from a good disk of cryptsetup's, and judged by
//! the originals and by us in the same run.
//!
//! Where the original refuses, we refuse. Where only we refuse, the case says so and names its line of the ledger
//! (`docs/compatibility.md`). What the original is expected to say stands in the table too: a case whose fault does not do
//! what it is named after fails.
//!
//! No image is kept in the repository. A disk that was judged otherwise than expected is left in Cargo's directory for such
//! things, and the test says where.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]
#![allow(missing_docs, unreachable_pub, reason = "nothing is offered to others")]

mod base;
mod case;
mod fault;
mod image;
mod junk;
mod ledger;
mod luks1;
mod luks2_binary;
mod luks2_config;
mod luks2_digests;
mod luks2_json;
mod luks2_segments;
mod luks2_slots;
mod luksmeta;
mod verdict;

use base::Base;
use case::Case;
use std::collections::BTreeSet;
use verdict::{Bench, Verdict};

fn all() -> impl Iterator<Item = Case> {
    let tables = [
        luks1::fields(),
        luks1::slots(),
        luks1::ends(),
        luks2_binary::magic_and_version(),
        luks2_binary::place_and_size(),
        luks2_binary::sequence_and_checksum(),
        luks2_binary::ends(),
        luks2_json::grammar(),
        luks2_json::sections(),
        luks2_segments::segments(),
        luks2_digests::digests(),
        luks2_config::tokens(),
        luks2_config::config(),
        luks2_slots::slots(),
        luks2_slots::areas(),
        luks2_slots::costs(),
        luksmeta::of_table(),
        luksmeta::of_slots(),
    ];
    tables.into_iter().flatten()
}

/// Without a fault there is nothing to judge.
#[test]
fn the_good_disks_open_to_both() {
    let bench = Bench::new();
    for base in [Base::Luks2, Base::Argon2, Base::Large, Base::Luks1] {
        assert_eq!(bench.cryptsetup(base.image()), Verdict::Opens, "{base:?}");
        assert_eq!(bench.cotter(base.image()).0, Verdict::Opens, "{base:?}");
    }
    assert_eq!(bench.luksmeta(Base::LuksMeta.image()), Verdict::Opens);
    assert_eq!(bench.cotter_on_luksmeta(Base::LuksMeta.image()).0, Verdict::Opens);
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let names: Vec<_> = all().map(|case| case.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

/// A difference that no case shows any more must leave the ledger.
#[test]
fn every_line_of_the_ledger_has_a_case() {
    let shown: BTreeSet<_> = all().filter_map(|case| case.ledger).collect();
    assert_eq!(shown, ledger::ALL.into_iter().collect());
}

/// The passphrase is right, and there is nothing to give out: the data is not on the disk, or not all of it.
#[test]
fn data_outside_the_disk_is_not_given_out() {
    const OUTSIDE: [&str; 6] = [
        "luks1_payload_offset_behind_the_disk",
        "luks1_payload_offset_2_to_the_32_less_1",
        "luks2_segment_offset_behind_the_disk",
        "luks2_segment_offset_2_to_the_64_less_512",
        "luks2_segment_size_behind_the_disk",
        "luks2_segment_size_overflows",
    ];
    let bench = Bench::new();
    let cases: Vec<_> = all().filter(|case| OUTSIDE.contains(&case.name)).collect();
    assert_eq!(cases.len(), OUTSIDE.len());
    for case in cases {
        let ended = bench.image_cat(&case.image()).failed_with(1);
        assert!(ended.stdout.is_empty(), "{}: something was given out", case.name);
        assert!(ended.said().contains("the disk has"), "{}: {}", case.name, ended.said());
    }
}

/// Whatever a case is stricter about is a line of the ledger.
#[test]
fn the_ledger_has_every_difference() {
    let document = include_str!("../../../../docs/compatibility.md");
    for words in ledger::ALL {
        assert!(document.contains(words), "docs/compatibility.md does not say: {words}");
    }
}
