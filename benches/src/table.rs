//! Medians, units, and the markdown that comes out.

use crate::clock::Cost;
use std::fmt::Write as _;

/// Rounds in which the sides take turns.
pub(crate) const ROUNDS: usize = 5;

/// Lets the sides take turns and returns each one's samples, a list for each side.
pub(crate) fn in_turn<S>(sides: &mut [&mut dyn FnMut() -> S]) -> Vec<Vec<S>> {
    let mut samples: Vec<Vec<S>> = sides.iter().map(|_| Vec::new()).collect();
    for round in 1..=ROUNDS {
        eprintln!("  round {round} of {ROUNDS}");
        for (side, samples) in sides.iter_mut().zip(&mut samples) {
            samples.push(side());
        }
    }
    samples
}

/// The middle of the values; the upper one of two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median CPU and the median wall time, each for itself.
pub(crate) fn median_cost(costs: &[Cost]) -> Cost {
    Cost { cpu: median(costs.iter().map(|cost| cost.cpu)), wall: median(costs.iter().map(|cost| cost.wall)) }
}

/// Seconds with three digits that matter.
pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 0.9995 => format!("{s:.2} s"),
        s if s >= 0.1 => format!("{:.0} ms", s * 1e3),
        s if s >= 0.0009995 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.1} µs", s * 1e6),
    }
}

/// A ratio with three digits that matter.
pub(crate) fn ratio(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 0.1 => format!("{v:.2}"),
        v => format!("{v:.4}"),
    }
}

/// A heading, a line of column names, and rows.
pub(crate) fn markdown(heading: &str, columns: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("## {heading}\n\n| {} |\n|{}\n", columns.join(" | "), " --- |".repeat(columns.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// A limit that a figure must keep.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
    /// Stands beside the others and decides nothing.
    Reported,
}

/// One line of what was asked for, and what was seen.
pub(crate) struct Asked {
    pub(crate) what: String,
    pub(crate) limit: Limit,
    pub(crate) seen: f64,
}

impl Asked {
    /// A figure with its limit.
    pub(crate) fn new(what: impl Into<String>, limit: Limit, seen: f64) -> Asked {
        Asked { what: what.into(), limit, seen }
    }

    fn row(&self) -> Vec<String> {
        let (limit, verdict) = match self.limit {
            Limit::AtMost(most) => (format!("≤ {}", ratio(most)), if self.seen <= most { "yes" } else { "**no**" }),
            Limit::AtLeast(least) => (format!("≥ {}", ratio(least)), if self.seen >= least { "yes" } else { "**no**" }),
            Limit::Reported => (String::new(), ""),
        };
        vec![self.what.clone(), limit, ratio(self.seen), verdict.to_owned()]
    }
}

/// The table that answers the question of it all.
pub(crate) fn verdicts(asked: &[Asked]) -> String {
    let rows: Vec<Vec<String>> = asked.iter().map(Asked::row).collect();
    markdown("What was asked for", &["figure", "asked", "seen", "kept"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 3.0);
        assert!(median([]).is_nan());
    }

    #[test]
    fn sides_take_turns() {
        let order = std::cell::RefCell::new(String::new());
        let (mut a, mut b) = (|| order.borrow_mut().push('a'), || order.borrow_mut().push('b'));
        let samples = in_turn(&mut [&mut a, &mut b]);
        assert_eq!(samples.iter().map(Vec::len).collect::<Vec<_>>(), [ROUNDS, ROUNDS]);
        assert_eq!(*order.borrow(), "ab".repeat(ROUNDS));
    }

    #[test]
    fn numbers_have_three_digits() {
        let check = |seconds, expected: &str| assert_eq!(time(seconds), expected);
        check(0.000_041_23, "41.2 µs");
        check(0.004_123, "4.12 ms");
        check(0.4123, "412 ms");
        check(4.123, "4.12 s");
        assert_eq!([ratio(0.012_34), ratio(1.234), ratio(12.34), ratio(123.4)], ["0.0123", "1.23", "12.3", "123"]);
    }

    #[test]
    fn a_limit_has_a_verdict() {
        let text = verdicts(&[
            Asked::new("a", Limit::AtMost(1.3), 1.31),
            Asked::new("b", Limit::AtLeast(10.0), 11.0),
            Asked::new("c", Limit::Reported, 5.0),
            Asked::new("d", Limit::AtMost(1.0), f64::NAN),
        ]);
        for line in ["| a | ≤ 1.30 | 1.31 | **no** |", "| b | ≥ 10.0 | 11.0 | yes |", "| c |  | 5.00 |  |"] {
            assert!(text.contains(line), "{text}");
        }
        assert!(text.contains("| NaN | **no** |"), "what was not measured is not kept: {text}");
    }
}
