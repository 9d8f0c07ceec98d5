//! The version of the next migration.

use std::time::{SystemTime, UNIX_EPOCH};

use touchmark_core::{FileName, Kind};

use crate::error::Error;

/// What counts to less than this counts by ones; a date alone has eight digits already.
const COUNTED: i64 = 10_000_000;

/// The next version as it is written in the file name: greater than every present one.
pub(crate) fn next(present: &[FileName], now: i64) -> Result<String, Error> {
    let versioned = present.iter().filter(|file| file.kind != Kind::Repeatable);
    let Some(newest) = versioned.max_by_key(|file| file.version) else {
        return Ok(now.to_string());
    };
    if newest.version < COUNTED {
        let width = usize::from(newest.digits);
        // Without leading zeros, the width is that of the number itself.
        return Ok(format!("{:0width$}", newest.version + 1));
    }
    let after = newest
        .version
        .checked_add(1)
        .ok_or_else(|| Error::Configuration {
            message: format!("no version is greater than {}", newest.version),
            help: "give that migration a smaller version, if it is applied nowhere".into(),
        })?;
    Ok(now.max(after).to_string())
}

/// `YYYYMMDDHHMMSS` in UTC.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    timestamp(i64::try_from(since.as_secs()).unwrap_or_default())
}

/// The same for a moment in seconds since 1970.
pub(crate) fn timestamp(seconds: i64) -> i64 {
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant's `civil_from_days`: years begin in March, so that the leap day is the last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = year * 10_000 + month * 100 + day;
    date * 1_000_000 + time / 3_600 * 10_000 + time / 60 % 60 * 100 + time % 60
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 20_260_131_120_000;

    #[track_caller]
    fn check(present: &[&str], expected: &str) {
        let present: Vec<_> = present
            .iter()
            .map(|digits| FileName {
                kind: Kind::Versioned,
                version: digits.parse().unwrap(),
                digits: digits.len() as u8,
                name: "x".into(),
                is_down: false,
            })
            .collect();
        let next = next(&present, NOW).unwrap();
        assert_eq!(next, expected);
        let version: i64 = next.parse().unwrap();
        assert!(present.iter().all(|file| file.version < version));
    }

    #[test]
    fn versions_grow() {
        check(&[], "20260131120000");
        check(&["1", "2", "10"], "11");
        check(&["001", "002"], "003");
        check(&["099"], "100");
        check(&["999"], "1000");
        check(&["0"], "1");
        check(&["20250101000000"], "20260131120000");
        // Two in one second, and a clock that goes wrong.
        check(&["20260131120000"], "20260131120001");
        check(&["1", "20991231235959"], "20991231235960");
        check(&["20240101"], "20260131120000");
        check(&["1700000000"], "20260131120000");
    }

    #[test]
    fn after_the_last_number_there_is_none() {
        let last = FileName {
            kind: Kind::OutOfOrder,
            version: i64::MAX,
            digits: 19,
            name: "x".into(),
            is_down: false,
        };
        assert!(next(&[last], NOW).is_err());
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(timestamp(0), 19_700_101_000_000);
        assert_eq!(timestamp(951_782_399), 20_000_228_235_959);
        assert_eq!(timestamp(951_782_400), 20_000_229_000_000);
        assert_eq!(timestamp(1_709_251_199), 20_240_229_235_959);
        assert_eq!(timestamp(1_735_689_599), 20_241_231_235_959);
        assert_eq!(timestamp(1_735_689_600), 20_250_101_000_000);
    }
}
