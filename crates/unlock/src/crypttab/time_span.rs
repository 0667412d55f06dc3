//! Time spans as systemd.time(7) writes them: `90`, `30s`, `1min30s`, `500ms`.

use super::fault::OptionError;
use std::fmt;
use std::time::Duration;

/// How long something is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Without end: written as zero, or `infinity`.
    Forever,
    /// This long, in whole microseconds and never zero.
    For(Duration),
}

const SECOND: u64 = 1_000_000;
const DAY: u64 = 86_400 * SECOND;

/// Units and their microseconds. Months and years are the mean ones of systemd.time(7).
const UNITS: &[(&[&str], u64)] = &[
    (&["", "s", "sec", "second", "seconds"], SECOND),
    (&["ms", "msec"], 1000),
    (&["us", "usec", "µs", "μs"], 1),
    (&["m", "min", "minute", "minutes"], 60 * SECOND),
    (&["h", "hr", "hour", "hours"], 3600 * SECOND),
    (&["d", "day", "days"], DAY),
    (&["w", "week", "weeks"], 7 * DAY),
    (&["M", "month", "months"], 2_629_800 * SECOND),
    (&["y", "year", "years"], 31_557_600 * SECOND),
];

impl Patience {
    /// Numbers with units and optional blanks between them, added up. A fraction is not read: a number in a smaller unit says it.
    pub(super) fn parse(text: &str) -> Result<Patience, OptionError> {
        let mut rest = text.trim();
        if rest == "infinity" {
            return Ok(Patience::Forever);
        }
        if rest.is_empty() {
            return Err(OptionError::NoValue);
        }
        let mut total = 0_u64;
        while !rest.is_empty() {
            let (part, after) = first_part(rest).ok_or(OptionError::NotATimeSpan)?;
            total = total.checked_add(part).ok_or(OptionError::NotATimeSpan)?;
            rest = after.trim_start();
        }
        Ok(if total == 0 { Patience::Forever } else { Patience::For(Duration::from_micros(total)) })
    }
}

/// The microseconds of the number and unit that `text` begins with, and what follows them.
fn first_part(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(digits)?;
    let rest = rest.trim_start();
    let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(letters)?;
    let (_, micros) = UNITS.iter().find(|(names, _)| names.contains(&unit))?;
    Some((number.parse::<u64>().ok()?.checked_mul(*micros)?, rest))
}

impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Patience::Forever => f.write_str("0"),
            Patience::For(time) if time.subsec_nanos() == 0 => write!(f, "{}s", time.as_secs()),
            Patience::For(time) => write!(f, "{}us", time.as_micros()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: u64) {
        let patience = Patience::parse(text).unwrap();
        assert_eq!(patience, Patience::For(Duration::from_millis(millis)), "{text}");
        assert_eq!(Patience::parse(&patience.to_string()).unwrap(), patience);
    }

    #[test]
    fn numbers_with_units_add_up() {
        check("90", 90_000);
        check("30s", 30_000);
        check("1min30s", 90_000);
        check("1 min 30", 90_000);
        check("2h 5m", 7_500_000);
        check("1500ms", 1500);
        check("7000us", 7);
        check("1d", 86_400_000);
    }

    #[test]
    fn zero_and_infinity_are_forever() {
        for text in ["0", "0s", "infinity"] {
            assert_eq!(Patience::parse(text), Ok(Patience::Forever), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["s", "1 parsec", "-1", "1.5s", "99999999999999999999", "99999999999999y", "1,5", "s1"] {
            assert_eq!(Patience::parse(text), Err(OptionError::NotATimeSpan), "{text}");
        }
        assert_eq!(Patience::parse(""), Err(OptionError::NoValue));
    }
}
