//! Asking the items of a `for_each` what they would change, as far as its list is known.

use super::{Known, Look, forward};
use crate::plans::Prepared;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use towpath_machine::{Foreseen, Ix, Listed, Seen, foresee_items};
use towpath_model::{Change, Digest, Failure, ItemKey, Json, StepId, StepPreview};

/// Items of one `for_each` whose steps are asked; the others are counted.
const WHOLE: usize = 20;
/// Items that one preview asks at most, those within items too.
const MOST: usize = 200;
/// What the plan of an item calls it.
const ITEM: &str = "item";

/// How many items may be asked still.
pub(super) struct Budget(AtomicUsize);

impl Default for Budget {
    fn default() -> Self {
        Budget(AtomicUsize::new(MOST))
    }
}

impl Budget {
    /// Takes one, when there is one.
    fn take(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// What is seen of the items of a step.
pub(super) struct Listing {
    /// The step itself, and the steps of its items.
    pub(super) steps: Vec<StepPreview>,
    /// What it will give, when that is known.
    pub(super) output: Option<Json>,
}

impl Look<'_> {
    /// Asks the first items of a step, and counts the others.
    pub(super) async fn items(
        &self,
        ix: Ix,
        each: &Arc<Prepared>,
        known: &BTreeMap<StepId, Known>,
        budget: &Budget,
    ) -> Listing {
        let (id, kind) = (&self.plan.plan.step(ix).id, self.plan.plan.step(ix).kind.clone());
        let mut own = StepPreview { step: self.path(id), kind, changes: Vec::new(), failure: None };
        let listed = match self.listed(ix, known) {
            Ok(Foreseen::Items(listed)) => listed,
            Ok(Foreseen::After(what)) => {
                let why = format!("unknown until {what} is done");
                own.changes.push(Change::unknown(format!("the items of {id}"), why));
                return Listing { steps: vec![own], output: None };
            }
            Err(failure) => {
                own.failure = Some(failure);
                return Listing { steps: vec![own], output: None };
            }
        };
        let (mut asked, mut steps, mut outputs) = (0, Vec::new(), Vec::new());
        for (key, item) in listed.items.iter().take(WHOLE) {
            if !budget.take() {
                break;
            }
            asked += 1;
            let (of_item, output) = Box::pin(self.item(id, each, key, item, &listed, budget)).await;
            steps.extend(of_item);
            outputs.extend(output);
        }
        own.changes = told(&listed, asked);
        let all_known = outputs.len() == listed.items.len();
        let output = all_known.then(|| Json::of(&outputs).ok()).flatten();
        steps.insert(0, own);
        Listing { steps, output }
    }

    fn listed(&self, ix: Ix, known: &BTreeMap<StepId, Known>) -> Result<Foreseen, Failure> {
        let seen = |id: &StepId| match known.get(id) {
            Some(Known::Output(output)) => Seen::Output(output.clone()),
            Some(Known::Skipped) => Seen::Skipped,
            None => Seen::Unknown,
        };
        foresee_items(&self.plan.plan, self.plan.plan.step(ix), self.values, &seen)
    }

    /// Asks the steps of one item; and what it will give, when that is known.
    async fn item(
        &self,
        of: &StepId,
        each: &Prepared,
        key: &ItemKey,
        item: &Json,
        listed: &Listed,
        budget: &Budget,
    ) -> (Vec<StepPreview>, Option<Json>) {
        let mut values = listed.given.clone();
        values.insert(ITEM.into(), item.clone());
        let look = Look {
            shared: self.shared,
            run: self.run,
            values: &Arc::new(values),
            plan: each,
            shown: forward(&each.plan),
            below: Some(self.path(of).item(key)),
        };
        let mut known = BTreeMap::new();
        let steps = look.walk(&mut known, budget).await;
        let output = match &each.plan.record().output {
            Some(operand) => look.value(operand, &known),
            None => Some(Json::null()),
        };
        (steps, output)
    }
}

/// Which items there are. Of those that are not asked enough is said that a preview is another one when they change.
fn told(listed: &Listed, asked: usize) -> Vec<Change> {
    let keys: Vec<&str> = listed.items.iter().map(|(key, _)| key.as_str()).collect();
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let (seen, more) = keys.split_at(asked);
    let mut changes = Vec::new();
    if !seen.is_empty() || more.is_empty() {
        changes.push(Change::none(count(seen.len(), "item")).because(seen.join(", ")));
    }
    if let (Some(first), Some(last)) = (more.first(), more.last()) {
        let rest =
            Json::of(&listed.items[asked..]).map(|json| Digest::of(json.as_str().as_bytes()).to_string());
        let why = format!(
            "from {first} to {last}, {}: of so many only the first are asked before the run",
            rest.unwrap_or_default()
        );
        changes.push(Change::unknown(count(more.len(), "more item"), why));
    }
    changes
}
