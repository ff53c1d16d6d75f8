//! The base score of CVSS v3.0 and v3.1.
//!
//! <https://www.first.org/cvss/v3.1/specification-document>, sections 7.1 (equations), 7.4 (values) and appendix A (rounding);
//! v3.0 differs in how it rounds alone.

use towpath_provider::Score;

/// Base metrics with their values, in the order of the specification.
const BASE: [(&str, &str); 8] = [
    ("AV", "NALP"),
    ("AC", "LH"),
    ("PR", "NLH"),
    ("UI", "NR"),
    ("S", "UC"),
    ("C", "NLH"),
    ("I", "NLH"),
    ("A", "NLH"),
];

/// Temporal and environmental metrics: they may be there, and are no part of the base score.
const OTHERS: [&str; 14] =
    ["E", "RL", "RC", "CR", "IR", "AR", "MAV", "MAC", "MPR", "MUI", "MS", "MC", "MI", "MA"];

/// The base score of a vector; `None` when it is none.
pub(super) fn base_score(vector: &str) -> Option<Score> {
    let (version, metrics) = vector.split_once('/')?;
    let round = match version {
        "CVSS:3.0" => round_up_3_0,
        "CVSS:3.1" => round_up_3_1,
        _ => return None,
    };
    Some(Score::of_tenths(round(exact(&read(metrics)?))))
}

/// The values of the base metrics. Each has to be there once, and none may be there twice.
fn read(metrics: &str) -> Option<[char; 8]> {
    let mut values = [None; 8];
    let mut others = Vec::new();
    for metric in metrics.split('/') {
        let (name, value) = metric.split_once(':')?;
        if let Some(at) = BASE.iter().position(|(base, _)| *base == name) {
            let mut letters = value.chars();
            let letter = letters.next().filter(|letter| BASE[at].1.contains(*letter))?;
            if letters.next().is_some() || values[at].replace(letter).is_some() {
                return None;
            }
        } else {
            if !OTHERS.contains(&name) || others.contains(&name) {
                return None;
            }
            others.push(name);
        }
    }
    let mut read = [' '; 8];
    for (to, from) in read.iter_mut().zip(values) {
        *to = from?;
    }
    Some(read)
}

/// The score before it is rounded.
fn exact([av, ac, pr, ui, s, c, i, a]: &[char; 8]) -> f64 {
    let changed = *s == 'C';
    let impact_of = |letter: &char| match letter {
        'H' => 0.56,
        'L' => 0.22,
        _ => 0.0,
    };
    let iss = 1.0 - (1.0 - impact_of(c)) * (1.0 - impact_of(i)) * (1.0 - impact_of(a));
    let impact = if changed { 7.52 * (iss - 0.029) - 3.25 * (iss - 0.02_f64).powi(15) } else { 6.42 * iss };
    if impact <= 0.0 {
        return 0.0;
    }
    let vector = match av {
        'N' => 0.85,
        'A' => 0.62,
        'L' => 0.55,
        _ => 0.2,
    };
    let complexity = if *ac == 'L' { 0.77 } else { 0.44 };
    let privileges = match (pr, changed) {
        ('N', _) => 0.85,
        ('L', false) => 0.62,
        ('L', true) => 0.68,
        (_, false) => 0.27,
        (_, true) => 0.5,
    };
    let interaction = if *ui == 'N' { 0.85 } else { 0.62 };
    let exploitability = 8.22 * vector * complexity * privileges * interaction;
    let scope = if changed { 1.08 } else { 1.0 };
    (scope * (impact + exploitability)).min(10.0)
}

/// Up to the next tenth; in tenths.
fn round_up_3_0(score: f64) -> u8 {
    (score * 10.0).ceil() as u8
}

/// The same on hundred-thousandths, so that what is a tenth but for the error of the arithmetic stays one (appendix A).
fn round_up_3_1(score: f64) -> u8 {
    let parts = (score * 100_000.0).round() as u32;
    parts.div_ceil(10_000) as u8
}

#[cfg(test)]
mod tests {
    use super::{BASE, base_score};
    use std::str::FromStr;

    #[test]
    fn scores_are_those_that_were_published() {
        // The examples of FIRST (<https://www.first.org/cvss/v3.1/examples>).
        for (metrics, score) in [
            ("AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "6.1"),
            ("AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", "6.4"),
            ("AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", "3.1"),
            ("AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", "9.9"),
            ("AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", "4.2"),
            ("AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", "8.8"),
            ("AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", "7.8"),
            ("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "7.5"),
            ("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "9.8"),
            ("AV:N/AC:H/PR:N/UI:N/S:C/C:N/I:H/A:N", "6.8"),
            ("AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "6.8"),
            ("AV:N/AC:L/PR:N/UI:N/S:C/C:L/I:N/A:N", "5.8"),
            ("AV:A/AC:L/PR:N/UI:N/S:C/C:H/I:N/A:H", "9.3"),
            ("AV:N/AC:L/PR:L/UI:R/S:C/C:L/I:L/A:N", "5.4"),
            ("AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N", "4.6"),
            ("AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:N", "7.4"),
            ("AV:N/AC:L/PR:N/UI:R/S:C/C:H/I:H/A:H", "9.6"),
            ("AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "0.0"),
        ] {
            let told = base_score(&format!("CVSS:3.1/{metrics}")).unwrap();
            assert_eq!(told.to_string(), score, "{metrics}");
        }
    }

    #[test]
    fn every_vector_has_the_score_that_another_program_gives_it() {
        let mut vectors = vec![String::new()];
        for (name, values) in BASE {
            let longer =
                |vector: &String| values.chars().map(|v| format!("{vector}/{name}:{v}")).collect::<Vec<_>>();
            vectors = vectors.iter().flat_map(longer).collect();
        }
        assert_eq!(vectors.len(), 2_592);
        for vector in vectors.iter().flat_map(|v| [format!("CVSS:3.0{v}"), format!("CVSS:3.1{v}")]) {
            let theirs = cvss::Cvss::from_str(&vector).unwrap().score();
            let ours = f64::from(base_score(&vector).unwrap().tenths()) / 10.0;
            assert!((ours - theirs).abs() < 1e-9, "{vector}: {ours}, and not {theirs}");
        }
    }

    #[test]
    fn what_is_no_vector_has_no_score() {
        let good = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
        assert!(base_score(good).is_some() && base_score(&format!("{good}/E:U/MAV:L")).is_some());
        for bad in [
            "",
            "9.8",
            "CVSS:3.1",
            "CVSS:2.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/A:H",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:X",
            "CVSS:3.1/AV:NN/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/Q:1",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/",
        ] {
            assert_eq!(base_score(bad), None, "{bad:?}");
        }
    }
}
