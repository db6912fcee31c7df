//! URI Templates (RFC 6570), read backwards: which texts one can be expanded to.

use std::fmt;
use std::sync::Arc;

use fanfare_event::{AsWritten, Beginning, Expression, Pattern, Topic};
use regex::escape;

use crate::compiled::Compiled;
use crate::topic::name_of;

/// A URI Template.
pub struct Template {
    /// With its language before it.
    written: Box<str>,
    expansions: Compiled,
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

impl Template {
    /// Reads a template; `None` for what is none, or holds no variable, or takes too much.
    pub(crate) fn parse(text: &str) -> Option<Self> {
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
        let expansions = Compiled::parse(&pattern)?;
        Some(Self { written: format!("{LANGUAGE}{text}").into(), expansions })
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.written[LANGUAGE.len()..]
    }

    /// Whether the topic of this name is an expansion, or is written alike.
    pub(crate) fn matches_name(&self, name: &str) -> bool {
        self.text() == name || self.expansions.is_match(name)
    }
}

impl Expression for Template {
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
        Pattern::PLACE + self.expansions.footprint()
    }
}

impl fmt::Debug for Template {
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
    use super::*;

    fn matches(template: &str, name: &str) -> bool {
        Template::parse(template).unwrap().matches_name(name)
    }

    #[test]
    fn a_template_matches_what_it_cannot_become() {
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
        ] {
            assert!(!matches(template, name), "{template} {name}");
        }
        for literal in
            ["a", "a{", "a}", "{}", "{a", "{a b}", "{=a}", "{a:0}", "{a:x}", "{a:9999}{b:9999}"]
        {
            assert!(Template::parse(literal).is_none(), "{literal}");
        }
    }
}
