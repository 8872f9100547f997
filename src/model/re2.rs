//! What RE2, Envoy's engine for regular expressions, has not.
//!
//! The crate that compiles patterns here knows more than RE2 does; a pattern
//! that only it knows would be refused by every Envoy, and with it everything
//! else in the same route configuration. See
//! <https://github.com/google/re2/wiki/Syntax>.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassSetBinaryOp, ClassSetItem, ClassUnicodeKind, Flag, GroupKind,
    HexLiteralKind, Literal, LiteralKind, RepetitionKind, RepetitionRange, Visitor,
};

/// How often RE2 lets anything be repeated by number, nested ones multiplied.
const MOST_REPEATS: u32 = 1000;

/// Something that RE2 has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("uses {0}, which Envoy's regular expressions (RE2) have not")]
pub struct NotRe2(&'static str);

/// Refuses what RE2 has not. A pattern that does not parse is let through:
/// compiling it will say better what is wrong.
pub(super) fn check(pattern: &str) -> Result<(), NotRe2> {
    visited(pattern, Check::default())
}

/// `NotRe2` if the pattern uses what RE2 has not, of what [`check`] knows nothing of.
pub(super) fn check_more(pattern: &str) -> Result<(), NotRe2> {
    visited(pattern, More)
}

fn visited(pattern: &str, visitor: impl Visitor<Output = (), Err = NotRe2>) -> Result<(), NotRe2> {
    match Parser::new().parse(pattern) {
        Ok(ast) => ast::visit(&ast, visitor),
        Err(_) => Ok(()), // the one who compiles it says so, better
    }
}

#[derive(Default)]
struct Check {
    /// How often each of the repetitions around this place repeats at most.
    repeats: Vec<u32>,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is in RE2 too")]
impl Visitor for Check {
    type Output = ();
    type Err = NotRe2;

    fn finish(self) -> Result<(), NotRe2> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), NotRe2> {
        match ast {
            Ast::Flags(set) => flags(&set.flags),
            Ast::Group(group) => group.flags().map_or(Ok(()), flags),
            Ast::Assertion(assertion) => self::assertion(&assertion.kind),
            Ast::Literal(literal) => self::literal(&literal.kind),
            Ast::Repetition(repetition) => self.repeat(&repetition.op.kind),
            _ => Ok(()),
        }
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), NotRe2> {
        if let Ast::Repetition(_) = ast {
            self.repeats.pop();
        }
        Ok(())
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ClassSetBinaryOp) -> Result<(), NotRe2> {
        Err(NotRe2("set operations in a class"))
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), NotRe2> {
        match item {
            ClassSetItem::Bracketed(_) => Err(NotRe2("a class in a class")),
            ClassSetItem::Literal(literal) => self::literal(&literal.kind),
            ClassSetItem::Range(range) => {
                literal(&range.start.kind).and_then(|()| literal(&range.end.kind))
            }
            _ => Ok(()),
        }
    }
}

impl Check {
    fn repeat(&mut self, kind: &RepetitionKind) -> Result<(), NotRe2> {
        use RepetitionRange::{AtLeast, Bounded, Exactly};
        self.repeats.push(match kind {
            RepetitionKind::Range(Exactly(n) | AtLeast(n) | Bounded(_, n)) => (*n).max(1),
            RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => 1,
        });
        let all = self.repeats.iter().try_fold(1_u32, |all, n| all.checked_mul(*n));
        match all {
            Some(0..=MOST_REPEATS) => Ok(()),
            Some(_) | None => Err(NotRe2("more than 1000 repetitions")),
        }
    }
}

/// What Envoy refuses of what is let pass above.
struct More;

#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is in RE2 too")]
impl Visitor for More {
    type Output = ();
    type Err = NotRe2;

    fn finish(self) -> Result<(), NotRe2> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), NotRe2> {
        match ast {
            Ast::Repetition(outer) if matches!(*outer.ast, Ast::Repetition(_)) => {
                Err(NotRe2("a repetition of a repetition, without a group between"))
            }
            Ast::Group(group) => self::group(&group.kind),
            Ast::Literal(literal) => narrow(literal),
            Ast::ClassUnicode(class) => unicode(&class.kind),
            _ => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), NotRe2> {
        match item {
            ClassSetItem::Literal(literal) => narrow(literal),
            ClassSetItem::Range(range) => narrow(&range.start).and_then(|()| narrow(&range.end)),
            ClassSetItem::Unicode(class) => unicode(&class.kind),
            _ => Ok(()),
        }
    }
}

fn group(kind: &GroupKind) -> Result<(), NotRe2> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match kind {
        GroupKind::CaptureName { name, .. } if !name.name.chars().all(good) => {
            Err(NotRe2("a group's name with more than letters, digits and '_'"))
        }
        GroupKind::CaptureName { .. } | GroupKind::CaptureIndex(_) | GroupKind::NonCapturing(_) => {
            Ok(())
        }
    }
}

/// Envoy matches bytes: a number names one of them.
fn narrow(literal: &Literal) -> Result<(), NotRe2> {
    match literal.kind {
        LiteralKind::HexFixed(_) | LiteralKind::HexBrace(_) if literal.c > '\u{ff}' => {
            Err(NotRe2("a \\x{...} above ff"))
        }
        LiteralKind::HexFixed(_)
        | LiteralKind::HexBrace(_)
        | LiteralKind::Verbatim
        | LiteralKind::Meta
        | LiteralKind::Superfluous
        | LiteralKind::Octal
        | LiteralKind::Special(_) => Ok(()),
    }
}

