//! What the probe's word says of the server's own port, and since when. Pure.

use std::time::{Duration, Instant};

use super::probe::Probed;

/// Since when the port accepts and does not answer, and how the last probe ended.
#[derive(Debug, Default)]
pub struct PortCheck(Option<(Instant, String)>);

impl PortCheck {
    /// Takes the probe's newest word; a line when that changes something.
    pub fn hear(&mut self, probed: Probed, now: Instant) -> Option<String> {
        match (probed, self.0.take()) {
            (Probed::Silent(why), Some((since, _))) => {
                self.0 = Some((since, why));
                None
            }
            (Probed::Silent(why), None) => {
                let line = format!(
                    "[ERROR] [WATCHDOG] STALLED: the server's own port accepts but does not answer: {why}"
                );
                self.0 = Some((now, why));
                Some(line)
            }
            (Probed::Answers, Some((since, _))) => Some(format!(
                "[INFO] [WATCHDOG] the server's own port answers again after {:.1} s",
                now.saturating_duration_since(since).as_secs_f64()
            )),
            (Probed::Answers, None) => None,
        }
    }

    /// The watchdog did not run for this long: the port is not blamed for that time.
    pub fn excuse(&mut self, late: Duration) {
        if let Some((since, _)) = &mut self.0 {
            *since += late;
        }
    }

    /// How long it has not answered; none while it does.
    #[must_use]
    pub fn silent_for(&self, now: Instant) -> Option<Duration> {
        let (since, _) = self.0.as_ref()?;
        Some(now.saturating_duration_since(*since))
    }

    /// What is wrong with it, in words.
    #[must_use]
    pub fn words(&self, now: Instant) -> Option<String> {
        let (since, why) = self.0.as_ref()?;
        Some(format!(
            "the server's own port has accepted without answering for {} s ({why})",
            now.saturating_duration_since(*since).as_secs()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_when_it_begins_and_when_it_ends() {
        let (mut port, now) = (PortCheck::default(), Instant::now());
        let later = now + Duration::from_secs(7);
        let silent = || Probed::Silent("timed out".into());
        assert_eq!(port.hear(Probed::Answers, now), None);
        assert!(port.hear(silent(), now).unwrap().contains("timed out"));
        assert_eq!(port.hear(silent(), later), None);
        assert_eq!(port.silent_for(later), Some(Duration::from_secs(7)));
        assert!(port.words(later).unwrap().contains("for 7 s (timed out)"));
        let over = port.hear(Probed::Answers, later).unwrap();
        assert!(over.ends_with("answers again after 7.0 s"), "{over}");
        assert_eq!(port.words(later), None);
    }
}
