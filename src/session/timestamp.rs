//! Reading the one kind of timestamp that the service writes as text: RFC 3339.

/// Reads a timestamp such as `2026-01-25T08:56:38Z`, with or without a fraction or an offset, as seconds
/// since 1970.
pub(super) fn parse_seconds(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let (year, month, day) = three(date, '-', [4, 2, 2])?;
    let (time, offset) = match time.strip_suffix(['Z', 'z']) {
        Some(time) => (time, 0),
        None => {
            let (time, offset) = time.split_at_checked(time.len().checked_sub(6)?)?;
            let east = match offset.get(..1)? {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (time, east * (hours * 3600 + minutes * 60))
        }
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hour, minute, second) = three(time, ':', [2, 2, 2])?;
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let month_len = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    // A leap second (60) reads as the second after it.
    if !(1..=month_len).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    u64::try_from(seconds - offset).ok()
}

fn three(text: &str, separator: char, lengths: [usize; 3]) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(separator);
    let mut next = |len| digits(parts.next()?, len);
    let [first, second, third] = lengths;
    let found = (next(first)?, next(second)?, next(third)?);
    parts.next().is_none().then_some(found)
}

fn digits(text: &str, len: usize) -> Option<i64> {
    let plain = text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Days from 1970-01-01 in the Gregorian calendar, counted in years that begin in March so that the
/// leap day is the last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse_seconds as seconds;

    #[test]
    fn reads_timestamps() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-01-25T08:56:38Z", 1_769_331_398),
            ("2026-01-25t08:56:38.999999999z", 1_769_331_398),
            ("2026-01-25T10:56:38+02:00", 1_769_331_398),
            ("2026-01-24T23:26:38-09:30", 1_769_331_398),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2024-02-29T00:00:00Z", 1_709_164_800),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "T",
            "Z",
            "1769331398",
            "2026-01-25",
            "2026-01-25T08:56:38",
            "2026-01-25 08:56:38Z",
            "2026-1-25T08:56:38Z",
            "2026-13-25T08:56:38Z",
            "2026-00-25T08:56:38Z",
            "2026-02-29T08:56:38Z",
            "1900-02-29T08:56:38Z",
            "2026-04-31T08:56:38Z",
            "2026-01-00T08:56:38Z",
            "2026-01-25T24:00:00Z",
            "2026-01-25T08:60:00Z",
            "2026-01-25T08:56:61Z",
            "2026-01-25T08:56:38.Z",
            "2026-01-25T08:56:38.xZ",
            "2026-01-25T08:56:38+2:00",
            "2026-01-25T08:56:38+24:00",
            "2026-01-25T08:56:38+00:60",
            "2026-01-25T08:56:38\u{e9}+00:0",
            "+026-01-25T08:56:38Z",
            "1969-12-31T23:59:59Z",
            "2026-01-25T08:56:38Z ",
            "2026-01-25T-8:56:38Z",
            "2026-01-25-01T08:56:38Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn counts_every_day_of_four_centuries() {
        let mut expected = 0;
        for year in 1970..2370 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let Some(found) = seconds(&format!("{year}-{month:02}-{day:02}T00:00:00Z"))
                    else {
                        continue;
                    };
                    assert_eq!(found, expected, "{year}-{month}-{day}");
                    expected += 86_400;
                }
            }
        }
        assert_eq!(
            expected,
            146_097 * 86_400,
            "as many days as four centuries have"
        );
    }
}
