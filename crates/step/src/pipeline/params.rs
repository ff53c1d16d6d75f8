//! Values for parameters.

use crate::finite;
use serde::Serialize;
use std::collections::BTreeMap;
use towpath_model::Json;

/// Values for the parameters of a pipeline. Made with [`params!`](crate::params).
#[derive(Clone, Default, Debug)]
pub struct Params {
    pub(crate) values: BTreeMap<String, Json>,
    /// Values that cannot be stored, with the reason.
    pub(crate) unstored: Vec<(String, String)>,
}

impl Params {
    /// No values.
    pub fn new() -> Self {
        Params::default()
    }

    /// These values and this one; a value of the same name is replaced. One that cannot be stored is reported when the
    /// plan is made.
    #[must_use]
    pub fn set<T: Serialize + ?Sized>(mut self, name: &str, value: &T) -> Self {
        let stored = match finite::check(value) {
            Ok(()) => Json::of(value).map_err(|e| format!("cannot be stored as json: {e}")),
            Err(e) => Err(format!("cannot be stored: {e}")),
        };
        match stored {
            Ok(json) => drop(self.values.insert(name.to_owned(), json)),
            Err(why) => self.unstored.push((name.to_owned(), why)),
        }
        self
    }
}

/// Values that are JSON already, from a command line or a form.
impl From<BTreeMap<String, Json>> for Params {
    fn from(values: BTreeMap<String, Json>) -> Self {
        Params { values, unstored: Vec::new() }
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
