//! Plans for tests: written step by step, or drawn from a seed.

use super::rng::Rng;
use crate::Plan;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use towpath_model::{
    BlobRef, Condition, Digest, Event, InDoubt, Json, Kind, Methods, Name, Operand, PLAN_FORMAT,
    PipelineName, PlanRecord, Read, ReadMode, RetryPolicy, Role, RunKey, RunStarted, Section, StepId,
    StepRecord, Timestamp, UndoPolicy,
};

pub(crate) fn id(text: &str) -> StepId {
    StepId::new(text).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

pub(crate) fn output_of(step: &str, path: &str) -> Operand {
    Operand::From { step: id(step), path: path.into() }
}

/// A step that is idempotent, has three attempts a second apart, and cannot be undone.
pub(crate) fn step(text: &str) -> StepRecord {
    let retry = RetryPolicy::fixed(3, Duration::from_secs(1));
    StepRecord {
        id: id(text),
        kind: Kind::new("sim.step/v1").unwrap(),
        with: json("{}"),
        role: Role::Step,
        section: Section::Main,
        reads: Vec::new(),
        after: Vec::new(),
        when: None,
        environment: None,
        locks: Vec::new(),
        in_doubt: InDoubt::Idempotent,
        methods: Methods::default(),
        undo: UndoPolicy::Undo,
        best_effort: false,
        point_of_no_return: false,
        retry: retry.clone(),
        undo_retry: retry.clone(),
        observe_retry: retry,
        timeout_ms: None,
        within_ms: None,
    }
}

/// Short words for what tests say about steps.
pub(crate) trait StepExt: Sized {
    fn edit(self, change: impl FnOnce(&mut StepRecord)) -> Self;

    fn after(self, of: &str) -> Self {
        self.edit(|s| s.after.push(id(of)))
    }

    fn reads(self, of: &str) -> Self {
        self.reads_as(of, ReadMode::Required)
    }

    fn reads_as(self, of: &str, mode: ReadMode) -> Self {
        self.edit(|s| s.reads.push(Read { step: id(of), mode }))
    }

    fn when(self, when: Condition) -> Self {
        self.edit(|s| s.when = Some(when))
    }

    /// It can be undone.
    fn undoable(self) -> Self {
        self.edit(|s| s.methods.compensate = true)
    }

    fn undo(self, policy: UndoPolicy) -> Self {
        self.edit(|s| (s.methods.compensate, s.undo) = (true, policy))
    }

    fn in_doubt(self, kind: InDoubt) -> Self {
        self.edit(|s| {
            s.in_doubt = kind;
            s.methods.observe |= kind == InDoubt::Observe;
        })
    }

    fn section(self, section: Section) -> Self {
        self.edit(|s| s.section = section)
    }

    fn once(self) -> Self {
        self.edit(|s| s.retry.attempts_max = 1)
    }

    fn best_effort(self) -> Self {
        self.edit(|s| s.best_effort = true)
    }

    fn no_return(self) -> Self {
        self.edit(|s| s.point_of_no_return = true)
    }

    fn taking_before(self) -> Self {
        self.edit(|s| s.methods.before = true)
    }

    /// It acts under these locks, in the order of their names.
    fn under(self, locks: &[&str]) -> Self {
        self.edit(|s| s.locks = locks.iter().map(|lock| name(lock)).collect())
    }

    fn within(self, limit: Duration) -> Self {
        self.edit(|s| s.within_ms = Some(limit.as_millis() as u64))
    }
}

impl StepExt for StepRecord {
    fn edit(mut self, change: impl FnOnce(&mut StepRecord)) -> Self {
        change(&mut self);
        self
    }
}

pub(crate) fn record(steps: impl IntoIterator<Item = StepRecord>) -> PlanRecord {
    PlanRecord {
        format: PLAN_FORMAT,
        pipeline: PipelineName::new("sim").unwrap(),
        steps: steps.into_iter().collect(),
        params: BTreeMap::new(),
        output: None,
        parallel: 4,
        deadline_ms: None,
        unwind_one_at_a_time: false,
    }
}

pub(crate) fn compile(record: PlanRecord) -> Arc<Plan> {
    match Plan::compile(Arc::new(record)) {
        Ok(plan) => Arc::new(plan),
        Err(problems) => panic!("{problems}"),
    }
}

pub(crate) fn plan(steps: impl IntoIterator<Item = StepRecord>) -> Arc<Plan> {
    compile(record(steps))
}

pub(crate) fn run_started(deadline: Option<Timestamp>) -> Event {
    RunStarted {
        plan_hash: Digest::of(b"plan"),
        plan: BlobRef { digest: Digest::of(b"record"), bytes: 6 },
        pipeline: PipelineName::new("sim").unwrap(),
        key: RunKey::new("sim").unwrap(),
        values: BTreeMap::from([("yes".into(), json("true"))]),
        labels: BTreeMap::new(),
        reason: String::new(),
        parent: None,
        forked_from: None,
        deadline,
        fencing: BTreeMap::new(),
    }
    .into()
}

/// A plan of up to eight steps with a bit of everything.
pub(crate) fn random(rng: &mut Rng) -> Arc<Plan> {
    compile(random_record(rng, 6))
}

/// A plan that wants locks.
pub(crate) fn random_contender(rng: &mut Rng) -> Arc<Plan> {
    let mut record = random_record(rng, 6);
    record.steps.iter_mut().for_each(|step| step.locks.clear());
    random_locks(rng, &mut record.steps);
    compile(record)
}

/// A plan of which some steps go through lists, as do perhaps the plans of their items.
pub(crate) fn random_with_items(rng: &mut Rng, depth: usize) -> PlanRecord {
    let mut record = random_record(rng, if depth == 0 { 4 } else { 2 });
    let mains = record.steps.iter().filter(|s| s.section == Section::Main).count();
    let sure = if depth == 0 { rng.below(mains) } else { mains };
    for (i, step) in record.steps.iter_mut().enumerate().take(mains) {
        let chance = if depth == 0 { 30 } else { 15 };
        if i == sure || (depth < 2 && rng.chance(chance)) {
            *step = for_each(step.clone(), random_with_items(rng, depth + 1), 1 + rng.below(3) as u32);
        }
    }
    record
}

/// Has a step go through a list, with a run of this plan for each item.
pub(crate) fn for_each(mut step: StepRecord, mut each: PlanRecord, parallel: u32) -> StepRecord {
    each.params = BTreeMap::from([("item".into(), json("{}")), ("yes".into(), json("{}"))]);
    each.pipeline = PipelineName::new("item").unwrap();
    let undone = |s: &StepRecord| s.methods.compensate && s.undo != UndoPolicy::Keep;
    let compensate = each.steps.iter().any(undone);
    step.methods = Methods { compensate, ..Methods::default() };
    if !compensate && step.undo == UndoPolicy::Ask {
        step.undo = UndoPolicy::Undo;
    }
    step.locks.extend(each.steps.iter().flat_map(|inner| inner.locks.clone()));
    step.locks.sort();
    step.locks.dedup();
    (step.in_doubt, step.within_ms) = (InDoubt::NoEffect, None);
    step.with = json("{\"given\":{\"yes\":{\"value\":true}}}");
    let list = Operand::Value(json("[\"a\",\"b\"]"));
    step.role = Role::ForEach { list, key: String::new(), each: Box::new(each), parallel };
    step
}

fn random_record(rng: &mut Rng, most: usize) -> PlanRecord {
    let (main, failed, finals) = (1 + rng.below(most), rng.below(2), rng.below(3));
    let mut steps: Vec<StepRecord> = Vec::new();
    for (section, count) in [(Section::Main, main), (Section::OnFailure, failed), (Section::Finally, finals)]
    {
        for _ in 0..count {
            let step = random_step(rng, &steps, section);
            steps.push(step);
        }
    }
    if rng.chance(12) {
        steps[main - 1].point_of_no_return = true;
    }
    if rng.chance(40) {
        random_locks(rng, &mut steps);
    }
    let mut record = record(steps);
    record.parallel = 1 + rng.below(4) as u32;
    record.unwind_one_at_a_time = rng.chance(20);
    record.params.insert("yes".into(), json("{}"));
    if rng.chance(50) {
        record.output = Some(output_of(record.steps[rng.below(main)].id.as_str(), "/n"));
    }
    record
}

/// Scopes of up to three locks, beside each other, within each other or across.
pub(crate) fn random_locks(rng: &mut Rng, steps: &mut [StepRecord]) {
    for lock in ["lock-a", "lock-b", "lock-c"].into_iter().take(1 + rng.below(3)) {
        let (first, length) = (rng.below(steps.len()), 1 + rng.below(steps.len()));
        for step in steps.iter_mut().skip(first).take(length) {
            step.locks.push(name(lock));
        }
    }
}

fn random_step(rng: &mut Rng, before: &[StepRecord], section: Section) -> StepRecord {
    let mut step = step(&format!("s{}", before.len())).section(section);
    if !before.is_empty() {
        random_edges(rng, &mut step, before);
    }
    let kinds = [InDoubt::NoEffect, InDoubt::Idempotent, InDoubt::Observe, InDoubt::AskOperator];
    step = step.in_doubt(rng.pick(&kinds));
    step.methods.before = rng.chance(25);
    step.methods.compensate = rng.chance(65);
    step.undo = rng.pick(&[UndoPolicy::Undo, UndoPolicy::Undo, UndoPolicy::Undo, UndoPolicy::Keep]);
    if section == Section::Main && step.methods.compensate && rng.chance(20) {
        step.undo = UndoPolicy::Ask;
    }
    step.best_effort = rng.chance(12);
    for policy in [&mut step.retry, &mut step.undo_retry, &mut step.observe_retry] {
        policy.attempts_max = 1 + rng.below(3) as u32;
        policy.jitter = rng.chance(30);
        policy.initial_ms = rng.pick(&[0, 1_000]);
    }
    if rng.chance(20) {
        step = step.within(Duration::from_secs(1 + rng.below(20) as u64));
    }
    step
}

fn random_edges(rng: &mut Rng, step: &mut StepRecord, before: &[StepRecord]) {
    for _ in 0..rng.below(3) {
        let of = before[rng.below(before.len())].id.clone();
        match rng.below(4) {
            0 => step.after.push(of),
            1 => step.reads.push(Read { step: of, mode: ReadMode::OrNone }),
            _ => step.reads.push(Read { step: of, mode: ReadMode::Required }),
        }
    }
    if before.len() > 1 && rng.chance(15) {
        for of in &before[before.len() - 2..] {
            step.reads.push(Read { step: of.id.clone(), mode: ReadMode::FirstOf(0) });
        }
    }
    if rng.chance(25) {
        let of = before[rng.below(before.len())].id.as_str();
        let yes = Condition::Is(output_of(of, "/ok"), Operand::Param { name: "yes".into(), path: "".into() });
        step.when = Some(if rng.chance(30) { Condition::Not(Box::new(yes)) } else { yes });
    }
}
