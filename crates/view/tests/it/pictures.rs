//! Every picture of any plan is well formed, and holds every step and every edge exactly once.

use crate::common::{all_plans, checkout, edges, id, plan, record, snapshot, step};
use proptest::prelude::*;
use std::{collections::BTreeMap, time::Duration};
use towpath_model::{Json, PlanRecord, limits};
use towpath_view::{Look, Overlay, PlanView, Seen, Standing};
use unicode_width::UnicodeWidthStr;

fn half_way() -> Overlay {
    let seen = |standing, attempt, secs| Seen { standing, attempt, took: Some(Duration::from_secs(secs)) };
    Overlay::new()
        .with(id("build"), seen(Standing::Done, 2, 75))
        .with(id("scan"), seen(Standing::Done, 1, 31))
        .with(id("sign"), seen(Standing::Failed, 5, 62))
        .with(id("approve"), seen(Standing::Parked, 1, 4_000))
}

#[test]
fn pictures_of_the_plan_of_the_examples() {
    let record = checkout();
    let values = BTreeMap::from([("commit".to_owned(), Json::parse("\"4f2c\"").unwrap())]);
    let view = PlanView::of(&record).with_values(&values);
    let over = half_way();
    snapshot("tree.txt", &view.tree(Look::default()));
    snapshot("tree-of-a-run.txt", &view.over(&over).tree(Look::default()));
    snapshot("tree-in-colour.txt", &view.over(&over).tree(Look { colour: true, columns: 100 }));
    snapshot("plan.mmd", &view.over(&over).mermaid());
    snapshot("plan.dot", &view.over(&over).dot());
    snapshot("plan.svg", &view.over(&over).svg());
}

#[test]
fn a_plan_below_a_plan_is_indented() {
    let mut outer = step("deploy", "demo.each/v1");
    let mut apply = step("apply", "demo.apply/v1");
    apply.after = vec![id("read")];
    outer.role = towpath_model::Role::ForEach {
        list: towpath_model::Operand::Param { name: "regions".into(), path: String::new() },
        key: "/name".into(),
        each: Box::new(record(vec![step("read", "demo.read/v1"), apply])),
        parallel: 3,
    };
    let mut after = step("report", "demo.report/v1");
    after.after = vec![id("deploy")];
    let record = record(vec![outer, after]);
    let tree = PlanView::of(&record).tree(Look::default());
    let steps = tree.split_once("\n\n").unwrap().1;
    let want = "\
1   deploy  demo.each/v1 · for each of param regions by name, 3 at once
    1   read   demo.read/v1
    2   apply  demo.apply/v1 · after read
2   report  demo.report/v1 · after deploy
";
    assert_eq!(steps, want);
}

/// A circle, an unknown step and an id given twice: refused elsewhere, and drawn all the same.
#[test]
fn a_plan_with_mistakes_is_drawn() {
    let (mut a, mut b) = (step("a", "demo.step/v1"), step("b", "demo.step/v1"));
    a.after = vec![id("b"), id("nowhere"), id("a")];
    b.after = vec![id("a")];
    let record = record(vec![a, b.clone(), b]);
    well_formed(&record, &Overlay::new());
}

#[test]
fn deep_plans_and_long_ids_fit() {
    let long = ["a".repeat(64), "b".repeat(64)].join("/");
    let mut inner = record(vec![step(&long, "demo.step/v1")]);
    for _ in 0..limits::NESTING {
        let mut outer = step(&long, "demo.step/v1");
        outer.role = towpath_model::Role::SubRun { plan: Box::new(inner) };
        inner = record(vec![outer]);
    }
    well_formed(&inner, &Overlay::new());
}