/// The general categories that RE2 knows; it knows each by its short name alone.
const CATEGORIES: [&str; 36] = [
    "C", "Cc", "Cf", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N",
    "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So",
    "Z", "Zl", "Zp", "Zs",
];

/// RE2 knows a script by its name, and not by its short one, which has four letters. So
/// have these names.
const FOUR_LETTERS: [&str; 7] = ["Ahom", "Cham", "Kawi", "Lisu", "Miao", "Modi", "Thai"];

fn unicode(kind: &ClassUnicodeKind) -> Result<(), NotRe2> {
    let is_known = match kind {
        ClassUnicodeKind::OneLetter(letter) => "CLMNPSZ".contains(*letter),
        ClassUnicodeKind::Named(name) => {
            name == "Any" || CATEGORIES.contains(&&**name) || is_script(name)
        }
        ClassUnicodeKind::NamedValue { .. } => false,
    };
    if is_known { Ok(()) } else { Err(NotRe2("a class of Unicode by that name")) }
}

/// Whether RE2 knows a script by this name: in its own spelling only.
fn is_script(name: &str) -> bool {
    let is_word = |word: &str| {
        let mut letters = word.chars();
        letters.next().is_some_and(|c| c.is_ascii_uppercase())
            && letters.all(|c| c.is_ascii_lowercase())
    };
    let spelled = name == "SignWriting" || name.split('_').all(is_word);
    let is_short = name.len() == 4 && !FOUR_LETTERS.contains(&name);
    spelled && !is_short && regex_syntax::parse(&format!(r"\p{{sc={name}}}")).is_ok()
}

fn flags(flags: &ast::Flags) -> Result<(), NotRe2> {
    let has = |flag| flags.flag_state(flag).is_some();
    if has(Flag::IgnoreWhitespace) {
        Err(NotRe2("the flag 'x'"))
    } else if has(Flag::Unicode) || has(Flag::CRLF) {
        Err(NotRe2("the flag 'u' or 'R'"))
    } else {
        Ok(())
    }
}

fn literal(kind: &LiteralKind) -> Result<(), NotRe2> {
    use HexLiteralKind::{UnicodeLong, UnicodeShort, X};
    match kind {
        LiteralKind::HexFixed(UnicodeShort | UnicodeLong)
        | LiteralKind::HexBrace(UnicodeShort | UnicodeLong) => {
            Err(NotRe2("\\u or \\U instead of \\x{...}"))
        }
        LiteralKind::HexFixed(X)
        | LiteralKind::HexBrace(X)
        | LiteralKind::Verbatim
        | LiteralKind::Meta
        | LiteralKind::Superfluous
        | LiteralKind::Octal
        | LiteralKind::Special(_) => Ok(()),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is one-sided")]
fn assertion(kind: &AssertionKind) -> Result<(), NotRe2> {
    use AssertionKind::{EndLine, EndText, NotWordBoundary, StartLine, StartText, WordBoundary};
    match kind {
        StartLine | EndLine | StartText | EndText | WordBoundary | NotWordBoundary => Ok(()),
        _ => Err(NotRe2("one-sided word boundaries")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_envoy_refuses_besides_is_known() {
        // As Envoy 1.40 takes them, or not.
        for pattern in [
            "a**",
            "a+??",
            "a{2}{3}",
            r"\p{Letter}",
            r"\p{Alphabetic}",
            r"\p{Lowercase}",
            r"\p{ASCII}",
            r"\p{greek}",
            r"\p{GREEK}",
            r"\p{Grek}",
            r"\p{Script=Greek}",
            r"[a\p{gc=Lu}]",
            "(?P<a.b>x)",
            "(?P<a[0]>x)",
            "(?P<\u{e4}>x)",
            r"\x{100}",
            r"[\x{1F600}]",
            r"[a-\x{10FFFF}]",
        ] {
            assert!(check_more(pattern).is_err(), "{pattern}");
            assert!(regex_syntax::parse(pattern).is_ok(), "{pattern} is refused anyhow");
        }
        for pattern in [
            "(?:a*)*",
            "a*?",
            "a{1,2}?",
            r"\pL",
            r"\PN",
            r"\p{L}",
            r"\P{Lu}",
            r"\p{Greek}",
            r"\p{Old_Italic}",
            r"\p{Thai}",
            r"[^\p{Latin}\d]",
            r"\p{Any}",
            "(?P<n_1>x)(?<m>y)",
            r"\x41\x{ff}",
            "[\u{e9}-\u{fc}]\u{1f600}",
        ] {
            assert_eq!(check_more(pattern), Ok(()), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_only_other_engines_know_is_refused() {
        for pattern in [
            "(?x) a b",
            "(?u:a)",
            "[a&&b]",
            "[a[bc]]",
            r"\b{start}a",
            r"\u{61}",
            r"[\u{61}-z]",
            "a{0,1001}",
            "(a{30}b){40}",
        ] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
        for pattern in [
            "(?i)a",
            "(?P<n>a)",
            r"\bword\b",
            "[^a-z[:digit:]]",
            "a{2,3}?",
            r"\x{61}",
            "a{1000}b{1000}",
            "/v[0-9]+/.*",
        ] {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
        }
    }
}
