//! Kinds whose code is known when the program runs, and not when it is compiled: those of other languages.

use crate::{
    ErasedStep, Input, Need, Observed, StepContext, StepError, Undo, fits,
    steps::{StepKind, StepsProblem},
};
use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};
use towpath_model::{Change, InDoubt, Json, Kind, Methods, UndoPolicy};

/// The code behind a [`LateKind`]: what a body of each sort does with the values of its fields.
///
/// `with` is an object, `{"field": value}`, with every input read. Each method may be called at any time, also at the same
/// time for different runs. A future that is dropped has to end what it began.
#[async_trait]
pub trait LateBody: Send + Sync + 'static {
    /// Runs a body and gives its output.
    ///
    /// # Errors
    /// As the body classifies them.
    async fn run(&self, cx: &StepContext, with: Json) -> Result<Json, StepError>;

    /// Looks whether an attempt took effect. Called only when the methods of the kind say `observe`.
    ///
    /// # Errors
    /// When the look fails; it is asked again.
    async fn observe(&self, cx: &StepContext, with: Json) -> Result<Observed<Json>, StepError>;

    /// Takes the before-image. Called only when the methods of the kind say `before`.
    ///
    /// # Errors
    /// As the body classifies them.
    async fn before(&self, cx: &StepContext, with: Json) -> Result<Json, StepError>;

    /// Undoes what was done. Called only when the methods of the kind say `compensate`.
    ///
    /// # Errors
    /// As the body classifies them.
    async fn compensate(&self, cx: &StepContext, with: Json, undo: Undo<Json>) -> Result<(), StepError>;

    /// Tells what an attempt would change. Called only when the methods of the kind say `preview`.
    ///
    /// # Errors
    /// When it cannot be told.
    async fn preview(&self, cx: &StepContext, with: Json) -> Result<Vec<Change>, StepError>;
}

/// A kind whose code is known when the program runs: what a binding of another language registers, with
/// [`Steps::late`](crate::Steps::late).
///
/// Every field is stored as an input, `{"value": …}` or a reference.
#[derive(Clone)]
pub struct LateKind {
    /// The kind.
    pub kind: Kind,
    /// Where its code stands, for messages: `shop.deploy.smoke`.
    pub origin: String,
    /// What to do when it is not known whether an attempt took effect.
    pub in_doubt: InDoubt,
    /// What it can do beside running.
    pub methods: Methods,
    /// What becomes of its effect, unless a pipeline says otherwise.
    pub undo: UndoPolicy,
    /// Its fields, each with whether a plan has to hold it, and the JSON Schema of its value.
    pub fields: BTreeMap<String, LateField>,
    /// The JSON Schema of its output; `{}` when nothing is known of it.
    pub output: Value,
    /// Its code.
    pub body: Arc<dyn LateBody>,
}

/// One field of a [`LateKind`].
#[derive(Clone, Debug)]
pub struct LateField {
    /// Whether every plan holds it. One that was added later has a default, and is not in older plans.
    pub required: bool,
    /// The JSON Schema of its value; `{}` when nothing is known of it.
    pub schema: Value,
}

impl fmt::Debug for LateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LateKind({} of {})", self.kind, self.origin)
    }
}

impl LateKind {
    /// It as the registry holds it, or what is wrong with it.
    pub(crate) fn known(self) -> Result<StepKind, StepsProblem> {
        if self.in_doubt == InDoubt::Observe && !self.methods.observe {
            return Err(StepsProblem::CannotObserve { kind: self.kind.to_string(), ty: word(&self.origin) });
        }
        let schema = self.schema();
        Ok(StepKind::of_late(Arc::new(self), schema))
    }

    fn schema(&self) -> Value {
        let required: Vec<&String> =
            self.fields.iter().filter(|(_, field)| field.required).map(|(name, _)| name).collect();
        let properties: BTreeMap<&String, &Value> =
            self.fields.iter().map(|(name, field)| (name, &field.schema)).collect();
        let mut with = json!({"type": "object", "properties": properties, "additionalProperties": false});
        if !required.is_empty() {
            with["required"] = json!(required);
        }
        json!({"title": self.kind.as_str(), "properties": {"with": with, "output": self.output}})
    }

