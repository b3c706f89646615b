//! `srt doctor`.
