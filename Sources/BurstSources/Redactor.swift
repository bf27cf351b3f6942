import BurstModel

/// Replaces names of people and of their work.
struct Redactor: Sendable {
    mutating func redact(_ arguments: inout [String], _ result: inout CommandResult) {}
}
