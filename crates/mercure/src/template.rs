//! URI Templates (RFC 6570), read backwards: which texts one can be expanded to.

use std::fmt;
use std::ops::{Range, RangeFrom};
use std::sync::Arc;

use fanfare_event::{AsWritten, Beginning, Expression, Pattern, Topic};
use regex::escape;

use crate::compiled::Compiled;
use crate::topic::name_of;

/// A URI Template.
pub struct UriTemplate {
    /// With its language before it.
    written: Box<str>,
    expansions: Expansions,
}

/// What it can be expanded to.
enum Expansions {
    /// What stands before and behind its only expression, whose values are characters in any number. So are most.
    Run {
        before: Range<usize>,
        behind: RangeFrom<usize>,
        reserved: bool,
    },
    Regex(Compiled),
}

/// What stands before a template in writing.
const LANGUAGE: &str = "uritemplate ";
/// The most variables in one expression.
const MAX_VARIABLES: usize = 16;

/// How the values of an expression are written (RFC 6570, 3.2.1).
struct Operator {
    first: &'static str,
    separator: &'static str,
    named: bool,
    reserved: bool,
}

impl UriTemplate {
    /// Reads a template; `None` for what is none, or holds no variable, or takes too much.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (regex, expressions) = regular_expression(text)?;
        let expansions = match run(text).filter(|_| expressions == 1) {
            Some(run) => run,
            None => Expansions::Regex(Compiled::parse(&regex)?),
        };
        Some(Self { written: format!("{LANGUAGE}{text}").into(), expansions })
    }

    /// Whether a text is a template, if one that takes too much.
    pub(crate) fn is_one(text: &str) -> bool {
        regular_expression(text).is_some()
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.written[LANGUAGE.len()..]
    }

    /// What compiling it took.
    pub(crate) fn work(&self) -> usize {
        match &self.expansions {
            Expansions::Run { .. } => 0,
            Expansions::Regex(regex) => regex.work(),
        }
    }

    /// Whether the topic of this name is an expansion, or is written alike.
    pub(crate) fn matches_name(&self, name: &str) -> bool {
        let text = self.text();
        if text == name {
            return true;
        }
        match &self.expansions {
            Expansions::Run { before, behind, reserved } => {
                let rest = name.strip_prefix(&text[before.clone()]);
                let value = rest.and_then(|rest| rest.strip_suffix(&text[behind.clone()]));
                value.is_some_and(|value| is_run(value, *reserved))
            }
            Expansions::Regex(regex) => regex.is_match(name),
        }
    }
}

/// What a template can be expanded to, as a regular expression, and how many expressions it has; `None` for what is
/// none, or holds no variable.
fn regular_expression(text: &str) -> Option<(String, usize)> {
    let mut pattern = String::from("^");
    let mut rest = text;
    let mut expressions = 0;
    while let Some(begin) = rest.find(['{', '}']) {
        let (literal, expression) = rest.split_at(begin);
        pattern += &escape(literal);
        let (inside, after) = expression.strip_prefix('{')?.split_once('}')?;
        pattern += &expansion(inside)?;
        expressions += 1;
        rest = after;
    }
    pattern += &escape(rest);
    pattern.push('$');
    if expressions == 0 {
        return None;
    }
    Some((pattern, expressions))
}

/// What a template with one expression can be expanded to, if that is characters in any number.
fn run(text: &str) -> Option<Expansions> {
    let (begin, end) = (text.find('{')?, text.find('}')?);
    let inside = text.get(begin + 1..end)?;
    let (reserved, list) = inside.strip_prefix('+').map_or((false, inside), |list| (true, list));
    // Whether it is a template at all is known. A list may hold commas, and so may each of its values.
    let is_plain = list.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '%'));
    let is_run = is_plain && !list.contains([':', '*']);
    is_run.then(|| Expansions::Run { before: 0..begin, behind: end + 1.., reserved })
}

/// Whether a text consists of what values are written with, reserved characters or not, and commas.
fn is_run(text: &str, reserved: bool) -> bool {
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [b',' | b'.' | b'_' | b'~' | b'-', rest @ ..] => rest,
            [b, rest @ ..] if b.is_ascii_alphanumeric() => rest,
            [b, rest @ ..] if reserved && b":/?#[]@!$&'()*+;=".contains(b) => rest,
            _ => return false,
        };
    }
}

impl Expression for UriTemplate {
    fn as_str(&self) -> &str {
        &self.written
    }

    fn matches(&self, topic: &Topic) -> bool {
        self.matches_name(&name_of(topic))
    }

    /// What is before the first variable; a star is another character in a topic.
    fn beginning(&self) -> Beginning<'_> {
        let text = self.text();
        let literal = text.find(['{', '*']).map_or(text, |end| &text[..end]);
        Beginning { reading: Arc::new(AsWritten), text: literal.into() }
    }

    fn footprint(&self) -> usize {
        let regex = match &self.expansions {
            Expansions::Run { .. } => 0,
            Expansions::Regex(regex) => regex.footprint(),
        };
        Pattern::PLACE + regex
    }
}

