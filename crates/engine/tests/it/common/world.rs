//! A world in which steps do what a test says, and that remembers what was done.

use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};
use towpath_model::{InDoubt, Json, Methods, UndoPolicy};
use towpath_step::{
    Handle, Input, IntoInput, Need, Observed, Offers, Provider, Reads, Step, StepContext, StepError, Steps,
    Undo, UndoEnded, steps,
};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StepError>> + Send + 'a>>;
type Script<T> = Arc<dyn for<'a> Fn(&'a StepContext, u32) -> Boxed<'a, T> + Send + Sync>;

/// What steps do, by name, and what was done.
#[derive(Default)]
pub(crate) struct World {
    runs: Mutex<HashMap<String, Script<String>>>,
    observes: Mutex<HashMap<String, Script<Observed<String>>>>,
    undos: Mutex<HashMap<String, Script<()>>>,
    lines: Mutex<Vec<String>>,
    calls: Mutex<HashMap<String, u32>>,
    pub(crate) undone_with: Mutex<Vec<(String, UndoEnded, Option<String>)>>,
}

impl Provider for World {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        to.put::<World>(self);
    }
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Has the step of this name do this; the number counts its entries from 1.
    pub(crate) fn run(
        &self,
        name: &str,
        script: impl for<'a> Fn(&'a StepContext, u32) -> Boxed<'a, String> + Send + Sync + 'static,
    ) {
        self.runs.lock().unwrap().insert(name.into(), Arc::new(script));
    }

    pub(crate) fn observe(
        &self,
        name: &str,
        script: impl for<'a> Fn(&'a StepContext, u32) -> Boxed<'a, Observed<String>> + Send + Sync + 'static,
    ) {
        self.observes.lock().unwrap().insert(name.into(), Arc::new(script));
    }

    pub(crate) fn undo(
        &self,
        name: &str,
        script: impl for<'a> Fn(&'a StepContext, u32) -> Boxed<'a, ()> + Send + Sync + 'static,
    ) {
        self.undos.lock().unwrap().insert(name.into(), Arc::new(script));
    }

    pub(crate) fn say(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push(line.into());
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn times(&self, line: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|l| *l == line).count()
    }

    fn call(&self, what: &str, name: &str) -> u32 {
        let line = format!("{what} {name}");
        let n = {
            let mut calls = self.calls.lock().unwrap();
            let n = calls.entry(line.clone()).or_default();
            *n += 1;
            *n
        };
        self.say(line);
        n
    }

    async fn runs(&self, cx: &StepContext, name: &str) -> Result<String, StepError> {
        let n = self.call("run", name);
        let script = self.runs.lock().unwrap().get(name).cloned();
        match script {
            Some(script) => script(cx, n).await,
            None => Ok(format!("{name} done")),
        }
    }

    async fn observes(&self, cx: &StepContext, name: &str) -> Result<Observed<String>, StepError> {
        let n = self.call("observe", name);
        let script = self.observes.lock().unwrap().get(name).cloned();
        match script {
            Some(script) => script(cx, n).await,
            None => Ok(Observed::NotDone),
        }
    }

    async fn undos(&self, cx: &StepContext, name: &str, undo: Undo<String>) -> Result<(), StepError> {
        let n = self.call("undo", name);
        self.undone_with.lock().unwrap().push((name.into(), undo.ended, undo.output));
        let script = self.undos.lock().unwrap().get(name).cloned();
        match script {
            Some(script) => script(cx, n).await,
            None => Ok(()),
        }
    }
}

fn world(cx: &StepContext) -> Result<Arc<World>, StepError> {
    cx.provider::<World>("world")
}

macro_rules! acts { ($($name:ident $kind:literal $doubt:ident $methods:expr;)*) => { $(
    #[derive(Serialize, Deserialize)]
    pub(crate) struct $name {
        name: String,
        reads: Vec<Input<String>>,
    }

    impl $name {
        pub(crate) fn new(name: &str) -> Self {
            $name { name: name.into(), reads: Vec::new() }
        }

        pub(crate) fn reading(mut self, of: &Handle<String>) -> Self {
            self.reads.push(of.into_input());
            self
        }
    }

    impl Step for $name {
        const KIND: &'static str = $kind;
        const IN_DOUBT: InDoubt = InDoubt::$doubt;
        const METHODS: Methods = $methods;
        const UNDO: UndoPolicy = UndoPolicy::Undo;
        type Output = String;

        fn reads(&self) -> Reads {
            self.reads.iter().fold(Reads::none(), |reads, r| reads.and("reads", r))
        }

        fn needs() -> Vec<Need> {
            vec![Need::of::<World>("world")]
        }

        async fn run(&self, cx: &StepContext) -> Result<String, StepError> {
            for read in &self.reads {
                cx.get(read)?;
            }
            world(cx)?.runs(cx, &self.name).await
        }

        async fn before(&self, cx: &StepContext) -> Result<Json, StepError> {
            let n = world(cx)?.call("before", &self.name);
            Ok(Json::of(&format!("image {n}")).unwrap())
        }

        async fn observe(&self, cx: &StepContext) -> Result<Observed<String>, StepError> {
            world(cx)?.observes(cx, &self.name).await
        }

        async fn compensate(&self, cx: &StepContext, undo: Undo<String>) -> Result<(), StepError> {
            world(cx)?.undos(cx, &self.name, undo).await
        }
    }
)* } }

const PLAIN: Methods =
    Methods { preview: false, before: false, observe: false, compensate: false, local: false };

acts! {
    Look "test.look/v1" NoEffect PLAIN;
    Idem "test.idem/v1" Idempotent Methods { compensate: true, ..PLAIN };
    Seen "test.seen/v1" Observe Methods { observe: true, compensate: true, ..PLAIN };
    Local "test.local/v1" Observe Methods { observe: true, local: true, ..PLAIN };
    Asks "test.asks/v1" AskOperator Methods { compensate: true, ..PLAIN };
    Image "test.image/v1" Observe Methods { before: true, observe: true, compensate: true, ..PLAIN };
    Rare "test.rare/v1" Idempotent Methods { compensate: true, ..PLAIN };
}

/// The kinds that engines of tests know; `Rare` is left out.
pub(crate) fn kinds() -> Steps {
    steps![Look, Idem, Seen, Local, Asks, Image]
}
