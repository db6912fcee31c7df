//! When a hub that was started can be put to the test.

use std::time::Duration;

use crate::hub::HubDescription;
use crate::settings::SuiteSettings;
use crate::started::Started;
use crate::subject::Subject;

/// Waits until a hub that was started does its work: until what is published is heard.
pub(crate) fn wait_until_it_answers(
    started: &mut Started,
    hub: &HubDescription,
    settings: &SuiteSettings,
) -> Result<(), String> {
    // What is published too early may be lost, and is not waited for as long as there is time.
    let patient =
        SuiteSettings { timeout: settings.timeout.min(Duration::from_secs(5)), ..settings.clone() };
    started.wait_until(settings.start, |started| {
        Subject::new(hub, &patient, &started.url, Some(started))
            .is_ok_and(|subject| subject.still_works().is_ok())
    })
}
