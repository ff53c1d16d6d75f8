//! Telling people.

#[cfg(feature = "http")]
use crate::http::{self, HttpRequest};
use serde::{Deserialize, Serialize};
use towpath_model::InDoubt;
use towpath_step::{Declared, Input, IntoInput, Reads, Step, StepContext, StepError};

/// Tells people something: kind `towpath.notify/v1`.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{Pipeline, PlanErrors, text};
/// use towpath_steps::Notify;
///
/// let p = Pipeline::new("checkout");
/// let version = p.param::<String>("version");
/// p.finally("tell", Notify::log(text!("checkout {version} has ended")));
/// # #[cfg(feature = "http")]
/// # {
/// use towpath_step::SecretRef;
/// use towpath_steps::HttpRequest;
/// let chat = HttpRequest::to_secret("POST", SecretRef::named("chat-webhook"));
/// p.on_failure("alarm", Notify::webhook(chat, text!("checkout {version} has failed")));
/// # }
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// It is **best effort**: when it fails for good, the run goes on, unless it is [`required`](Self::required). In doubt it is
/// told again, for twice is better than never. There is nothing to undo.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    text: Input<String>,
    to: To,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    required: bool,
}

/// Where it is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum To {
    Log,
    #[cfg(feature = "http")]
    Webhook(HttpRequest),
}

impl Notify {
    /// Tells it in the program's log, as a `tracing` event of the target `towpath::notify` with the fields `run`, `step` and
    /// `text`; and in the step's own log.
    pub fn log(text: impl IntoInput<String>) -> Self {
        Notify { text: text.into_input(), to: To::Log, required: false }
    }

    /// Sends it with this request, as the field `text` of the JSON object that is its body, and beside the fields that it has
    /// already: the form that most chats take. The request carries a key in `Idempotency-Key`.
    #[cfg(feature = "http")]
    pub fn webhook(request: HttpRequest, text: impl IntoInput<String>) -> Self {
        Notify { text: text.into_input(), to: To::Webhook(request), required: false }
    }

    /// A failure to tell it is a failure of the run.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

impl Step for Notify {
    const KIND: &'static str = "towpath.notify/v1";
    const IN_DOUBT: InDoubt = InDoubt::Idempotent;
    type Output = ();

    fn schema(_: &mut towpath_step::__private::Schemas) -> serde_json::Value {
        crate::schema::notify()
    }

    fn declared(&self) -> Declared {
        Declared { best_effort: !self.required, ..Declared::of_kind::<Self>() }
    }

    fn reads(&self) -> Reads {
        let reads = Reads::none().and("text", &self.text);
        match &self.to {
            To::Log => reads,
            #[cfg(feature = "http")]
            To::Webhook(request) => request.add_reads(reads, "webhook"),
        }
    }

    async fn run(&self, cx: &StepContext) -> Result<(), StepError> {
        let text = cx.get(&self.text)?;
        match &self.to {
            To::Log => {
                cx.log(&text);
                tracing::info!(target: "towpath::notify", run = %cx.run_id(), step = %cx.step_id(), text);
                Ok(())
            }
            #[cfg(feature = "http")]
            To::Webhook(request) => http::tell(cx, request, &text).await,
        }
    }
}
