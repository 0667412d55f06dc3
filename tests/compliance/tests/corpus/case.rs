//! One faulty disk and what is expected of both sides; a table of them, and how it is gone through.

use crate::base::Base;
use crate::image::Image;
use crate::ledger;
use crate::verdict::{Bench, Verdict};
use compliance::Maker;
use std::path::Path;

/// What cotter lets through although the original does not: known, and to be mended. A case that is mended has to leave.
const KNOWN: [&str; 0] = [];

/// What is done to a good disk.
pub type Fault = Box<dyn Fn(&mut Image)>;

/// One fault, and the verdicts.
pub struct Case {
    pub name: &'static str,
    base: Base,
    fault: Fault,
    /// What the original is expected to say; it is asked.
    theirs: Verdict,
    /// What it says instead where it may use the device mapper, or in a newer version.
    mapped: Verdict,
    /// What we have to say.
    ours: Verdict,
    /// A piece of the reason that we give; empty where we open.
    reason: &'static str,
    /// Where we say something else: the words of the ledger that tell why.
    pub ledger: Option<&'static str>,
}

impl Case {
    fn new(name: &'static str, fault: impl Fn(&mut Image) + 'static, verdict: Verdict) -> Case {
        let (base, fault) = (Base::Luks2, Box::new(fault));
        Case { name, base, fault, theirs: verdict, mapped: verdict, ours: verdict, reason: "", ledger: None }
    }

    /// Both refuse the header.
    pub fn refused(name: &'static str, fault: impl Fn(&mut Image) + 'static, reason: &'static str) -> Case {
        Case { reason, ..Case::new(name, fault, Verdict::Refuses) }
    }

    /// The original refuses the header; we show it, and refuse to use it.
    pub fn shown(name: &'static str, fault: impl Fn(&mut Image) + 'static, reason: &'static str) -> Case {
        Case::shut(name, fault, reason).but_theirs(Verdict::Refuses, ledger::SHOWN)
    }

    /// Both show the header, and neither opens anything.
    pub fn shut(name: &'static str, fault: impl Fn(&mut Image) + 'static, reason: &'static str) -> Case {
        Case { reason, ..Case::new(name, fault, Verdict::Shows) }
    }

    /// Both open the disk: the fault is in something that means nothing, or that the second copy makes good.
    pub fn borne(name: &'static str, fault: impl Fn(&mut Image) + 'static) -> Case {
        Case::new(name, fault, Verdict::Opens)
    }

    /// The disk that the fault is put into, if it is not [`Base::Luks2`].
    pub fn on(self, base: Base) -> Case {
        Case { base, ..self }
    }

    /// The original says something else, and the ledger has these words. What it does not open, we do not open either.
    pub fn but_theirs(self, theirs: Verdict, ledger: &'static str) -> Case {
        assert!(self.ours != theirs && self.ours < Verdict::Opens, "{}: this is no difference", self.name);
        Case { theirs, mapped: theirs, ledger: Some(ledger), ..self }
    }

    /// The original lets it through because what is wrong is no business of its own.
    pub fn not_looked_at(self) -> Case {
        Case { theirs: Verdict::Opens, mapped: Verdict::Opens, ..self }
    }

    /// As [`Case::but_theirs`], on a machine where the original may use the device mapper, or in a newer version; elsewhere the two
    /// agree.
    pub fn or_theirs(self, mapped: Verdict, ledger: &'static str) -> Case {
        let alone = self.theirs;
        Case { mapped, theirs: alone, ..self.but_theirs(mapped, ledger) }
    }

    /// The disk with the fault.
    pub fn image(&self) -> Image {
        let mut image = self.base.image().clone();
        (self.fault)(&mut image);
        assert!(image != *self.base.image(), "{}: there is no fault", self.name);
        image
    }

    /// What is not as it should be.
    fn faults(&self, bench: &Bench) -> Vec<String> {
        let image = self.image();
        let (theirs, (ours, said)) = match self.base {
            Base::LuksMeta => (bench.luksmeta(&image), bench.cotter_on_luksmeta(&image)),
            _ => (bench.cryptsetup(&image), bench.cotter(&image)),
        };
        let mut faults = Vec::new();
        if ours >= Verdict::Opens && ours > theirs {
            faults.push(format!("the original {theirs:?} what cotter {ours:?}"));
        }
        if theirs != self.theirs && theirs != self.mapped {
            faults.push(format!("the original {theirs:?}, not {:?}", self.theirs));
        }
        if ours != self.ours || !said.contains(self.reason) {
            faults.push(format!("cotter {ours:?}, not {:?} for {:?}; it said: {said}", self.ours, self.reason));
        }
        if self.base == Base::LuksMeta && self.ledger.is_none() {
            faults.extend(other_answer(bench, &image));
        }
        if KNOWN.contains(&self.name) {
            return if faults.is_empty() {
                vec!["this is mended: `KNOWN` must lose it".to_owned()]
            } else {
                Vec::new()
            };
        }
        if !faults.is_empty() {
            faults.push(format!("the disk is kept in {}", keep(self.name, &image)));
        }
        faults
    }
}

/// Where `cotter luks meta` does not answer as luksmeta does: the exit code of `test`, what `show` and `load` print.
fn other_answer(bench: &Bench, image: &Image) -> Option<String> {
    let [theirs, ours] = [Maker::Theirs, Maker::Ours].map(|maker| {
        let answers = bench.answers(image, maker);
        (answers[0].status.code(), answers.map(|ended| ended.text()))
    });
    (theirs != ours).then(|| format!("luksmeta answers {theirs:?}, and `cotter luks meta` {ours:?}"))
}

/// Leaves the disk where Cargo wants such things.
fn keep(name: &str, image: &Image) -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("corpus-{name}.img"));
    std::fs::write(&file, image.bytes()).unwrap();
    file.display().to_string()
}

/// Judges every case, and fails in the end if one is not as it should be.
pub fn judge(cases: Vec<Case>) {
    let bench = Bench::new();
    let mut bad = Vec::new();
    for case in &cases {
        bad.extend(case.faults(&bench).into_iter().map(|fault| format!("{}: {fault}", case.name)));
    }
    assert!(bad.is_empty(), "{} cases; these are not as they should be:\n{}", cases.len(), bad.join("\n"));
}