    /// Decodes what a plan stores of a step.
    pub(crate) fn decode(self: &Arc<Self>, with: &Json) -> Result<LateStep, serde_json::Error> {
        use serde::de::Error as _;
        let fields: BTreeMap<String, Input<Json>> = with.read()?;
        if let Some(stray) = fields.keys().find(|name| !self.fields.contains_key(*name)) {
            let there: Vec<&str> = self.fields.keys().map(String::as_str).collect();
            return Err(serde_json::Error::custom(format_args!(
                "unknown field `{stray}`, there are: {}",
                there.join(", ")
            )));
        }
        let missing = self.fields.iter().find(|(name, field)| field.required && !fields.contains_key(*name));
        if let Some((missing, _)) = missing {
            return Err(serde_json::Error::custom(format_args!("missing field `{missing}`")));
        }
        for (name, input) in &fields {
            let Some(value) = input.as_value() else { continue };
            if let Some(what) = fits::misfit(&self.fields[name].schema, &value.read()?) {
                return Err(serde_json::Error::custom(format_args!("the field `{name}` {what}")));
            }
        }
        Ok(LateStep { kind: Arc::clone(self), fields })
    }
}

/// A step of a [`LateKind`], as a plan holds it.
pub(crate) struct LateStep {
    kind: Arc<LateKind>,
    fields: BTreeMap<String, Input<Json>>,
}

impl Serialize for LateStep {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.fields.serialize(s)
    }
}

impl LateStep {
    /// The values of its fields, every input read.
    fn with(&self, cx: &StepContext) -> Result<Json, StepError> {
        let values: Result<BTreeMap<&String, Json>, StepError> =
            self.fields.iter().map(|(name, input)| Ok((name, cx.get(input)?))).collect();
        crate::erased::encode(&values?, "the fields of a step")
    }
}

#[async_trait]
impl ErasedStep for LateStep {
    fn typetag_name(&self) -> &'static str {
        word(self.kind.kind.as_str())
    }

    fn needs_erased(&self) -> Vec<Need> {
        Vec::new()
    }

    fn takes_output(&self, output: &Json) -> Result<(), String> {
        let output = output.read::<Value>().map_err(|e| e.to_string())?;
        fits::misfit(&self.kind.output, &output).map_or(Ok(()), |what| Err(format!("it {what}")))
    }

    fn foresee_erased(&self, _: &StepContext) -> Result<Option<Json>, StepError> {
        Ok(None)
    }

    async fn preview_erased(&self, cx: &StepContext) -> Result<Vec<Change>, StepError> {
        if !self.fields.values().all(|input| cx.is_known(input)) {
            let what = format!("what {} does ({})", cx.step_id(), self.kind.kind);
            return Ok(vec![Change::unknown(what, "it hangs on steps that have not run")]);
        }
        self.kind.body.preview(cx, self.with(cx)?).await
    }

    async fn before_erased(&self, cx: &StepContext) -> Result<Json, StepError> {
        self.kind.body.before(cx, self.with(cx)?).await
    }

    async fn run_erased(&self, cx: &StepContext) -> Result<Json, StepError> {
        self.kind.body.run(cx, self.with(cx)?).await
    }

    async fn observe_erased(&self, cx: &StepContext) -> Result<Observed<Json>, StepError> {
        self.kind.body.observe(cx, self.with(cx)?).await
    }

    async fn compensate_erased(&self, cx: &StepContext, undo: Undo<Json>) -> Result<(), StepError> {
        self.kind.body.compensate(cx, self.with(cx)?, undo).await
    }
}

