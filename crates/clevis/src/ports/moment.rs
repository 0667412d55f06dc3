//! A time of the calendar: what certificates are good from and until, and what a clock says.

use std::fmt;

/// Whole seconds since 1970-01-01 00:00:00 UTC, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

const DAY: u64 = 86_400;

impl Moment {
    /// The moment of a date in UTC: year 1970 to 9999, month and day from 1, hour, minute and second from 0. Nothing for a date that
    /// there is not.
    pub fn of(year: u64, month: u64, day: u64, [hour, minute, second]: [u64; 3]) -> Option<Moment> {
        let fits =
            (1970..=9999).contains(&year) && (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 60;
        if !fits || !(1..=days_of(year, month)).contains(&day) {
            return None;
        }
        let months = (1..month).map(|month| days_of(year, month)).sum::<u64>();
        Some(Moment((days_before(year) + months + day - 1) * DAY + hour * 3600 + minute * 60 + second))
    }
}

/// Days from the beginning of 1970 to that of `year`, which is not before it.
fn days_before(year: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

fn days_of(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Moment {
    /// As `2026-11-22 22:40:01 UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment(seconds) = *self;
        // No date that anything here reads is later; a clock may say anything.
        let days = (seconds / DAY).min(days_before(10_000) - 1);
        // At most as many years as there would be without leap days.
        let mut year = 1970 + days / 366;
        while days_before(year + 1) <= days {
            year += 1;
        }
        let (mut month, mut day) = (1, days - days_before(year));
        while day >= days_of(year, month) {
            day -= days_of(year, month);
            month += 1;
        }
        let time = seconds % DAY;
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        write!(f, "{year:04}-{month:02}-{:02} {hour:02}:{minute:02}:{second:02} UTC", day + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `date -u -d @SECONDS`.
    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_795_387_201, "2026-11-22 22:40:01 UTC"),
            (4_107_542_399, "2100-02-28 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(Moment(seconds).to_string(), text);
            let number = |at: std::ops::Range<usize>| text[at].parse::<u64>().unwrap();
            let time = [number(11..13), number(14..16), number(17..19)];
            assert_eq!(Moment::of(number(0..4), number(5..7), number(8..10), time), Some(Moment(seconds)), "{text}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = String::new();
        for day in 0..60_000 {
            let text = Moment(day * DAY).to_string();
            assert!(text > last, "{last} {text}");
            last = text;
        }
    }

    #[test]
    fn a_date_that_there_is_not_is_none_and_any_clock_is_shown() {
        for (year, month, day) in
            [(1969, 12, 31), (10_000, 1, 1), (2026, 0, 1), (2026, 13, 1), (2026, 1, 0), (2026, 2, 29), (2100, 2, 29)]
        {
            assert_eq!(Moment::of(year, month, day, [0, 0, 0]), None, "{year}-{month}-{day}");
        }
        for time in [[24, 0, 0], [0, 60, 0], [0, 0, 60]] {
            assert_eq!(Moment::of(2026, 1, 1, time), None, "{time:?}");
        }
        assert!(Moment(u64::MAX).to_string().starts_with("9999-12-31 "));
    }
}
