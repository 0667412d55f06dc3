//! From the start of the initramfs to the root volume open, in the same guest with the same disk: by a person who types at once, by the
//! original, and by cotter, in turn. The machine is emulated: figures are for comparing within one run.

mod case;
mod scene;
mod sizes;

use crate::table::{Asked, Limit, markdown, median};
use boot::root::Framework;
use case::Case;
use compliance::quiet::BlackHole;
use compliance::{Curve, KeyDirectory, Maker, Server};
use scene::{Figures, Scene, Servers};

/// Each is most of a minute.
const ROUNDS: usize = 3;

/// The boots of one case: the original's, and ours.
struct Pair {
    case: Case,
    sides: Vec<(Maker, Scene)>,
    theirs: Vec<Figures>,
    ours: Vec<Figures>,
}

impl Pair {
    fn new(framework: Framework, case: Case, servers: &Servers) -> Pair {
        let makers = if case.is_for_both() { vec![Maker::Theirs, Maker::Ours] } else { vec![Maker::Ours] };
        let sides = makers.into_iter().map(|maker| (maker, Scene::new(framework, case, maker, servers))).collect();
        Pair { case, sides, theirs: Vec::new(), ours: Vec::new() }
    }

    fn boot(&mut self, round: usize) {
        for (maker, scene) in &self.sides {
            let figures = scene.boot(round);
            match maker {
                Maker::Theirs => self.theirs.push(figures),
                Maker::Ours => self.ours.push(figures),
            }
        }
    }
}

fn open(figures: &[Figures]) -> f64 {
    median(figures.iter().map(|figures| figures.open))
}

pub(crate) fn run() -> Vec<Asked> {
    let mut asked: Vec<Asked> = Framework::BOTH.into_iter().flat_map(one).collect();
    let (text, added) = sizes::table();
    println!("{text}");
    asked.extend(added);
    asked
}

fn one(framework: Framework) -> Vec<Asked> {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let servers = Servers { live: Server::start(Maker::Theirs, &keys), dead: BlackHole::start() };
    let mut pairs: Vec<Pair> = Case::ALL.iter().map(|case| Pair::new(framework, *case, &servers)).collect();
    for round in 1..=ROUNDS {
        for pair in &mut pairs {
            eprintln!("  {framework}, {}: round {round} of {ROUNDS}", pair.case.name());
            pair.boot(round);
        }
    }
    println!("{}", table(framework, &pairs));
    asked(framework, &pairs)
}

/// What the issue asks of answering whoever asks; a figure of ours beside the original's, or beside another one of ours.
fn asked(framework: Framework, pairs: &[Pair]) -> Vec<Asked> {
    let ours = |case: Case| pairs.iter().find(|pair| pair.case == case).map_or(f64::NAN, |pair| open(&pair.ours));
    let theirs = |case: Case| pairs.iter().find(|pair| pair.case == case).map_or(f64::NAN, |pair| open(&pair.theirs));
    let of_original = |case: Case| {
        let told = format!("{framework}: root open, {}, of the original's time", case.name());
        Asked::new(told, Limit::AtMost(0.5), ours(case) / theirs(case))
    };
    let of_typed = |case: Case| {
        let told = format!("{framework}: root open, {}, of that by a passphrase typed at once", case.name());
        Asked::new(told, Limit::Reported, ours(case) / ours(Case::Typed))
    };
    let (first, second) = (ours(Case::TangStatic), ours(Case::SecondVolume));
    let told = format!("{framework}: a second volume adds, of the first one's time");
    let mut asked: Vec<Asked> = [Case::TangStatic, Case::TangDhcp, Case::Tpm].map(of_original).into();
    asked.extend([Case::TangStatic, Case::TangDhcp, Case::Tpm].map(of_typed));
    asked.push(Asked::new(told, Limit::AtMost(0.1), (second - first) / first));
    let told = format!("{framework}: seconds that a dead first server adds");
    asked.push(Asked::new(told, Limit::AtMost(2.0), ours(Case::DeadServer) - first));
    asked
}

fn table(framework: Framework, pairs: &[Pair]) -> String {
    let columns = [
        "root opened by",
        "the original: server asked",
        "root open",
        "CPU",
        "cotter: server asked",
        "root open",
        "CPU",
        "of the original",
    ];
    let seconds = |value: f64| if value.is_nan() { "-".to_owned() } else { format!("{value:.1} s") };
    let row = |pair: &Pair| {
        let middle = |side: &[Figures], of: fn(&Figures) -> Option<f64>| seconds(median(side.iter().filter_map(of)));
        let three = |side: &[Figures]| {
            [middle(side, |it| it.asked), middle(side, |it| Some(it.open)), middle(side, |it| Some(it.cpu))]
        };
        let share = open(&pair.ours) / open(&pair.theirs);
        let share = if share.is_nan() { "-".to_owned() } else { format!("{share:.2}") };
        let cells = [pair.case.name().to_owned()].into_iter().chain(three(&pair.theirs)).chain(three(&pair.ours));
        cells.chain([share]).collect()
    };
    let rows: Vec<Vec<String>> = pairs.iter().map(row).collect();
    markdown(&format!("From the start of the initramfs: {framework}"), &columns, &rows)
}
