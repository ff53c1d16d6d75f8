//! Plans for tests: the one of the examples, and any that can be.

use proptest::{collection::vec, option, prelude::*, sample::select};
use std::collections::{BTreeMap, BTreeSet};
use towpath_model::{
    Condition, InDoubt, Json, Kind, Methods, Name, Operand, PLAN_FORMAT, PipelineName, PlanRecord, Read,
    ReadMode, RetryPolicy, Role, Section, StepId, StepRecord, UndoPolicy,
};

pub(crate) fn checkout() -> PlanRecord {
    serde_json::from_str(towpath_view::doc::PLAN).unwrap()
}

pub(crate) fn id(text: &str) -> StepId {
    StepId::new(text).unwrap()
}

pub(crate) fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// A step that has an effect which can be undone.
pub(crate) fn step(name: &str, kind: &str) -> StepRecord {
    StepRecord {
        id: id(name),
        kind: Kind::new(kind).unwrap(),
        with: json("{}"),
        role: Role::Step,
        section: Section::Main,
        reads: Vec::new(),
        after: Vec::new(),
        when: None,
        environment: None,
        locks: Vec::new(),
        in_doubt: InDoubt::Idempotent,
        methods: Methods { compensate: true, ..Methods::default() },
        undo: UndoPolicy::Undo,
        best_effort: false,
        point_of_no_return: false,
        retry: RetryPolicy::default(),
        undo_retry: RetryPolicy::default(),
        observe_retry: RetryPolicy::observing(),
        timeout_ms: None,
        within_ms: None,
    }
}

pub(crate) fn record(steps: Vec<StepRecord>) -> PlanRecord {
    PlanRecord {
        format: PLAN_FORMAT,
        pipeline: PipelineName::new("demo").unwrap(),
        steps,
        params: BTreeMap::new(),
        output: None,
        parallel: 4,
        deadline_ms: None,
        unwind_one_at_a_time: false,
    }
}

/// Text that a careless picture would break at.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let nasty = "[\"'<>&;#`\\\\|{}\\[\\]$\u{0}\u{1b}\n\r\t\u{202e}\u{ffff}部署🚀e\u{301} a-z%]{0,24}";
    prop_oneof![nasty, ".{0,24}", Just("]]>--><![CDATA[".to_owned()), Just("end".to_owned())]
}

fn operand(before: usize) -> impl Strategy<Value = Operand> {
    let value = text().prop_map(|t| Operand::Value(Json::of(&t).unwrap()));
    let param = text().prop_map(|name| Operand::Param { name, path: "/a".into() });
    let from = (0..before.max(1), text())
        .prop_map(|(i, path)| Operand::From { step: id(&format!("s{i}")), path: format!("/{path}") });
    if before == 0 { prop_oneof![value, param].boxed() } else { prop_oneof![value, param, from].boxed() }
}

fn condition(before: usize) -> impl Strategy<Value = Condition> {
    let leaf = (operand(before), operand(before)).prop_map(|(a, b)| Condition::Is(a, b));
    leaf.prop_recursive(3, 6, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Condition::All),
            vec(inner.clone(), 0..3).prop_map(Condition::Any),
            inner.prop_map(|c| Condition::Not(Box::new(c))),
        ]
    })
}

fn read() -> impl Strategy<Value = ReadMode> {
    prop_oneof![Just(ReadMode::Required), Just(ReadMode::OrNone), Just(ReadMode::FirstOf(0))]
}

fn any_step(at: usize, depth: usize) -> impl Strategy<Value = StepRecord> {
    let edges = (
        vec((0..at.max(1), read()), 0..4),
        vec(0..at.max(1), 0..3),
        option::of(condition(at)),
        (vec("[a-z<&\"部]{1,8}", 0..2), option::of("[a-z<&\"部]{1,8}")),
    );
    let policies = (
        select(vec![InDoubt::NoEffect, InDoubt::Idempotent, InDoubt::Observe, InDoubt::AskOperator]),
        select(vec![UndoPolicy::Undo, UndoPolicy::Keep, UndoPolicy::Ask]),
        any::<[bool; 4]>(),
        option::of(0_u64..1 << 40),
    );
    let fields = vec((text(), text()), 0..3);
    let role = if depth == 0 {
        Just(Role::Step).boxed()
    } else {
        let each = (plan(depth - 1), text()).prop_map(|(each, key)| Role::ForEach {
            list: Operand::Value(Json::of(&key).unwrap()),
            key: format!("/{key}"),
            each: Box::new(each),
            parallel: 2,
        });
        prop_oneof![6 => Just(Role::Step), 1 => each].boxed()
    };
    (edges, policies, fields, role).prop_map(
        move |((reads, after, when, (locks, environment)), (in_doubt, undo, flags, limit), with, role)| {
            let mut step = step(&format!("s{at}"), "demo.step/v1");
            if at > 0 {
                step.reads =
                    reads.into_iter().map(|(i, mode)| Read { step: id(&format!("s{i}")), mode }).collect();
                step.after = after.into_iter().map(|i| id(&format!("s{i}"))).collect();
            }
            step.when = when;
            step.environment = environment.map(|name| Name::new(&name).unwrap());
            step.locks = locks.iter().map(|lock| Name::new(lock).unwrap()).collect();
            (step.in_doubt, step.undo) = (in_doubt, undo);
            (step.methods.compensate, step.methods.observe) = (flags[0], flags[1]);
            (step.best_effort, step.point_of_no_return) = (flags[2], flags[3]);
            (step.timeout_ms, step.within_ms) = (limit, limit);
            step.with = Json::of(&with.into_iter().collect::<BTreeMap<_, _>>()).unwrap();
            step.role = role;
            step
        },
    )
}

/// A plan with any graph that goes forward, any policies and any text.
pub(crate) fn plan(depth: usize) -> BoxedStrategy<PlanRecord> {
    let steps =
        (1_usize..9).prop_flat_map(move |n| (0..n).map(|i| any_step(i, depth).boxed()).collect::<Vec<_>>());
    let sections = (0_usize..9, 0_usize..9);
    (steps, sections, vec(text(), 0..3))
        .prop_map(|(mut steps, (main, failure), params)| {
            for (i, step) in steps.iter_mut().enumerate() {
                if i > main {
                    step.section = if i > main + failure { Section::Finally } else { Section::OnFailure };
                }
            }
            let mut record = record(steps);
            record.params = params.into_iter().map(|name| (name, json("{}"))).collect();
            record
        })
        .boxed()
}

/// The edges of a plan, found another way than the crate does.
pub(crate) fn edges(record: &PlanRecord) -> BTreeSet<(String, String)> {
    let mut edges = BTreeSet::new();
    for step in &record.steps {
        let conditions = step.when.iter().flat_map(Condition::operands).filter_map(|o| match o {
            Operand::From { step, .. } => Some(step),
            _ => None,
        });
        for from in step.reads.iter().map(|r| &r.step).chain(&step.after).chain(conditions) {
            edges.insert((from.to_string(), step.id.to_string()));
        }
    }
    edges
}

/// The plans below a plan, and it itself.
pub(crate) fn all_plans(record: &PlanRecord) -> Vec<&PlanRecord> {
    let mut all = vec![record];
    for step in &record.steps {
        if let Role::ForEach { each, .. } = &step.role {
            all.extend(all_plans(each));
        }
    }
    all
}

/// Compares with a file of snapshots; `TOWPATH_BLESS=1` writes it.
pub(crate) fn snapshot(name: &str, shown: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(name);
    if std::env::var_os("TOWPATH_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, shown).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(shown, want, "{name} changed; if it had to, bless it and say why");
}
