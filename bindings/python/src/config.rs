//! What an engine is made of, as Python gives it.

use crate::{body::Body, bridge::Inner, fault::Wrong};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use towpath::{
    Builder, Engine, LateField, LateKind, Pipeline, SecretSource, SecretValue, StepError, Steps,
    engine::async_trait,
    model::{Actor, InDoubt, Kind, Methods, PlanRecord, UndoPolicy},
    stock,
};

/// An engine that is to be started.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    store: String,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    grace_ms: Option<u64>,
    #[serde(default)]
    park_after_ms: Option<u64>,
    #[serde(default)]
    settle_after_ms: Option<u64>,
    #[serde(default)]
    lease_ms: Option<u64>,
    #[serde(default)]
    concurrency: Option<usize>,
    background: bool,
    #[serde(default)]
    secrets: Option<BTreeMap<String, String>>,
    kinds: Vec<KindOf>,
    pipelines: Vec<PlanRecord>,
}

/// A kind whose code is in Python.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindOf {
    /// The number under which Python knows it.
    body: u64,
    kind: Kind,
    origin: String,
    in_doubt: InDoubt,
    methods: Methods,
    undo: UndoPolicy,
    fields: BTreeMap<String, FieldOf>,
    output: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldOf {
    required: bool,
    schema: Value,
}

impl Config {
    pub(crate) fn read(text: &str) -> Result<Self, Wrong> {
        serde_json::from_str(text).map_err(|e| Wrong::given("the settings of an engine", &e))
    }

    /// Starts the engine.
    pub(crate) async fn start(self, inner: &Arc<Inner>) -> Result<Engine, Wrong> {
        let builder = Engine::open(&self.store);
        Ok(self.builder(inner, builder)?.start().await?)
    }

    fn builder(self, inner: &Arc<Inner>, builder: Builder) -> Result<Builder, Wrong> {
        let ms = Duration::from_millis;
        let mut steps = stock::steps();
        for kind in self.kinds {
            steps = steps.and(Steps::new().late(kind.known(inner)));
        }
        let mut builder = builder.steps(steps).background(self.background);
        for record in self.pipelines {
            builder = builder.pipeline(Pipeline::of_record(record)?);
        }
        if let Some(actor) = &self.actor {
            let actor = Actor::new(actor).map_err(|e| Wrong::new("unfit", format!("the actor: {e}")))?;
            builder = builder.actor(actor);
        }
        if let Some(secrets) = self.secrets {
            builder = builder.secrets(Given(secrets));
        }
        builder = self.grace_ms.into_iter().fold(builder, |b, time| b.grace(ms(time)));
        builder = self.park_after_ms.into_iter().fold(builder, |b, time| b.park_after(ms(time)));
        builder = self.settle_after_ms.into_iter().fold(builder, |b, time| b.settle_after(ms(time)));
        builder = self.lease_ms.into_iter().fold(builder, |b, time| b.lease(ms(time)));
        Ok(self.concurrency.into_iter().fold(builder, Builder::concurrency))
    }
}

impl KindOf {
    fn known(self, inner: &Arc<Inner>) -> LateKind {
        let fields = self.fields.into_iter();
        let fields =
            fields.map(|(name, FieldOf { required, schema })| (name, LateField { required, schema }));
        LateKind {
            kind: self.kind,
            origin: self.origin,
            in_doubt: self.in_doubt,
            methods: self.methods,
            undo: self.undo,
            fields: fields.collect(),
            output: self.output,
            body: Arc::new(Body::new(inner, self.body)),
        }
    }
}

/// Secrets that Python gave.
struct Given(BTreeMap<String, String>);

#[async_trait]
impl SecretSource for Given {
    async fn secret(&self, name: &str) -> Result<Option<SecretValue>, StepError> {
        Ok(self.0.get(name).map(|value| SecretValue::new(name, value.clone())))
    }
}
