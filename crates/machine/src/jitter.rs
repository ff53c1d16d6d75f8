//! The draw below a retry's delay: a stored format, so it is ours.

use std::time::Duration;
use towpath_model::{RunId, StepId};

/// A delay between zero and `ceiling`, the same wherever the run is driven.
///
/// The draw is splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014) of the
/// FNV-1a hash (Fowler, Noll, Vo; 64 bits) of run, step and attempt, scaled by its upper 53 bits.
///
/// ```
/// use towpath_model::{RunId, StepId};
/// use std::time::Duration;
/// let step = StepId::new("push")?;
/// let delay = towpath_machine::full_jitter(RunId::from_bytes([7; 16]), &step, 1, Duration::from_secs(1));
/// assert!(delay < Duration::from_secs(1));
/// # Ok::<(), towpath_model::IdError>(())
/// ```
pub fn full_jitter(run: RunId, step: &StepId, attempt: u32, ceiling: Duration) -> Duration {
    let bytes = run.as_bytes().iter().chain(step.as_str().as_bytes()).copied().chain(attempt.to_le_bytes());
    let seed =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let fraction = u128::from((z ^ (z >> 31)) >> 11);
    let micros = (ceiling.as_micros() * fraction) >> 53;
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_a_stored_format() {
        let (run, step) = (RunId::from_bytes([7; 16]), StepId::new("push").unwrap());
        let drawn: Vec<_> =
            (1..=4).map(|n| full_jitter(run, &step, n, Duration::from_secs(1)).as_micros()).collect();
        assert_eq!(drawn, [385800, 515311, 122636, 404460]);
    }

    #[test]
    fn jitter_fills_its_range() {
        let (run, step) = (RunId::from_bytes([1; 16]), StepId::new("a").unwrap());
        let ceiling = Duration::from_secs(1);
        let drawn: Vec<_> = (0..10_000).map(|n| full_jitter(run, &step, n, ceiling)).collect();
        let mean = drawn.iter().sum::<Duration>() / 10_000;
        assert!(drawn.iter().all(|d| *d < ceiling));
        assert!((490..510).contains(&mean.as_millis()), "mean {mean:?}");
    }
}
