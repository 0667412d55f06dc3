//! Programs that do the same thing, run in turn: what each costs, and what that is of the original's.

use crate::clock::{self, Cost};
use crate::table::{in_turn, median_cost, ratio, time};
use std::process::{Command, Stdio};

/// One of the programs.
pub(crate) struct Side {
    /// As a person types it, without the words that name files.
    pub(crate) name: &'static str,
    pub(crate) command: Command,
    /// How often one round runs it: the kernel shows the CPU time of children in hundredths of a second.
    pub(crate) runs: u64,
}

/// The columns of [`row`].
pub(crate) fn columns(original: &'static str) -> [&'static str; 5] {
    ["program", "CPU", original, "wall", original]
}

/// The median cost of one run of each, in the order of the sides. Input is empty, and output is not looked at.
pub(crate) fn measure<const N: usize>(mut sides: [Side; N]) -> [Cost; N] {
    let mut rounds: Vec<_> = sides.iter_mut().map(|side| move || round(side)).collect();
    let mut rounds: Vec<&mut dyn FnMut() -> Cost> = rounds.iter_mut().map(|round| round as _).collect();
    let medians: Vec<Cost> = in_turn(&mut rounds).iter().map(|samples| median_cost(samples)).collect();
    medians.try_into().expect("every side was measured")
}

/// A row of a table: `cost`, and what it is of the original's.
pub(crate) fn row(name: &str, cost: Cost, original: Cost) -> Vec<String> {
    let of_original = [ratio(cost.cpu / original.cpu), ratio(cost.wall / original.wall)];
    let [cpu, wall] = of_original;
    vec![name.to_owned(), time(cost.cpu), cpu, time(cost.wall), wall]
}

fn round(side: &mut Side) -> Cost {
    side.command.stdin(Stdio::null());
    let work = || {
        for _ in 0..side.runs {
            let output = side.command.output().unwrap();
            assert!(output.status.success(), "{}: {}", side.name, String::from_utf8_lossy(&output.stderr));
        }
    };
    clock::of_children(work).shared(side.runs)
}
