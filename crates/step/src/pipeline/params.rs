//! Values for parameters.

use crate::{
    Handle, Output, finite,
    input::{Origin, Reference},
};
use serde::Serialize;
use std::{
    any::{TypeId, type_name},
    collections::BTreeMap,
};
use towpath_model::Json;

/// Values for the parameters of a pipeline. Made with [`params!`](crate::params).
///
/// Where a pipeline is placed in another one, they may be handles of that.
#[derive(Clone, Default, Debug)]
pub struct Params {
    pub(crate) values: BTreeMap<String, Json>,
    pub(crate) handles: BTreeMap<String, GivenHandle>,
    /// Values that cannot be stored, with the reason.
    pub(crate) unstored: Vec<(String, String)>,
}

/// A handle that is given for a parameter.
#[derive(Clone, Debug)]
pub(crate) struct GivenHandle {
    pub(crate) to: Reference,
    pub(crate) origin: Origin,
    pub(crate) type_id: TypeId,
    pub(crate) type_name: &'static str,
}

/// What a parameter becomes where its pipeline is placed in another.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    Value(Json),
    Refers(Reference),
}

/// What can be given for a parameter: a value, or a handle.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given for a parameter",
    note = "give a value that derives Serialize, or a handle"
)]
pub trait ParamValue {
    /// Adds it under a name.
    #[doc(hidden)]
    fn add_to(&self, name: &str, params: &mut Params);
}

impl<T: Serialize + ?Sized> ParamValue for T {
    fn add_to(&self, name: &str, params: &mut Params) {
        let stored = match finite::check(self) {
            Ok(()) => Json::of(self).map_err(|e| format!("cannot be stored as json: {e}")),
            Err(e) => Err(format!("cannot be stored: {e}")),
        };
        match stored {
            Ok(json) => drop(params.values.insert(name.to_owned(), json)),
            Err(why) => params.unstored.push((name.to_owned(), why)),
        }
    }
}

impl<T: Output> ParamValue for Handle<T> {
    fn add_to(&self, name: &str, params: &mut Params) {
        let handle = GivenHandle {
            to: self.place().reference().clone(),
            origin: self.place().origin(),
            type_id: TypeId::of::<T>(),
            type_name: type_name::<T>(),
        };
        params.handles.insert(name.to_owned(), handle);
    }
}

impl<T: Output> ParamValue for &Handle<T> {
    fn add_to(&self, name: &str, params: &mut Params) {
        (**self).add_to(name, params);
    }
}

impl Params {
    /// No values.
    pub fn new() -> Self {
        Params::default()
    }

    /// These values and this one; a value of the same name is replaced. One that cannot be stored is reported when the
    /// plan is made.
    #[must_use]
    pub fn set<T: ParamValue + ?Sized>(mut self, name: &str, value: &T) -> Self {
        self.values.remove(name);
        self.handles.remove(name);
        value.add_to(name, &mut self);
        self
    }

    /// What is given, whether it can be stored or not.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let unstored = self.unstored.iter().map(|(name, _)| name);
        self.values.keys().chain(self.handles.keys()).chain(unstored).map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names().any(|given| given == name)
    }
}

/// Values that are JSON already, from a command line or a form.
impl From<BTreeMap<String, Json>> for Params {
    fn from(values: BTreeMap<String, Json>) -> Self {
        Params { values, ..Params::default() }
    }
}

/// Makes the values of a pipeline's parameters: `params! { commit, region: "eu-west-1" }`. A name alone takes the
/// variable of that name.
///
/// ```
/// use towpath_step::params;
/// let commit = "4f2c";
/// let values = params! { commit, replicas: 3 };
/// # let _ = values;
/// ```
#[macro_export]
macro_rules! params {
    (@set $to:expr;) => { $to };
    (@set $to:expr; $name:ident : $value:expr $(, $($rest:tt)*)?) => {
        $crate::params!(@set $to.set(::core::stringify!($name), &$value); $($($rest)*)?)
    };
    (@set $to:expr; $name:ident $(, $($rest:tt)*)?) => {
        $crate::params!(@set $to.set(::core::stringify!($name), &$name); $($($rest)*)?)
    };
    ($($all:tt)*) => { $crate::params!(@set $crate::Params::new(); $($all)*) };
}