#[test]
fn the_largest_plan_is_drawn() {
    let mut steps: Vec<_> =
        (0..limits::STEPS_PER_PLAN).map(|i| step(&format!("s{i}"), "demo.step/v1")).collect();
    for (i, step) in steps.iter_mut().enumerate().skip(1) {
        step.after = vec![id(&format!("s{}", i / 2)), id(&format!("s{}", i - 1))];
    }
    let record = record(steps);
    let svg = PlanView::of(&record).svg();
    let document = roxmltree::Document::parse(&svg).unwrap();
    assert_eq!(classes(&document, "step").count(), limits::STEPS_PER_PLAN);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_picture_of_any_plan_is_well_formed(record in plan(1), seen in 0_usize..9) {
        let over = record.steps.iter().take(seen).zip(Standing::ALL).fold(Overlay::new(), |over, (step, standing)| {
            over.with(step.id.clone(), Seen { standing, attempt: 3, took: Some(Duration::from_millis(1 << seen)) })
        });
        well_formed(&record, &over);
        svg_is_whole(&record);
        mermaid_is_whole(&record);
        dot_is_whole(&record);
        tree_is_whole(&record);
    }
}

fn well_formed(record: &PlanRecord, over: &Overlay) {
    for view in [PlanView::of(record), PlanView::of(record).over(over)] {
        roxmltree::Document::parse(&view.svg()).unwrap();
        assert_eq!(view.svg(), view.svg());
        dot_tokens(&view.dot());
        for columns in [0, 80, 120] {
            let tree = view.tree(Look { colour: false, columns });
            for line in tree.lines() {
                assert!(line.width() <= columns.max(60), "{} columns: {line}", line.width());
            }
            assert!(!tree.contains('\u{1b}') && !tree.contains('\u{202e}'));
        }
    }
}

fn classes<'a>(
    document: &'a roxmltree::Document<'a>,
    class: &str,
) -> impl Iterator<Item = roxmltree::Node<'a, 'a>> {
    let all = document.descendants();
    all.filter(move |n| n.attribute("class").is_some_and(|c| c.split(' ').next() == Some(class)))
}

fn steps_and_edges(record: &PlanRecord) -> (usize, usize) {
    let all = all_plans(record);
    (all.iter().map(|p| p.steps.len()).sum(), all.iter().map(|p| edges(p).len()).sum())
}

fn svg_is_whole(record: &PlanRecord) {
    let svg = PlanView::of(record).svg();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let title = |n: roxmltree::Node<'_, '_>| {
        n.children().find(|c| c.has_tag_name("title")).unwrap().text().unwrap().to_owned()
    };
    let (steps, lines) = (classes(&document, "step").count(), classes(&document, "edge").count());
    assert_eq!((steps, lines), steps_and_edges(record));
    // The outermost sheet comes first: its edges are the first.
    let mut found: Vec<(String, String)> = classes(&document, "edge")
        .take(edges(record).len())
        .map(|n| {
            let title = title(n);
            let words: Vec<&str> = title.split(' ').collect();
            (words[words.len() - 1].to_owned(), words[0].to_owned())
        })
        .collect();
    found.sort();
    assert_eq!(found, edges(record).into_iter().collect::<Vec<_>>());
}

fn mermaid_is_whole(record: &PlanRecord) {
    let text = PlanView::of(record).mermaid();
    let (mut nodes, mut found) = (0, Vec::new());
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            [from, arrow, .., to] if arrow.starts_with("-->") || arrow.starts_with("-.->") => {
                found.push((from.to_owned(), to.to_owned()));
            }
            [_, "~~~", _] | ["end"] | ["flowchart", "TD"] => {}
            ["subgraph", ..] => assert!(line.ends_with("\"]"), "{line}"),
            _ => {
                nodes += 1;
                let (name, label) = line.split_once("[\"").unwrap();
                let label = label.strip_suffix("\"]").unwrap().replace("<br/>", "");
                assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{line}");
                assert!(!label.contains(['"', '<', '>', '`', '[', ']', '{', '}', '&']), "{line}");
            }
        }
    }
    let all = found.len();
    found.sort();
    found.dedup();
    assert_eq!((nodes, found.len(), all), (steps_and_edges(record).0, all, steps_and_edges(record).1));
    let outer: Vec<_> = found.into_iter().filter(|(from, _)| !from.contains('_')).collect();
    assert_eq!(outer, edges(record).into_iter().collect::<Vec<_>>());
}

