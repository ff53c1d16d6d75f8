//! Rules about the order of steps and their policies. One function for each; what it finds and why stands in the table.

use super::find::{At, Scope, at, production};
use crate::{
    fields,
    nature::{self, Undoing},
    words,
};
use towpath_model::{InDoubt, Operand, Section, StepRecord};

/// Whether it changes production, or by its name deploys and says nothing of where to.
fn goes_into_production(step: &StepRecord) -> bool {
    let (all, production) = (nature::environments(step), production(step));
    let elsewhere = !all.is_empty() && production.is_empty();
    nature::has_effect(step)
        && !nature::is_gate(step)
        && !elsewhere
        && (!production.is_empty() || nature::deploys(step))
}

pub(super) fn unlocked_production(scope: &Scope<'_>) -> Vec<At> {
    let is_meant = |step: &StepRecord| goes_into_production(step) && step.locks.is_empty();
    let found = scope.those(is_meant).into_iter();
    found.map(|(_, step)| at(step, "another run may change the same at the same time")).collect()
}

pub(super) fn ungated_production(scope: &Scope<'_>) -> Vec<At> {
    let is_meant = goes_into_production;
    let ungated = scope.those(is_meant).into_iter().filter(|(i, _)| !scope.is_behind(*i, &nature::is_gate));
    ungated
        .map(|(_, step)| match production(step).first() {
            Some(name) => at(step, format!("it changes {} and no gate is before it", words::clean(name))),
            None => at(step, "it deploys and no gate is before it"),
        })
        .collect()
}

pub(super) fn no_undo(scope: &Scope<'_>) -> Vec<At> {
    let is_meant = |step: &StepRecord| {
        step.section == Section::Main
            && !nature::is_outer(step)
            && !nature::is_gate(step)
            && nature::undoing(step) == Some(Undoing::Impossible)
    };
    let found = scope.those(is_meant).into_iter();
    found
        .map(|(_, step)| at(step, format!("it has an effect, and kind {} cannot be undone", step.kind)))
        .collect()
}

pub(super) fn no_health_check(scope: &Scope<'_>) -> Vec<At> {
    let is_meant = |step: &StepRecord| {
        step.section == Section::Main
            && nature::deploys(step)
            && !nature::looks(step)
            && !nature::is_outer(step)
    };
    // Of several deployments in a row the last one counts: a canary that is promoted is looked at by its promotion.
    let looked_at = |step: &StepRecord| nature::looks(step) || nature::deploys(step);
    let found = scope.those(is_meant).into_iter().filter(|(i, _)| !scope.is_before(*i, &looked_at));
    found.map(|(_, step)| at(step, "nothing after it looks whether what it deployed is well")).collect()
}

pub(super) fn no_limit_for_people(scope: &Scope<'_>) -> Vec<At> {
    let is_limit = |name: &str| nature::says(name, &["expires", "expiry", "timeout", "within", "deadline"]);
    let has_limit = |step: &StepRecord| {
        step.within_ms.is_some() || fields::of(step).iter().any(|field| is_limit(field.name()))
    };
    let found = scope.those(|step| nature::waits_for_people(step) && !has_limit(step)).into_iter();
    found.map(|(_, step)| at(step, "it waits for people and has no time limit")).collect()
}

pub(super) fn waits_while_holding(scope: &Scope<'_>) -> Vec<At> {
    let found = scope.those(|step| nature::waits_for_people(step) && !step.locks.is_empty()).into_iter();
    found
        .map(|(_, step)| {
            at(step, format!("it waits for people and holds {}", words::clean(step.locks[0].as_str())))
        })
        .collect()
}

pub(super) fn approval_of_nothing(scope: &Scope<'_>) -> Vec<At> {
    let reads_nothing = |step: &StepRecord| {
        step.reads.is_empty() && fields::of(step).iter().all(|field| field.source.places().is_empty())
    };
    let found = scope.those(|step| nature::waits_for_people(step) && reads_nothing(step)).into_iter();
    found
        .map(|(_, step)| at(step, "people are asked, and it reads nothing that they could be shown"))
        .collect()
}

