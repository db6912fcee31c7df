//! Allowances: what everyone has used of the rates, as it is handed to the process that goes on with a hub.
//!
//! What must hold: nobody has more because the hub changed hands. How fast addresses open connections is not
//! among it: they keep those they have.

use std::time::Instant;

use fanfare_handover::{Malformed, Reader, Writer};

use crate::state::AppState;

impl AppState {
    /// Writes down what everyone has used.
    pub fn write_allowances(&self, writer: &mut Writer) {
        let now = Instant::now();
        self.quotas.write_rates(writer, now);
        self.access.write_failures(writer, now);
    }

    /// Takes in what another process has written.
    ///
    /// # Errors
    ///
    /// It is not what [`AppState::write_allowances`] has written.
    pub fn read_allowances(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let now = Instant::now();
        self.quotas.read_rates(reader, now)?;
        self.access.read_failures(reader, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::AccessConfig;
    use crate::quotas::QuotaLimits;

    #[test]
    fn what_one_process_writes_another_reads() {
        let app = || AppState::idle(&QuotaLimits::few(), AccessConfig::private(), 1);
        let mut writer = Writer::new();
        app().write_allowances(&mut writer);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes);
        app().read_allowances(&mut reader).unwrap();
        reader.end().unwrap();
    }
}
