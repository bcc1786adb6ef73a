//! Why a thread stalls: who beats, whose stacks are copied, what they mean, and the reports kept of it.

pub mod capture;
mod report_reader;
pub mod symbolizer;
pub mod watchdog;

pub use report_reader::{NoReport, ReportQuery, ToReports, start_report_reader};
