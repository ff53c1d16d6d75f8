//! Finding numbers that JSON does not have. `serde_json` writes them as null, so they have to be met as values.

use serde::{
    Serialize, Serializer,
    ser::{
        self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};
use std::fmt;

/// Why a value was refused.
#[derive(Debug)]
pub(crate) struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Refused(text.to_string())
    }
}

/// Refuses a value with a NaN or an infinity in it.
pub(crate) fn check<T: Serialize + ?Sized>(value: &T) -> Result<(), Refused> {
    value.serialize(Walk)
}

/// Walks a value and writes nothing.
struct Walk;

type Checked = Result<(), Refused>;

macro_rules! leaves { ($($method:ident($ty:ty);)*) => { $(
    fn $method(self, _: $ty) -> Checked { Ok(()) }
)* } }

impl Serializer for Walk {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Walk;
    type SerializeTuple = Walk;
    type SerializeTupleStruct = Walk;
    type SerializeTupleVariant = Walk;
    type SerializeMap = Walk;
    type SerializeStruct = Walk;
    type SerializeStructVariant = Walk;

    leaves! {
        serialize_bool(bool); serialize_char(char); serialize_str(&str); serialize_bytes(&[u8]);
        serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64); serialize_i128(i128);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_u128(u128);
        serialize_unit_struct(&'static str);
    }

    fn serialize_f32(self, number: f32) -> Checked {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Checked {
        if number.is_finite() {
            Ok(())
        } else {
            Err(Refused(format!("the number {number} is not finite, and json has none that is not")))
        }
    }

    fn serialize_none(self) -> Checked {
        Ok(())
    }

    fn serialize_unit(self) -> Checked {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Checked {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Checked {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Checked {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Checked {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Walk, Refused> {
        Ok(Walk)
    }

    fn serialize_tuple(self, _: usize) -> Result<Walk, Refused> {
        Ok(Walk)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Walk, Refused> {
        Ok(Walk)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Walk, Refused> {
        Ok(Walk)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Walk, Refused> {
        Ok(Walk)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Walk, Refused> {
        Ok(Walk)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Walk, Refused> {
        Ok(Walk)
    }
}

macro_rules! lists { ($($name:ident::$method:ident;)*) => { $(
    impl $name for Walk {
        type Ok = ();
        type Error = Refused;
        fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked { check(value) }
        fn end(self) -> Checked { Ok(()) }
    }
)* } }

lists! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

macro_rules! structs { ($($name:ident;)*) => { $(
    impl $name for Walk {
        type Ok = ();
        type Error = Refused;
        fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Checked { check(value) }
        fn end(self) -> Checked { Ok(()) }
    }
)* } }

structs! { SerializeStruct; SerializeStructVariant; }

impl SerializeMap for Walk {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Checked {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
        check(value)
    }

    fn end(self) -> Checked {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use std::collections::BTreeMap;

    #[derive(serde::Serialize)]
    enum Shape {
        Named { x: f32 },
        One(f64),
        Two(u8, f64),
    }

    #[test]
    fn numbers_that_are_not_finite_are_found_wherever_they_are() {
        assert!(check(&(1.0, "NaN", Some(f64::MAX), BTreeMap::from([("a", -0.0)]), [()])).is_ok());
        assert!(check(&Shape::Named { x: 1.0 }).is_ok());
        assert!(check(&f64::NAN).is_err());
        assert!(check(&Some([f32::INFINITY])).is_err());
        assert!(check(&BTreeMap::from([("a", f64::NEG_INFINITY)])).is_err());
        assert!(check(&Shape::Named { x: f32::NAN }).is_err());
        assert!(check(&Shape::One(f64::NAN)).is_err());
        assert!(check(&Shape::Two(1, f64::NAN)).is_err());
    }
}
