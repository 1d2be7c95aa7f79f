//! Spans of time as people write and read them: `90s`, `1h30m`, `30d`; `4s ago`.

use std::time::Duration;

use ground::Micros;

const UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

/// Reads a span like `250ms`, `90s`, `1h30m` or `2w`; fractions like `1.5h` work too. It is more than zero and at most a
/// hundred years.
///
/// # Errors
/// A sentence that tells what is expected, for the usage error.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let expected = || {
        format!(
            "`{text}` is not a span of time: expected something like 250ms, 90s, 1h30m, 30d or 2w"
        )
    };
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(expected());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .ok_or_else(expected)?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let (_, unit_ms) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(expected)?;
        let number: f64 = number.parse().map_err(|_| expected())?;
        let part =
            Duration::try_from_secs_f64(number * Duration::from_millis(*unit_ms).as_secs_f64())
                .map_err(|_| expected())?;
        total = total.checked_add(part).ok_or_else(expected)?;
        rest = after;
    }
    let limit = Duration::from_hours(100 * 366 * 24);
    match total {
        _ if total > limit => Err(format!("`{text}` is longer than a hundred years")),
        _ if total.as_millis() == 0 => {
            Err(format!("`{text}` is no time at all: expected at least 1ms"))
        }
        _ => Ok(total),
    }
}

/// A span in its one or two biggest units: `0s`, `850ms`, `42s`, `3m 20s`, `5h 2m`, `12d 4h`.
pub(crate) fn words(span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds == 0 {
        return match span.subsec_millis() {
            0 => "0s".to_owned(),
            millis => format!("{millis}ms"),
        };
    }
    let pair = |big: u64, big_unit, small: u64, small_unit| {
        if small == 0 {
            format!("{big}{big_unit}")
        } else {
            format!("{big}{big_unit} {small}{small_unit}")
        }
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => pair(seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => pair(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// A span in its biggest unit, for columns: `0s`, `42s`, `3m`, `5h`, `12d`.
pub(crate) fn short(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A moment as people read it: `2026-01-31 12:00:00 UTC`.
pub(crate) fn moment(at: Micros) -> String {
    let text = at.to_string();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    let time = time.split_once('.').map_or(time, |(seconds, _)| seconds);
    format!("{date} {time} UTC")
}

/// The time of day of a moment: `12:00:00.123`, UTC.
pub(crate) fn time_of_day(at: Micros) -> String {
    let text = at.to_string();
    text.split_once('T')
        .map_or("", |(_, time)| time)
        .trim_end_matches('Z')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_are_read() {
        let all = [
            ("250ms", 250),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("30d", 2_592_000_000),
            ("2w", 1_209_600_000),
            (" 5s ", 5_000),
        ];
        for (text, millis) in all {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused_with_an_example() {
        for text in [
            "", "5", "s", "5 apples", "-5s", "1h-30m", "1..5s", ".s", "5s!", "0s", "9999999w",
            "1e9s", "５s",
        ] {
            let refusal = parse(text).unwrap_err();
            assert!(refusal.starts_with('`'), "{text}: {refusal}");
        }
    }

    #[test]
    fn spans_are_written() {
        let all = [
            (0, "0s"),
            (42, "42s"),
            (60, "1m"),
            (200, "3m 20s"),
            (18_120, "5h 2m"),
            (1_051_200, "12d 4h"),
        ];
        for (seconds, text) in all {
            assert_eq!(words(Duration::from_secs(seconds)), text);
        }
        assert_eq!(words(Duration::from_millis(850)), "850ms");
        assert_eq!(short(Duration::from_mins(302)), "5h");
    }

    #[test]
    fn moments_are_written_for_people() {
        assert_eq!(
            moment(Micros(1_700_000_000_123_456)),
            "2023-11-14 22:13:20 UTC"
        );
        assert_eq!(time_of_day(Micros(1_700_000_000_123_456)), "22:13:20.123");
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,24}") {
            let _outcome = parse(&text);
        }

        #[test]
        fn what_is_written_is_read_back(seconds in 1u64..=3_000_000_000) {
            let span = Duration::from_secs(seconds);
            let back = parse(&words(span).replace(' ', "")).unwrap();
            // Two units are shown, so at most the third is lost.
            prop_assert!(back <= span && span < back + Duration::from_hours(1));
        }
    }
}
