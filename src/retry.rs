//! Retries: which failures allow another attempt, how long to wait for it, and when to give up.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use crate::clock::Clock;
use crate::random::random;

/// The first wait is a random part of this; the span doubles with every attempt.
const FIRST_SPAN: Duration = Duration::from_millis(500);
/// The longest span of a wait.
const LONGEST_SPAN: Duration = Duration::from_secs(15);
/// The least time for an attempt: a shorter one would only time out, and its error would replace a better one.
pub(crate) const SHORTEST: Duration = Duration::from_millis(500);
/// Number of exchanges whose response can be lost: each can have created an API key that stays valid unused.
pub(crate) const RESPONSES_LOST: u32 = 3;

/// A longer `Retry-After` counts as this.
const LONGEST_ABSENCE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A longer wait by the server's clock is compared with that by this machine's.
const LONGEST_PLAUSIBLE: Duration = Duration::from_secs(60 * 60);

/// What a failure means for another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It would fail in the same way.
    Never,
    /// It can succeed, but not before the server's `Retry-After`, if there is one.
    After(Option<Duration>),
    /// It can succeed; but the request was sent, and its result is unknown.
    ResponseLost,
    /// It could succeed only with another credential than the only one.
    TokenConsumed,
    /// It can succeed, if this is the first failure of this kind; `Retry-After` as above.
    Once(Option<Duration>),
}

impl Retry {
    /// The same for a request that creates nothing: with its response nothing is lost.
    pub(crate) fn of_a_read(self) -> Retry {
        if self == Retry::ResponseLost { Retry::After(None) } else { self }
    }
}

/// Reads a `Retry-After` header: seconds, or a date as HTTP has them (RFC 9110, section 10.2.3). The date is by the server's
/// clock, which can differ from this machine's; but a cache can have kept the server's date.
pub(crate) fn retry_after(value: &str, now: SystemTime, server_now: Option<SystemTime>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)).min(LONGEST_ABSENCE));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let wait = |now| date.duration_since(now).unwrap_or_default().min(LONGEST_ABSENCE);
    match server_now.map(wait) {
        Some(by_server) if by_server <= LONGEST_PLAUSIBLE => Some(by_server),
        by_server => Some(wait(now).min(by_server.unwrap_or(Duration::MAX))),
    }
}

/// The attempts of one run, with one deadline.
pub(crate) struct Attempts<'a> {
    clock: &'a dyn Clock,
    timeout: Duration,
    deadline: Instant,
    failed: u32,
    responses_lost: u32,
    repeated: bool,
}

impl<'a> Attempts<'a> {
    /// Begins the first attempt. `timeout` is for all of them together, waits included.
    pub(crate) fn begin(clock: &'a dyn Clock, timeout: Duration) -> Attempts<'a> {
        Attempts { clock, timeout, deadline: clock.now() + timeout, failed: 0, responses_lost: 0, repeated: false }
    }

    /// Time until the deadline.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(self.clock.now())
    }

    /// How many attempts failed so far.
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }

    /// Records that the attempt failed. Returns the time to wait before the next one, or why there is none.
    pub(crate) fn next(&mut self, retry: Retry) -> Result<Duration, StopReason> {
        self.failed += 1;
        let least = match retry {
            Retry::Never => return Err(StopReason::Permanent),
            Retry::TokenConsumed => return Err(StopReason::TokenConsumed),
            Retry::Once(_) if std::mem::replace(&mut self.repeated, true) => return Err(StopReason::Permanent),
            Retry::Once(least) | Retry::After(least) => least.unwrap_or_default(),
            Retry::ResponseLost => {
                self.responses_lost += 1;
                Duration::ZERO
            }
        };
        if self.responses_lost == RESPONSES_LOST {
            return Err(StopReason::ResponsesLost);
        }
        let wait = least.saturating_add(jitter(self.failed));
        if wait.saturating_add(SHORTEST) < self.left() {
            Ok(wait)
        } else {
            Err(StopReason::Deadline { wait, timeout: self.timeout })
        }
    }
}

/// A random part of the span after this many failed attempts: jobs that failed together do not return together.
fn jitter(failed: u32) -> Duration {
    let span = FIRST_SPAN.saturating_mul(1 << (failed - 1).min(16)).min(LONGEST_SPAN);
    span.mul_f64(random() as f64 / u64::MAX as f64)
}

/// Why there is no next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// It would fail in the same way.
    Permanent,
    /// It would begin after the deadline, or shortly before it: after this wait, of this time for everything.
    Deadline { wait: Duration, timeout: Duration },
    /// The responses of too many exchanges were lost.
    ResponsesLost,
    /// The only ID token was sent.
    TokenConsumed,
}

impl fmt::Display for StopReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopReason::Permanent => formatter.write_str("another attempt would fail in the same way"),
            StopReason::TokenConsumed => formatter.write_str("the job has only one ID token, and it was already sent"),
            StopReason::Deadline { wait, timeout } => write!(
                formatter,
                "the next one would start in {}, too late for the time limit (timeout-seconds: {})",
                Seconds(*wait),
                timeout.as_secs()
            ),
            StopReason::ResponsesLost => write!(formatter, "{RESPONSES_LOST} exchanges had no response"),
        }
    }
}

