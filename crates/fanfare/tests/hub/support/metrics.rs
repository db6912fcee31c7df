//! What `/metrics` says, in the Prometheus text format.

/// One reading of all metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Name, labels as written (without the braces), value.
    samples: Vec<(String, String, f64)>,
    /// Whole numbers, which may be greater than a float tells apart.
    exact: Vec<(String, u64)>,
}

impl Metrics {
    /// Reads them.
    pub(crate) fn parse(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
                let value = value.parse().unwrap_or_else(|_| panic!("not a sample: {line:?}"));
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                (name.to_owned(), labels.trim_end_matches('}').to_owned(), value)
            })
            .collect();
        let whole = text.lines().filter_map(|line| line.split_once(' '));
        let exact = whole.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        Self { samples, exact: exact.collect() }
    }

    /// The whole number of a metric without labels; 0 where there is none yet.
    pub(crate) fn exact(&self, name: &str) -> u64 {
        self.exact.iter().find(|(n, _)| n == name).map_or(0, |&(_, value)| value)
    }

    /// The sum of a metric over all its labels; 0 where there is none yet.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.samples.iter().filter(|(n, ..)| n == name).map(|(.., value)| value).sum()
    }

    /// A metric with one label's value; 0 where there is none yet.
    pub(crate) fn labelled(&self, name: &str, label: &str) -> f64 {
        let wanted = |(n, labels, _): &&(String, String, f64)| n == name && labels.contains(label);
        self.samples.iter().filter(wanted).map(|(.., value)| value).sum()
    }

    /// Whether a metric is there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|(n, ..)| n == name)
    }

    /// All labels of all samples, as written.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().map(|(_, labels, _)| labels.as_str())
    }
}
