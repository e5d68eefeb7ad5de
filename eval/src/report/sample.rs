use super::model::Report;
pub fn report() -> Report { Report::default() }
