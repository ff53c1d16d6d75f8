//! What is told to Prometheus is read by a strict parser of its text format 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use super::{proxy::metrics, world::World};
use std::collections::{BTreeMap, BTreeSet};
use towpath_provider::RouteChange;

#[derive(Debug)]
struct Family {
    kind: String,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

fn is_name(name: &str, with_colon: bool) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || (with_colon && c == ':');
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(good)
}

fn labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    let (mut labels, mut rest) = (BTreeMap::new(), text);
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(name, false) {
            return Err(format!("{name:?} is no label"));
        }
        let (mut value, mut characters) = (String::new(), after.char_indices());
        let end = loop {
            match characters.next().ok_or("a value without an end")? {
                (at, '"') => break at,
                (_, '\\') => match characters.next().ok_or("a backslash at the end")?.1 {
                    '\\' => value.push('\\'),
                    '"' => value.push('"'),
                    'n' => value.push('\n'),
                    other => return Err(format!("\\{other} means nothing")),
                },
                (_, other) => value.push(other),
            }
        };
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name} twice"));
        }
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Ok(labels)
}

fn parse(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut current, mut helped, mut seen) = (String::new(), BTreeSet::new(), BTreeSet::new());
    if !text.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, _) = help.split_once(' ').ok_or("a help without a text")?;
            if !is_name(name, true) || !helped.insert(name.to_owned()) {
                return Err(format!("the help of {name} is wrong or there twice"));
            }
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').ok_or("a type without a word")?;
            if !["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind)
                || families.contains_key(name)
            {
                return Err(format!("the type of {name} is wrong or there twice"));
            }
            current = name.to_owned();
            families.insert(current.clone(), Family { kind: kind.to_owned(), samples: Vec::new() });
        } else {
            let (name, rest) = line.split_once('{').ok_or(format!("no labels in {line:?}"))?;
            let (inner, value) = rest.rsplit_once("} ").ok_or(format!("no value in {line:?}"))?;
            let family = families.get_mut(&current).ok_or("a sample before its type")?;
            let suffix = name.strip_prefix(current.as_str()).ok_or(format!("{name} is not of {current}"))?;
            let is_allowed = match family.kind.as_str() {
                "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
                _ => suffix.is_empty(),
            };
            let value: f64 = value.parse().map_err(|_| format!("{value:?} is no number"))?;
            if !is_allowed
                || !is_name(name, true)
                || !seen.insert(line.rsplit_once(' ').unwrap().0.to_owned())
            {
                return Err(format!("{line:?} does not belong here, or is there twice"));
            }
            if family.kind == "counter" && !name.ends_with("_total") {
                return Err(format!("the counter {name} is not called a total"));
            }
            family.samples.push((suffix.to_owned(), labels(inner)?, value));
        }
    }
    families.values().filter(|family| family.kind == "histogram").try_for_each(histogram)?;
    Ok(families)
}

/// Buckets ascend, are cumulative, and end with all.
fn histogram(family: &Family) -> Result<(), String> {
    let mut series: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    let mut totals: BTreeMap<BTreeMap<String, String>, (Option<f64>, Option<f64>)> = BTreeMap::new();
    for (suffix, labels, value) in &family.samples {
        let mut labels = labels.clone();
        let bound = labels.remove("le");
        match (suffix.as_str(), bound) {
            ("_bucket", Some(bound)) => {
                let bound =
                    if bound == "+Inf" { f64::INFINITY } else { bound.parse().map_err(|_| "a bound")? };
                series.entry(labels).or_default().push((bound, *value));
            }
            ("_count", None) => totals.entry(labels).or_default().0 = Some(*value),
            ("_sum", None) => totals.entry(labels).or_default().1 = Some(*value),
            _ => return Err("a bucket without a bound, or a bound without a bucket".into()),
        }
    }
    for (labels, buckets) in &series {
        let rises = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let last = buckets.last().ok_or("no bucket")?;
        if !rises || last.0 != f64::INFINITY || totals.get(labels).and_then(|total| total.0) != Some(last.1) {
            return Err(format!("the histogram of {labels:?} is wrong: {buckets:?}"));
        }
    }
    let whole = totals.values().all(|(count, sum)| count.is_some() && sum.is_some());
    if whole && totals.len() == series.len() { Ok(()) } else { Err("a histogram that is not whole".into()) }
}

#[test]
fn the_parser_is_strict() {
    let head = "# HELP a_total x\n# TYPE a_total counter\n";
    parse(&format!("{head}a_total{{b=\"c\\\\d\\n\\\"\"}} 1\n")).unwrap();
    for wrong in [
        "a_total{b=\"c\"} 1\n".to_owned(),
        format!("{head}a_total{{b=\"c\"}} 1"),
        format!("{head}b_total{{b=\"c\"}} 1\n"),
        format!("{head}a_total{{b=\"c\"}} x\n"),
        format!("{head}a_total{{b=\"c\\d\"}} 1\n"),
        format!("{head}a_total{{1=\"c\"}} 1\n"),
        format!("{head}a_total{{b=\"c\"}} 1\na_total{{b=\"c\"}} 1\n"),
        format!("{head}{head}"),
        "# TYPE a counter\na{b=\"c\"} 1\n".to_owned(),
        "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum{} 1\nh_count{} 1\n"
            .to_owned(),
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum{} 1\nh_count{} 1\n".to_owned(),
        "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count{} 1\n".to_owned(),
    ] {
        parse(&wrong).unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_is_of_the_text_format_and_true() {
    let world = World::new();
    let mut client = world.serving("orders", "1.0.0").await;
    world.up("orders", "2.0.0").await;
    world.route("orders", RouteChange::split("1.0.0", "2.0.0", 20, None)).await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    world.up("basket", "1").await;
    let families = parse(&metrics(&world).await).unwrap();
    let value = |family: &str, suffix: &str, wanted: &[(&str, &str)]| {
        let wanted: BTreeMap<_, _> = wanted.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let samples = &families[family].samples;
        samples.iter().find(|(of, labels, _)| of == suffix && *labels == wanted).map(|(.., value)| *value)
    };
    let (orders, old, new) = (("service", "orders"), ("version", "1.0.0"), ("version", "2.0.0"));
    assert_eq!(value("towpath_requests_total", "", &[orders, old]), Some(8.0));
    assert_eq!(value("towpath_requests_total", "", &[orders, new]), Some(2.0));
    assert_eq!(value("towpath_request_errors_total", "", &[orders, new]), Some(0.0));
    assert_eq!(value("towpath_weight_percent", "", &[orders, old]), Some(80.0));
    assert_eq!(value("towpath_instances", "", &[orders, new, ("health", "healthy")]), Some(1.0));
    assert_eq!(value("towpath_request_duration_seconds", "_count", &[orders, old]), Some(8.0));
    let basket = ("service", "basket");
    assert_eq!(value("towpath_proxy_failures_total", "", &[basket, ("reason", "no_instance")]), Some(0.0));
    assert_eq!(value("towpath_instances", "", &[basket, ("version", "1"), ("health", "healthy")]), Some(1.0));
}
