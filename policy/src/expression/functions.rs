//! The functions of the language: one table of names, ways to call them, and definitions.

use super::Budget;
use super::fault::Problem;
use super::value::Val;
use super::{conversions as convert, lists, maps, optionals, quantities, strings};

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `size(x)`
    Global,
    /// `x.trim()`: the target is the first argument.
    Method,
}

/// What a function does with its arguments.
type Definition = for<'a> fn(&[Val<'a>], &mut Budget) -> Result<Val<'a>, Problem>;

/// One way to call one function.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) style: Style,
    /// Least and largest number of arguments, with the target of a method.
    pub(super) arguments: (usize, usize),
    pub(super) definition: Definition,
}

const fn global(name: &'static str, least: usize, most: usize, definition: Definition) -> Function {
    Function { name, style: Style::Global, arguments: (least, most), definition }
}

const fn method(name: &'static str, least: usize, most: usize, definition: Definition) -> Function {
    Function { name, style: Style::Method, arguments: (least + 1, most + 1), definition }
}

/// Every function. The table in `docs/expressions.md` has the same names.
pub(super) static FUNCTIONS: [Function; 54] = [
    global("size", 1, 1, lists::size),
    global("string", 1, 1, convert::string),
    global("int", 1, 1, convert::int),
    global("uint", 1, 1, convert::uint),
    global("double", 1, 1, convert::double),
    global("bool", 1, 1, convert::bool),
    global("dyn", 1, 1, convert::dyn_),
    global("toJson", 1, 1, convert::to_json),
    global("fromJson", 1, 1, convert::from_json),
    global("math.greatest", 1, MANY, lists::greatest),
    global("math.least", 1, MANY, lists::least),
    global("lists.range", 1, 1, lists::range),
    global("optional.of", 1, 1, optionals::of),
    global("optional.none", 0, 0, optionals::none),
    global("optional.ofNonZeroValue", 1, 1, optionals::of_non_zero_value),
    global("quantity", 1, 1, quantities::quantity),
    global("isQuantity", 1, 1, quantities::is_quantity),
    method("size", 0, 0, lists::size),
    method("startsWith", 1, 1, strings::starts_with),
    method("endsWith", 1, 1, strings::ends_with),
    method("contains", 1, 1, strings::contains),
    method("lowerAscii", 0, 0, strings::lower_ascii),
    method("upperAscii", 0, 0, strings::upper_ascii),
    method("trim", 0, 0, strings::trim),
    method("charAt", 1, 1, strings::char_at),
    method("substring", 1, 2, strings::substring),
    method("replace", 2, 3, strings::replace),
    method("split", 1, 2, strings::split),
    method("join", 0, 1, strings::join),
    method("indexOf", 1, 2, lists::index_of),
    method("lastIndexOf", 1, 2, lists::last_index_of),
    method("reverse", 0, 0, lists::reverse),
    method("distinct", 0, 0, lists::distinct),
    method("flatten", 0, 1, lists::flatten),
    method("sort", 0, 0, lists::sort),
    method("isSorted", 0, 0, lists::is_sorted),
    method("min", 0, 0, lists::min),
    method("max", 0, 0, lists::max),
    method("sum", 0, 0, lists::sum),
    method("first", 0, 0, lists::first),
    method("last", 0, 0, lists::last),
    method("slice", 2, 2, lists::slice),
    method("merge", 1, 1, maps::merge),
    method("hasValue", 0, 0, optionals::has_value),
    method("value", 0, 0, optionals::value),
    method("add", 1, 1, quantities::add),
    method("sub", 1, 1, quantities::sub),
    method("isGreaterThan", 1, 1, quantities::is_greater_than),
    method("isLessThan", 1, 1, quantities::is_less_than),
    method("compareTo", 1, 1, quantities::compare_to),
    method("isInteger", 0, 0, quantities::is_integer),
    method("asInteger", 0, 0, quantities::as_integer),
    method("asApproximateFloat", 0, 0, quantities::as_approximate_float),
    method("sign", 0, 0, quantities::sign),
];

/// No limit but the length of the source.
const MANY: usize = usize::MAX;

/// The function that is called so.
pub(super) fn find(name: &str, style: Style) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.style == style && function.name == name)
}

#[cfg(test)]
mod tests {
    use super::super::macros::MACROS;
    use super::{FUNCTIONS, Style};

    #[test]
    fn the_reference_names_every_function_and_macro() {
        let reference = include_str!("../../../docs/expressions.md");
        for function in &FUNCTIONS {
            let call = match function.style {
                Style::Global => format!("`{}(", function.name),
                Style::Method => format!(".{}(", function.name),
            };
            assert!(reference.contains(&call), "docs/expressions.md does not have {call}");
        }
        for shape in MACROS {
            assert!(
                reference.contains(&format!(".{}(", shape.name)),
                "docs/expressions.md does not have {}",
                shape.name
            );
        }
    }

    #[test]
    fn no_name_stands_twice() {
        for (index, function) in FUNCTIONS.iter().enumerate() {
            let same = FUNCTIONS
                .iter()
                .skip(index + 1)
                .any(|other| (other.name, other.style) == (function.name, function.style));
            assert!(!same, "{}", function.name);
        }
    }
}