impl fmt::Debug for UriTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// What an expression can be expanded to, as a regular expression; `None` if it is none.
fn expansion(inside: &str) -> Option<String> {
    let (first, separator, named, reserved, list) = match inside.as_bytes().first()? {
        b'+' => ("", ",", false, true, &inside[1..]),
        b'#' => ("#", ",", false, true, &inside[1..]),
        b'.' => (".", ".", false, false, &inside[1..]),
        b'/' => ("/", "/", false, false, &inside[1..]),
        b';' => (";", ";", true, false, &inside[1..]),
        b'?' => ("?", "&", true, false, &inside[1..]),
        b'&' => ("&", "&", true, false, &inside[1..]),
        _ => ("", ",", false, false, inside),
    };
    let operator = Operator { first, separator, named, reserved };
    let variables: Vec<_> =
        list.split(',').map(|variable| operator.variable(variable)).collect::<Option<_>>()?;
    if variables.len() > MAX_VARIABLES {
        return None;
    }
    // Any of them may be undefined: one of them comes first, and those behind it may follow.
    let separator = escape(operator.separator);
    let mut tail = String::new();
    let mut alternatives = Vec::new();
    for variable in variables.iter().rev() {
        alternatives.push(format!("{variable}{tail}"));
        tail = format!("(?:{separator}{variable})?{tail}");
    }
    alternatives.reverse();
    let first = escape(operator.first);
    Some(format!("(?:{first}(?:{}))?", alternatives.join("|")))
}

impl Operator {
    /// What one variable can be expanded to.
    fn variable(&self, text: &str) -> Option<String> {
        let (name, explode, prefix) = match text.split_once(':') {
            Some((name, length)) => (name, false, Some(length.parse::<u16>().ok()?)),
            None => (text.strip_suffix('*').unwrap_or(text), text.ends_with('*'), None),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '%');
        if name.is_empty() || !name.chars().all(is_name) {
            return None;
        }
        let character = if self.reserved {
            r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
        } else {
            r"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})"
        };
        let one = match prefix {
            Some(length) if (1..10_000).contains(&length) => format!("{character}{{0,{length}}}"),
            Some(_) => return None,
            None => format!("{character}*"),
        };
        if prefix.is_some() {
            return Some(self.with_name(name, &one));
        }
        if explode {
            let separator = escape(self.separator);
            let key = format!("(?:{character}+=)?");
            let item =
                if self.named { format!("{character}+(?:={one})?") } else { format!("{key}{one}") };
            return Some(format!("{item}(?:{separator}{item})*"));
        }
        Some(self.with_name(name, &format!("{one}(?:,{one})*")))
    }

    fn with_name(&self, name: &str, value: &str) -> String {
        match (self.named, self.separator) {
            (false, _) => value.to_owned(),
            // Without a value, no sign either (RFC 6570, 3.2.7).
            (true, ";") => format!("{}(?:={value})?", escape(name)),
            (true, _) => format!("{}={value}", escape(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(template: &str, name: &str) -> bool {
        UriTemplate::parse(template).unwrap().matches_name(name)
    }

    #[test]
    fn a_template_matches_what_it_can_become() {
        for (template, name) in [
            ("https://example.com/books/{id}", "https://example.com/books/1"),
            ("https://example.com/books/{id}", "https://example.com/books/"),
            ("https://example.com/books/{id}", "https://example.com/books/{id}"),
            ("https://example.com/books/{id}", "https://example.com/books/a%20b"),
            ("https://example.com/{+path}", "https://example.com/a/b?c"),
            ("https://example.com{/a,b}", "https://example.com/1/2"),
            ("https://example.com{/a*}", "https://example.com/1/2/3"),
            ("https://example.com/a{?q,p}", "https://example.com/a?q=1&p=2"),
            ("https://example.com/a{?q,p}", "https://example.com/a?p=2"),
            ("https://example.com/a{?q,p}", "https://example.com/a"),
            ("https://example.com/a{#f}", "https://example.com/a#b/c"),
            ("{a,b}", "1,2"),
            ("x{;v}", "x;v"),
            ("x{.v}", "x.1"),
            ("{v:3}", "abc"),
            ("a{b}c{d}", "a1c2"),
            ("caf\u{e9}/{a}/{b}", "caf\u{e9}/1/2"),
        ] {
            assert!(matches(template, name), "{template} {name}");
        }
        for (template, name) in [
            ("https://example.com/books/{id}", "https://example.com/books/1/2"),
            ("https://example.com/books/{id}", "https://example.com/books/1?x"),
            ("https://example.com/books/{id}", "https://example.com/bookx/1"),
            ("https://example.com/books/{id}", "https://example.com/books/é"),
            ("https://example.com{/a,b}", "https://example.com/1/2/3"),
            ("https://example.com/a{?q,p}", "https://example.com/a?p=2&q=1"),
            ("{v:3}", "abcd"),
            ("a.{b}", "aX1"),
            ("caf\u{e9}/{a}/{b}", "caf\u{e8}/1/2"),
        ] {
            assert!(!matches(template, name), "{template} {name}");
        }
        for literal in
            ["a", "a{", "a}", "{}", "{a", "{a b}", "{=a}", "{a:0}", "{a:x}", "{a:9999}{b:9999}"]
        {
            assert!(UriTemplate::parse(literal).is_none(), "{literal}");
        }
    }

    proptest! {
        #[test]
        fn the_fast_path_matches_as_the_expression_does(
            template in r"[a%,/-]{0,3}\{\+?[a%.][b,.%]{0,3}\}[a%2,/-]{0,3}",
            name in r"[a%2F,/é?.-]{0,8}",
        ) {
            let Some((regex, 1)) = regular_expression(&template) else { return Ok(()) };
            let Some(run) = run(&template) else { return Ok(()) };
            let matched = UriTemplate { written: format!("{LANGUAGE}{template}").into(), expansions: run };
            let wanted = template == name || Compiled::parse(&regex).unwrap().is_match(&name);
            prop_assert_eq!(matched.matches_name(&name), wanted);
        }
    }
}