/// A text that lives as long as the program. Kinds and their fields are as many as the program's source has, so that what
/// is kept here is bounded however often they are registered.
pub(crate) fn word(text: &str) -> &'static str {
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    match words.get(text) {
        Some(word) => word,
        None => {
            let word: &'static str = Box::leak(text.to_owned().into_boxed_str());
            words.insert(word);
            word
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LateBody, LateField, LateKind};
    use crate::{Observed, PlanProblem, StepContext, StepError, Steps, StepsProblem, Undo};
    use async_trait::async_trait;
    use serde_json::json;
    use std::{collections::BTreeMap, sync::Arc};
    use towpath_model::{Change, InDoubt, Json, Kind, Methods, UndoPolicy};

    struct Echo;

    #[async_trait]
    impl LateBody for Echo {
        async fn run(&self, _: &StepContext, with: Json) -> Result<Json, StepError> {
            Ok(with)
        }

        async fn observe(&self, _: &StepContext, with: Json) -> Result<Observed<Json>, StepError> {
            Ok(Observed::Done(with))
        }

        async fn before(&self, _: &StepContext, with: Json) -> Result<Json, StepError> {
            Ok(with)
        }

        async fn compensate(&self, _: &StepContext, _: Json, _: Undo<Json>) -> Result<(), StepError> {
            Ok(())
        }

        async fn preview(&self, _: &StepContext, _: Json) -> Result<Vec<Change>, StepError> {
            Ok(Vec::new())
        }
    }

    fn echo() -> LateKind {
        let field = |required, kind: &str| LateField { required, schema: json!({"type": kind}) };
        LateKind {
            kind: Kind::new("late.echo/v1").unwrap(),
            origin: "shop.echo".into(),
            in_doubt: InDoubt::NoEffect,
            methods: Methods::default(),
            undo: UndoPolicy::Undo,
            fields: BTreeMap::from([
                ("word".to_owned(), field(true, "string")),
                ("times".to_owned(), field(false, "integer")),
            ]),
            output: json!({"type": "string"}),
            body: Arc::new(Echo),
        }
    }

    #[test]
    fn a_late_kind_decodes_its_fields_and_refuses_others() {
        let steps = Steps::new().late(echo());
        let decode = |text: &str| match steps.decode("late.echo/v1", &Json::parse(text).unwrap()) {
            Ok(_) => "decoded".to_owned(),
            Err(error) => std::error::Error::source(&error).unwrap().to_string(),
        };
        assert_eq!(decode(r#"{"word":{"value":"a"}}"#), "decoded");
        assert_eq!(decode(r#"{"word":{"from":{"step":"a"}},"times":{"value":2}}"#), "decoded");
        assert_eq!(decode(r#"{"times":{"value":2}}"#), "missing field `word`");
        let misfit = decode(r#"{"word":{"value":3}}"#);
        assert_eq!(misfit, "the field `word` is a number, and a text is wanted");
        let stray = decode(r#"{"word":{"value":"a"},"wrd":{"value":1}}"#);
        assert!(stray.starts_with("unknown field `wrd`, there are: times, word"), "{stray}");
        assert!(decode(r#"{"word":"bare"}"#).contains("unknown variant"));
        let step = steps.decode("late.echo/v1", &Json::parse(r#"{"word":{"value":"a"}}"#).unwrap()).unwrap();
        assert_eq!(step.takes_output(&Json::of("a").unwrap()), Ok(()));
        let wrong = step.takes_output(&Json::of(&3).unwrap()).unwrap_err();
        assert_eq!(wrong, "it is a number, and a text is wanted");
    }

    #[test]
    fn a_late_kind_stands_alone_and_tells_its_schema() {
        let steps = Steps::new().late(echo());
        let kind = steps.get("late.echo/v1").unwrap();
        assert_eq!(kind.type_name(), "shop.echo");
        let schema: serde_json::Value = kind.schema().read().unwrap();
        assert_eq!(schema["properties"]["with"]["required"], json!(["word"]));
        let word = BTreeMap::from([("word".to_owned(), Json::of("a").unwrap())]);
        let pipeline = kind.alone("echo", &word).unwrap();
        assert_eq!(pipeline.record().steps[0].with.as_str(), r#"{"word":{"value":"a"}}"#);
        let errors = kind.alone("echo", &BTreeMap::new()).unwrap_err();
        assert!(matches!(&errors.problems[..], [PlanProblem::Field { .. }]), "{errors}");
    }

    #[test]
    fn a_late_kind_clashes_as_others_do() {
        let same = echo();
        let steps = Steps::new().late(same.clone()).late(same);
        assert!(steps.problems().is_empty(), "the same code once more is no problem");
        let steps = Steps::new().late(echo()).late(echo());
        assert!(matches!(steps.problems(), [StepsProblem::Twice { .. }]));
        let steps = Steps::new().late(LateKind { in_doubt: InDoubt::Observe, ..echo() });
        assert!(matches!(steps.problems(), [StepsProblem::CannotObserve { .. }]));
        assert!(!steps.knows("late.echo/v1"));
    }
}