/// Splits DOT into names, quoted texts and signs, and says that brackets are closed.
fn dot_tokens(text: &str) -> Vec<String> {
    let (mut tokens, mut open, mut rest) = (Vec::new(), Vec::new(), text.chars().peekable());
    while let Some(c) = rest.next() {
        match c {
            '"' => loop {
                match rest.next().expect("a quote is closed") {
                    '\\' => drop(rest.next().unwrap()),
                    '"' => break tokens.push("\"".into()),
                    c => assert!(c != '\n', "a label breaks its line by an escape"),
                }
            },
            '{' | '[' => open.push(if c == '{' { '}' } else { ']' }),
            '}' | ']' => assert_eq!(open.pop(), Some(c)),
            '-' => assert_eq!(rest.next(), Some('>'), "{text}"),
            c if c.is_ascii_alphanumeric() || c == '_' => {
                let mut name = c.to_string();
                while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                tokens.push(name);
            }
            c => assert!("=;, \n.".contains(c), "{c:?} in {text}"),
        }
    }
    assert!(open.is_empty());
    tokens
}

fn dot_is_whole(record: &PlanRecord) {
    let text = PlanView::of(record).dot();
    let mut found: Vec<(String, String)> = Vec::new();
    let mut nodes = 0;
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.trim_end_matches(';').split(' ').collect();
        match words[..] {
            [from, "->", to, ..] if !line.contains("style=invis") => {
                found.push((from.to_owned(), to.to_owned()))
            }
            [name, label, ..] if name.starts_with('s') && label.starts_with("[label=") => nodes += 1,
            _ => {}
        }
    }
    assert_eq!((nodes, found.len()), steps_and_edges(record));
    let mut outer: Vec<_> = found.into_iter().filter(|(from, _)| !from.contains('_')).collect();
    outer.sort();
    assert_eq!(outer, edges(record).into_iter().collect::<Vec<_>>());
}

/// A step is named once as itself, and once for each edge that leads away from it.
fn tree_is_whole(record: &PlanRecord) {
    let flat =
        PlanRecord { steps: record.steps.iter().cloned().map(without_text).collect(), ..record.clone() };
    let tree = PlanView::of(&flat).tree(Look::default());
    let words: Vec<&str> = tree.split([' ', '\n']).map(|word| word.trim_end_matches(',')).collect();
    for step in &flat.steps {
        let told = words.iter().filter(|word| **word == step.id.as_str()).count();
        let leads = edges(&flat).iter().filter(|(from, _)| *from == step.id.as_str()).count();
        assert_eq!(told, 1 + leads, "{} in\n{tree}", step.id);
    }
}

/// Text may hold anything, ids of steps too.
fn without_text(mut step: towpath_model::StepRecord) -> towpath_model::StepRecord {
    use towpath_model::{Condition, Operand};
    fn plain(condition: &mut Condition) {
        match condition {
            Condition::Is(a, b) | Condition::Less(a, b) | Condition::AtMost(a, b) => {
                for operand in [a, b] {
                    match operand {
                        Operand::Value(value) => *value = Json::parse("1").unwrap(),
                        Operand::Param { name, .. } => *name = "p".into(),
                        Operand::From { path, .. } => *path = "/ok".into(),
                    }
                }
            }
            Condition::All(all) | Condition::Any(all) => all.iter_mut().for_each(plain),
            Condition::Not(inner) => plain(inner),
        }
    }
    step.when.iter_mut().for_each(plain);
    step.role = towpath_model::Role::Step;
    step.locks.clear();
    step
}