/// A time in words: `0.4 seconds`, `1 second`, `30 seconds`.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.as_micros().div_ceil(100_000);
        match (tenths / 10, tenths % 10) {
            (1, 0) => formatter.write_str("1 second"),
            (whole, tenth) if tenth == 0 || whole >= 10 => {
                write!(formatter, "{} seconds", whole + u128::from(tenth != 0))
            }
            (whole, tenth) => write!(formatter, "{whole}.{tenth} seconds"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn spans_double_from_half_a_second_to_fifteen() {
        let longest = |failed| (0..2_000).map(|_| jitter(failed)).max().unwrap().as_secs_f64();
        for (failed, span) in [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (6, 15.0), (7, 15.0), (1_000, 15.0)] {
            assert!(longest(failed) <= span && longest(failed) > span * 0.95, "{failed}: {}", longest(failed));
        }
        assert!((0..2_000).map(|_| jitter(6)).min().unwrap() < Duration::from_millis(750), "full jitter");
    }

    #[test]
    fn retry_after_is_a_minimum() {
        let mut attempts = Attempts::begin(&SystemClock, MINUTE);
        let wait = attempts.next(Retry::After(Some(Duration::from_secs(7)))).unwrap();
        assert!((7.0..=7.5).contains(&wait.as_secs_f64()), "{wait:?}");
    }

    #[test]
    fn a_wait_that_would_pass_the_deadline_ends_it() {
        let end = Attempts::begin(&SystemClock, MINUTE).next(Retry::After(Some(MINUTE)));
        assert!(matches!(end, Err(StopReason::Deadline { wait, timeout: MINUTE }) if wait >= MINUTE), "{end:?}");
        let end = Attempts::begin(&SystemClock, MINUTE).next(Retry::After(Some(Duration::MAX)));
        assert!(matches!(end, Err(StopReason::Deadline { wait: Duration::MAX, .. })), "{end:?}");
    }

    #[test]
    fn the_third_exchange_without_an_answer_is_the_last() {
        let mut attempts = Attempts::begin(&SystemClock, MINUTE);
        let retries = [Retry::ResponseLost, Retry::After(None), Retry::ResponseLost, Retry::After(None)];
        assert!(retries.into_iter().all(|retry| attempts.next(retry).is_ok()));
        assert_eq!(attempts.next(Retry::ResponseLost), Err(StopReason::ResponsesLost));
        assert_eq!(attempts.failed(), 5);
    }

    #[test]
    fn a_failure_that_is_retried_once_is_final_the_second_time() {
        let mut attempts = Attempts::begin(&SystemClock, MINUTE);
        assert!(attempts.next(Retry::Once(None)).is_ok());
        assert!(attempts.next(Retry::After(None)).is_ok());
        assert_eq!(attempts.next(Retry::Once(None)), Err(StopReason::Permanent));
    }

    #[test]
    fn retry_after_is_seconds_or_any_of_https_dates() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, seconds) in [
            ("0", 0),
            (" 120 ", 120),
            ("Sun, 06 Nov 1994 08:50:07 GMT", 30),
            ("Sunday, 06-Nov-94 08:50:07 GMT", 30),
            ("Sun Nov  6 08:50:07 1994", 30),
            ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
            ("99999999999999999999999999", 31_536_000),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 31_536_000),
        ] {
            assert_eq!(retry_after(value, now, None), Some(Duration::from_secs(seconds)), "{value}");
        }
        for value in ["", "-1", "1.5", "+3", "soon", "Sun, 06 Nov 1994", "٣"] {
            assert_eq!(retry_after(value, now, None), None, "{value}");
        }
    }

    #[test]
    fn a_date_is_by_the_servers_clock_unless_that_is_implausible() {
        let date = |seconds| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let now = 1_800_000_000;
        // This machine's clock is wrong.
        for local in [0, now - 600, now + 600, now + 86_400] {
            assert_eq!(retry_after(&date(now + 2), at(local), Some(at(now))), Some(Duration::from_secs(2)));
        }
        // The server's date is wrong, or old.
        for server in [0, now - 3_600] {
            assert_eq!(retry_after(&date(now + 2), at(now), Some(at(server))), Some(Duration::from_secs(2)));
        }
        assert_eq!(retry_after(&date(now + 7_200), at(now), Some(at(now))), Some(Duration::from_secs(7_200)));
    }

    #[test]
    fn a_time_in_words_is_never_less_than_it_is() {
        for (milliseconds, words) in [
            (0, "0 seconds"),
            (1, "0.1 seconds"),
            (400, "0.4 seconds"),
            (950, "1 second"),
            (1_000, "1 second"),
            (9_910, "10 seconds"),
            (14_100, "15 seconds"),
            (120_000, "120 seconds"),
        ] {
            assert_eq!(Seconds(Duration::from_millis(milliseconds)).to_string(), words);
        }
    }
}