pub(super) fn gate_guards_nothing(scope: &Scope<'_>) -> Vec<At> {
    let is_guard = |step: &StepRecord| nature::is_gate(step) && step.section == Section::Main;
    let alone = scope.those(is_guard).into_iter().filter(|(i, _)| !scope.is_before(*i, &|_| true));
    alone.map(|(_, step)| at(step, "it is a gate, and no step waits for it")).collect()
}

pub(super) fn crosses_no_return(scope: &Scope<'_>) -> Vec<At> {
    let mut found = Vec::new();
    for (i, last) in scope.those(|step| step.point_of_no_return) {
        for after in scope.graph.descendants(i).into_iter().map(|at| &scope.steps()[at]) {
            if after.section == Section::Main && !after.best_effort {
                found.push(at(
                    after,
                    format!(
                        "it comes after {}, the point of no return: its failure unwinds nothing",
                        last.id
                    ),
                ));
            }
        }
    }
    found
}

pub(super) fn crosses_best_effort(scope: &Scope<'_>) -> Vec<At> {
    let is_meant = |step: &StepRecord| {
        let undoing = nature::undoing(step);
        step.best_effort
            && step.section == Section::Main
            && matches!(undoing, Some(Undoing::Undone | Undoing::Asked))
    };
    let found = scope.those(is_meant).into_iter();
    found.map(|(_, step)| at(step, "it is a best effort, and unwinding has to undo it")).collect()
}

pub(super) fn retried_doubt(scope: &Scope<'_>) -> Vec<At> {
    let found =
        scope.those(|step| step.in_doubt == InDoubt::AskOperator && step.retry.attempts_max > 1).into_iter();
    found
        .map(|(_, step)| {
            at(
                step,
                format!("it asks an operator when in doubt, and has {} attempts", step.retry.attempts_max),
            )
        })
        .collect()
}

pub(super) fn concurrent_deploys(scope: &Scope<'_>) -> Vec<At> {
    let all = scope.those(|step| nature::deploys(step) && step.section == Section::Main);
    let mut found = Vec::new();
    for (n, (i, step)) in all.iter().enumerate() {
        let (before, after) = (scope.graph.ancestors(*i), scope.graph.descendants(*i));
        let into = nature::environments(step);
        for (j, other) in &all[n + 1..] {
            let shared = nature::environments(other).into_iter().find(|e| into.contains(e));
            let holds_one = step.locks.iter().any(|lock| other.locks.contains(lock));
            if let Some(environment) = shared
                && !before.contains(j)
                && !after.contains(j)
                && !holds_one
            {
                found.push(at(
                    other,
                    format!("it and {} deploy into {} at once", step.id, words::clean(&environment)),
                ));
            }
        }
    }
    found
}

pub(super) fn no_time_limit(scope: &Scope<'_>) -> Vec<At> {
    let has_deadline = |scope: &Scope<'_>| scope.record().deadline_ms.is_some();
    let mut above = Some(scope);
    while let Some(at) = above {
        if has_deadline(at) {
            return Vec::new();
        }
        above = at.outer.map(|(outer, _)| outer);
    }
    let is_free = |step: &StepRecord| {
        nature::has_effect(step)
            && !nature::is_outer(step)
            && step.timeout_ms.is_none()
            && step.within_ms.is_none()
    };
    scope
        .those(is_free)
        .into_iter()
        .map(|(_, step)| at(step, "it has an effect and no time limit, and the run has no deadline"))
        .collect()
}

pub(super) fn idle_step(scope: &Scope<'_>) -> Vec<At> {
    let is_output = |step: &StepRecord| matches!(&scope.record().output, Some(Operand::From { step: of, .. }) if *of == step.id);
    let is_meant = |step: &StepRecord| {
        !nature::has_effect(step)
            && !nature::is_outer(step)
            && !nature::is_gate(step)
            && !nature::looks(step)
            && step.section == Section::Main
            && !is_output(step)
    };
    let idle = scope.those(is_meant).into_iter().filter(|(i, _)| scope.graph.descendants(*i).is_empty());
    idle.map(|(_, step)| at(step, "it has no effect, and nobody reads its output or waits for it")).collect()
}
