//! The language as a whole: precedence, names, errors, printing.

use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn model(text: &str) -> Result<Model, ParseError> {
    Model::parse(text, &Names { variables: &names(&["x", "t"]), parameters: &[] })
}

/// The value of an expression without parameters at x = 2, t = 3.
fn value(text: &str) -> f64 {
    let model = model(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    model.evaluate(&[2.0, 3.0], &vec![0.0; model.parameters().len()]).0
}

#[test]
fn precedence_is_that_of_mathematics() {
    for (text, expected) in [
        ("-2^2", -4.0),
        ("(-2)^2", 4.0),
        ("2^-1", 0.5),
        ("2^3^2", 512.0),
        ("2**3**2", 512.0),
        ("2^-2^2", 0.0625),
        ("10-4-3", 3.0),
        ("24/4/3", 2.0),
        ("2+3*4", 14.0),
        ("-x*t", -6.0),
        ("x < t", 1.0),
        ("x + 1 < t", 0.0),
        ("not x < t", 0.0),
        ("not x > t and t == 3", 1.0),
        ("x > t or t > x and 0", 0.0),
        ("1 or 0 and 0", 1.0),
        ("where(x < t, 7, 8)", 7.0),
        ("u = x/4; v = u + 1; u*v", 0.75),
        ("let u = 2;\n u*x;", 4.0),
        ("+x - +t", -1.0),
        ("min(x, t) + max(x, t)*10", 32.0),
        ("pow(x, t)", 8.0),
        ("sinc(0)", 1.0),
        ("e^0*pi", std::f64::consts::PI),
        ("1e-3*.5*2.", 1e-3),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

/// The error of an expression as a person sees it: message, underlined text, help.
fn refusal(text: &str) -> String {
    let (variables, parameters) = (names(&["x", "t"]), names(&["q"]));
    let error = Model::parse(text, &Names { variables: &variables, parameters: &parameters }).unwrap_err();
    let span = error.span();
    let underlined = text.get(span.start..span.end).expect("spans lie between characters");
    let help = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{text:?}: {error} at {underlined:?}{help}\n")
}

const SLIPS: [&str; 52] = [
    "",
    " \n",
    "a +",
    "a + * b",
    "a x",
    "2 x",
    "2x",
    "1e+",
    "1.2.3",
    "1e400",
    "(a + x",
    "exp(a*x; 2",
    "a + x)",
    "a*()",
    "a, x",
    "(a, x)",
    "a + not x",
    "0 < x < a",
    "0 == x != a",
    "where(x = 1, a, b)",
    "a*x = 3",
    "= 3",
    "y = a*x",
    "u = a*x;",
    "a*x; b",
    "u = 1; u = 2; u",
    "x = 1; x",
    "exp = 1; exp",
    "pi = 1; pi",
    "e = 1; e",
    "q = 1; q",
    "u = u + 1; u",
    "v = u; u = 1; v",
    "a*exp",
    "where*x",
    "exq(x)",
    "ln(x)",
    "gamma(x)",
    "x(t + 1)",
    "q(x)",
    "pi(x)",
    "u = 1; u(x)",
    "a*x + a(t)",
    "exp(x, t)",
    "atan2(x)",
    "where(x, t)",
    "exp()",
    "np.exp(x)",
    "a && x",
    "a*x²",
    "a − x",
    "a $ x",
];

#[test]
fn each_slip_has_its_message() {
    let found: String = SLIPS.iter().map(|text| refusal(text)).collect();
    expect![[r#"
        "": the expression is empty at "" (write a model such as a*exp(-b*x) + c)
        " \n": the expression is empty at " \n" (write a model such as a*exp(-b*x) + c)
        "a +": expected a value, found the end of the expression at "" (a value is a number, a name, a function call or a "(")
        "a + * b": expected a value, found "*" at "*" (a value is a number, a name, a function call or a "(")
        "a x": expected an operator, found "x" at "x" (products need a *: write a*x, not a x)
        "2 x": expected an operator, found "x" at "x" (products need a *: write a*x, not a x)
        "2x": an operator is missing between 2 and "x" at "2x" (write 2*x)
        "1e+": "1e+" is not a number at "1e+" (numbers look like 1, 1.5, .5 or 1e-3)
        "1.2.3": "1.2.3" is not a number at "1.2.3" (numbers look like 1, 1.5, .5 or 1e-3)
        "1e400": the number 1e400 is too large for a 64-bit float at "1e400"
        "(a + x": this "(" is never closed at "("
        "exp(a*x; 2": this "(" is never closed at "("
        "a + x)": this ")" closes nothing at ")"
        "a*()": there is nothing between these parentheses at "()"
        "a, x": a comma separates the arguments of a function only at ","
        "(a, x)": a comma separates the arguments of a function only at ","
        "a + not x": "not" needs parentheses here at "not" (write (not a))
        "0 < x < a": comparisons cannot be chained at "0 < x <" (write a < b and b < c instead of a < b < c)
        "0 == x != a": comparisons cannot be chained at "0 == x !=" (write a < b and b < c instead of a < b < c)
        "where(x = 1, a, b)": "=" names a value at the start of a statement only at "=" (to compare two values write ==)
        "a*x = 3": "=" names a value at the start of a statement only at "=" (to compare two values write ==)
        "= 3": "=" names a value at the start of a statement only at "=" (to compare two values write ==)
        "y = a*x": the expression ends with the definition of "y" and has no value at "y" (leave out "y =", or add the model's value after it: y = ...; a*y)
        "u = a*x;": the expression ends with the definition of "u" and has no value at "u" (leave out "u =", or add the model's value after it: u = ...; a*u)
        "a*x; b": this value is not used: only the last statement is the model's value at "a*x" (give it a name, u = ..., or take it out)
        "u = 1; u = 2; u": "u" is defined twice at "u" (choose another name)
        "x = 1; x": "x" cannot be redefined: it is a variable at "x" (choose another name)
        "exp = 1; exp": "exp" cannot be redefined: it is a function at "exp" (choose another name)
        "pi = 1; pi": "pi" cannot be redefined: it is a constant at "pi" (choose another name)
        "e = 1; e": "e" cannot be redefined: it is a constant at "e" (choose another name)
        "q = 1; q": "q" cannot be redefined: it is a parameter at "q" (choose another name)
        "u = u + 1; u": "u" is defined by itself at "u" (a definition uses variables, parameters and earlier definitions)
        "v = u; u = 1; v": "u" is used before it is defined at "u" (move the definition of "u" to before its first use)
        "a*exp": "exp" is a function and needs 1 argument in parentheses at "exp" (write exp(x))
        "where*x": "where" is a function and needs 3 arguments in parentheses at "where" (write where(condition, a, b))
        "exq(x)": there is no function "exq" at "exq" (did you mean "exp"?)
        "ln(x)": there is no function "ln" at "ln" (did you mean "log"?)
        "gamma(x)": there is no function "gamma" at "gamma" (functions: abs sign step sqrt cbrt exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh erf erfc sinc min max pow hypot atan2 where)
        "x(t + 1)": "x" is a variable, not a function at "x" (for a product write x*(...))
        "q(x)": "q" is a parameter, not a function at "q" (for a product write q*(...))
        "pi(x)": "pi" is a constant, not a function at "pi" (for a product write pi*(...))
        "u = 1; u(x)": "u" is a defined value, not a function at "u" (for a product write u*(...))
        "a*x + a(t)": "a" is a parameter, not a function at "a" (for a product write a*(...))
        "exp(x, t)": function "exp" takes 1 argument, found 2 at "exp(x, t)" (write exp(x))
        "atan2(x)": function "atan2" takes 2 arguments, found 1 at "atan2(x)" (write atan2(a, b))
        "where(x, t)": function "where" takes 3 arguments, found 2 at "where(x, t)" (write where(condition, a, b))
        "exp()": function "exp" takes 1 argument, found 0 at "exp()" (write exp(x))
        "np.exp(x)": unexpected character '.' at "." (functions have no prefix: write exp(x), not np.exp(x))
        "a && x": unexpected character '&' at "&" (write a and b)
        "a*x²": unexpected character '²' at "²" (write the square as ^2)
        "a − x": unexpected character '−' at "−" (write the minus sign as -)
        "a $ x": unexpected character '$' at "$"
    "#]].assert_eq(&found);
}

#[test]
fn names_have_one_meaning_each() {
    let parse = |text: &str, variables: &[&str], parameters: &[&str]| {
        let (variables, parameters) = (names(variables), names(parameters));
        Model::parse(text, &Names { variables: &variables, parameters: &parameters }).unwrap()
    };
    // order of first appearance, bindings where they stand
    assert_eq!(parse("u = b*x; c + u*a + b", &["x"], &[]).parameters(), ["b", "c", "a"]);
    assert_eq!(parse("a*e^x", &["x"], &[]).parameters(), ["a"]);
    assert_eq!(parse("a*e^x", &["x"], &["e"]).parameters(), ["a", "e"]);
    assert_eq!(parse("a*e^x", &["x", "e"], &[]).parameters(), ["a"]);
    assert_eq!(parse("a*pi", &[], &["pi"]).parameters(), ["a"]);
    // a column may be called like a function; calls still find the function
    let model = parse("step*a + step(step)", &["step"], &[]);
    assert_eq!(model.evaluate(&[3.0], &[2.0]), (7.0, vec![3.0]));
    assert_eq!(parse("log(counts)", &["counts"], &[]).parameters(), Vec::<String>::new().as_slice());
    // variables in the order given, whichever the expression uses
    assert_eq!(parse("t*a", &["x", "t"], &[]).evaluate(&[5.0, 7.0], &[1.0]).0, 7.0);
}

#[test]
fn odd_models_are_warned_about() {
    let model = model("u = x; v = c*u; a*x + step(b)").unwrap();
    let texts: Vec<String> = model.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].contains("\"v\"") && texts[1].contains("\"c\"") && texts[2].contains("\"b\""), "{texts:?}");
    let zeros: Vec<f64> = model.evaluate(&[1.0, 1.0], &[1.0, 2.0, 3.0]).1;
    assert_eq!(zeros, [0.0, 1.0, 0.0]);
}

#[test]
fn rewrites_keep_signed_zeros_and_nan() {
    let model = model("x + 0").unwrap();
    assert_eq!(model.evaluate(&[-0.0, 0.0], &[]).0.to_bits(), 0.0f64.to_bits());
    for (text, x, expected) in [
        ("0*x", f64::INFINITY, f64::NAN),
        ("x - x", f64::INFINITY, f64::NAN),
        ("-(x - t)", 3.0, -0.0),
        ("x - 0", -0.0, -0.0),
        ("x*1", -0.0, -0.0),
        ("x/4", 6e-324, 0.0),
        ("x^0", f64::NAN, 1.0),
        ("x^0.5", -0.0, 0.0),
        ("x^0.5", f64::NEG_INFINITY, f64::INFINITY),
        ("abs(x)^0.5", 9.0, 3.0),
        ("not (x < t)", f64::NAN, 1.0),
        ("where(1, x, t)", -0.0, -0.0),
    ] {
        let model = super::tests::model(text).unwrap();
        let found = model.evaluate(&[x, 3.0], &[]).0;
        assert!(found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(), "{text}: {found}");
    }
}

#[test]
fn equal_parts_are_one_node() {
    let model = model("exp(-a*x) + b*exp(x*(-a)) + exp(-(a*x))").unwrap();
    let exps = model.graph().nodes().iter().filter(|node| matches!(node, graph::Node::Unary(ops::Unary::Exp, _)));
    assert_eq!(exps.count(), 1, "{:#?}", model.graph().nodes());
}

#[test]
fn gaussian_costs_three_operations_more_for_its_derivatives() {
    let model = model("a*exp(-((x - mu)/w)^2/2) + c").unwrap();
    assert_eq!(model.parameters(), ["a", "mu", "w", "c"]);
    let slopes = model.graph().needed_for(model.slopes());
    let own = model.graph().needed_for(&[model.value()]);
    let extra: Vec<_> =
        model.graph().nodes().iter().zip(slopes.iter().zip(&own)).filter(|(_, (s, o))| **s && !**o).collect();
    // and the constant 1 of d/dc
    assert_eq!(extra.len(), 4, "{extra:#?}");
}

/// A sum of this many Gaussians with a common background.
fn gaussians(count: usize) -> String {
    let peak = |k| format!("a{k}*exp(-((x - m{k})/w{k})^2/2)");
    let peaks: Vec<String> = (0..count).map(peak).collect();
    format!("{} + c", peaks.join(" + "))
}

#[test]
fn large_models_stay_linear_in_their_terms() {
    let model = model(&gaussians(21)).unwrap();
    assert_eq!(model.parameters().len(), 64);
    // the derivatives of one peak do not touch the others
    assert!(model.graph().nodes().len() < 21 * 13 + 10, "{}", model.graph().nodes().len());
}

#[test]
fn nesting_is_limited_and_length_is_not() {
    let nested = |depth: usize| format!("{}x{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(value(&nested(MAX_NESTING - 1)), 2.0);
    for text in [
        nested(MAX_NESTING),
        nested(100_000),
        "-".repeat(100_000),
        format!("{}x", "2^".repeat(100_000)),
        format!("{}x", "not ".repeat(100_000)),
        "sin(".repeat(100_000),
    ] {
        assert!(matches!(model(&text), Err(ParseError::TooDeep { limit: MAX_NESTING, .. })), "{}", &text[..8]);
    }
    let long = vec!["x"; 100_000].join(" + ");
    assert_eq!(value(&long), 200_000.0);
    assert_eq!(parse(&long).unwrap().to_string(), long);
    let product = vec!["a"; 20_000].join("*");
    assert_eq!(model(&product).unwrap().evaluate(&[0.0, 0.0], &[1.0]), (1.0, vec![20_000.0]));
}

#[test]
fn text_has_no_more_parentheses_than_needed() {
    for (text, expected) in [
        ("((a))*(x)", "a*x"),
        ("a-(b-c)", "a - (b - c)"),
        ("(a-b)-c", "a - b - c"),
        ("a*(b*c)", "a*(b*c)"),
        ("-(2^2)", "-2^2"),
        ("(-2)^2", "(-2)^2"),
        ("2^(-x)", "2^-x"),
        ("2^(3^4)", "2^3^4"),
        ("(2^3)^4", "(2^3)^4"),
        ("a*(-b)", "a*-b"),
        ("-(-a)", "--a"),
        ("-(a*b)", "-(a*b)"),
        ("(not a) and b", "not a and b"),
        ("not (a and b)", "not (a and b)"),
        ("(a<b)==(b<c)", "(a < b) == (b < c)"),
        ("a or (b or c)", "a or (b or c)"),
        ("let u=1;exp( u,2e-9 )", "u = 1; exp(u, 2e-9)"),
        ("1e300*100000.0", "1e300*100000"),
    ] {
        assert_eq!(parse(text).unwrap().to_string(), expected, "{text}");
        assert_eq!(parse(expected).unwrap(), parse(text).unwrap(), "{text}");
    }
}

/// Expressions of x, t, a, b, fully in parentheses.
pub(crate) fn any_expression() -> impl Strategy<Value = String> {
    let number = (0u64..0x7ff0_0000_0000_0000).prop_map(|bits| format!("{:e}", f64::from_bits(bits)));
    let small = (1u32..1000).prop_map(|n| format!("{}", f64::from(n) / 64.0));
    let name = prop::sample::select(vec!["x", "t", "a", "b", "pi", "e"]).prop_map(str::to_owned);
    let leaf = prop_oneof![6 => name, 3 => small, 1 => number];
    leaf.prop_recursive(6, 60, 3, |inner| {
        let infix = prop::sample::select("+ - * / ^ ** < <= > >= == != and or".split(' ').collect::<Vec<_>>());
        let function = prop::sample::select(functions::names());
        prop_oneof![
            3 => (inner.clone(), infix, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            1 => inner.clone().prop_map(|a| format!("(-{a})")),
            1 => inner.clone().prop_map(|a| format!("(not {a})")),
            2 => (function, inner.clone(), inner.clone(), inner).prop_map(|(name, a, b, c)| {
                match functions::find(name).map(functions::Function::arity) {
                    Some(1) => format!("{name}({a})"),
                    Some(2) => format!("{name}({a}, {b})"),
                    _ => format!("{name}({a}, {b}, {c})"),
                }
            }),
        ]
    })
}

/// The value of a tree without powers, by the meaning of its operations alone.
fn naive(ast: &ast::Ast, of_name: impl Fn(&str) -> f64) -> f64 {
    use ast::ExprKind;
    let mut values: Vec<f64> = Vec::new();
    for expr in ast.exprs() {
        let at = |id: &ast::ExprId| values[id.index()];
        let value = match &expr.kind {
            ExprKind::Number(value) => *value,
            ExprKind::Name(name) => of_name(name),
            ExprKind::Negate(a) => -at(a),
            ExprKind::Not(a) => ops::Unary::Not.apply(at(a)),
            ExprKind::Infix(op, a, b) => op.apply(at(a), at(b)),
            ExprKind::Call(name, arguments) => match functions::find(name).unwrap() {
                functions::Function::Unary(op) => op.apply(at(&arguments[0])),
                functions::Function::Binary(op) => op.apply(at(&arguments[0]), at(&arguments[1])),
                functions::Function::Where => at(&arguments[if at(&arguments[0]) != 0.0 { 1 } else { 2 }]),
            },
        };
        values.push(value);
    }
    values[ast.value().index()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn rewrites_keep_every_bit(
        text in any_expression(),
        point in prop::array::uniform4(prop_oneof![
            -4.0..4.0f64,
            prop::sample::select(vec![0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, 1e300]),
        ]),
    ) {
        // powers become products, square roots or exponentials, as the language defines them
        let text = text.replace("**", "*").replace('^', "/").replace("pow(", "hypot(");
        let ast = parse(&text).unwrap();
        let [x, t, a, b] = point;
        let of_name = |name: &str| match name {
            "x" => x,
            "t" => t,
            "a" => a,
            "b" => b,
            _ => functions::CONSTANTS.iter().find(|(known, _)| *known == name).unwrap().1,
        };
        let expected = naive(&ast, of_name);
        let model = model(&text).unwrap();
        let theta: Vec<f64> = model.parameters().iter().map(|name| of_name(name)).collect();
        let found = model.evaluate(&[x, t], &theta).0;
        let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
        prop_assert!(same, "{} at {:?}: {}, not {}", text, point, found, expected);
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = model(&text);
    }

    #[test]
    fn no_sequence_of_words_makes_the_parser_panic(
        words in prop::collection::vec(prop::sample::select(
            "x a pi e 1 .5 2. 1e3 + - * / ^ ** < == = != ( ) ( ) , ; and or not let where exp min u µ .".split(' ').collect::<Vec<_>>()
        ), 0..30),
        separator in prop::sample::select(vec!["", " "]),
    ) {
        let text = words.join(separator);
        match parse(&text) {
            Ok(ast) => {
                let printed = ast.to_string();
                prop_assert_eq!(parse(&printed), Ok(ast), "{}", printed);
            }
            Err(error) => {
                let span = error.span();
                prop_assert!(text.get(span.start..span.end).is_some(), "{:?} of {:?}", span, text);
                prop_assert!(!error.to_string().is_empty());
            }
        }
        let _ = model(&text);
    }

    #[test]
    fn printed_trees_read_back(text in any_expression()) {
        let ast = parse(&text).unwrap();
        let printed = ast.to_string();
        prop_assert!(printed.matches('(').count() <= text.matches('(').count());
        prop_assert_eq!(parse(&printed), Ok(ast), "{}", printed);
    }
}
