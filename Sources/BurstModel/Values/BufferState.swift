/// The state of a burst buffer: the 17 that Slurm knows (spec §7.1), and any other text, kept as it came.
package enum BufferState: Hashable, Sendable {
    case pending, allocating, allocated, deleting, deleted, stagingIn, stagedIn, preRun, allocRevoke, running
    case suspended, postRun, stagingOut, stagedOut, teardown, teardownFail, complete
    /// What a newer Slurm may print: a number or a word.
    case other(String)

    package static let named: [BufferState] = [
        .pending, .allocating, .allocated, .deleting, .deleted, .stagingIn, .stagedIn, .preRun, .allocRevoke, .running,
        .suspended, .postRun, .stagingOut, .stagedOut, .teardown, .teardownFail, .complete,
    ]

    /// As Slurm prints it.
    package var name: String {
        switch self {
        case .pending: "pending"
        case .allocating: "allocating"
        case .allocated: "allocated"
        case .deleting: "deleting"
        case .deleted: "deleted"
        case .stagingIn: "staging-in"
        case .stagedIn: "staged-in"
        case .preRun: "pre-run"
        case .allocRevoke: "alloc-revoke"
        case .running: "running"
        case .suspended: "suspended"
        case .postRun: "post-run"
        case .stagingOut: "staging-out"
        case .stagedOut: "staged-out"
        case .teardown: "teardown"
        case .teardownFail: "teardown-fail"
        case .complete: "complete"
        case .other(let text): text
        }
    }

    private static let byName = Dictionary(uniqueKeysWithValues: named.map { ($0.name, $0) })

    package init(_ text: String) {
        self = Self.byName[text] ?? .other(text)
    }

    /// Two or three letters for narrow columns.
    package var letters: String {
        switch self {
        case .pending: "PD"
        case .allocating: "AI"
        case .allocated: "AL"
        case .deleting: "DI"
        case .deleted: "DL"
        case .stagingIn: "SI"
        case .stagedIn: "ST"
        case .preRun: "PR"
        case .allocRevoke: "AR"
        case .running: "R"
        case .suspended: "SU"
        case .postRun: "PO"
        case .stagingOut: "SO"
        case .stagedOut: "SD"
        case .teardown: "TD"
        case .teardownFail: "TF"
        case .complete: "CD"
        case .other: "??"
        }
    }

    /// The six classes that the eye needs (monitor.md §3.8).
    package enum Class: String, CaseIterable, Sendable {
        case waiting, movingIn = "moving in", inUse = "in use", movingOut = "moving out", ending, broken
    }

    package var stateClass: Class {
        switch self {
        case .pending, .allocating: .waiting
        case .stagingIn, .stagedIn, .preRun: .movingIn
        case .allocated, .running, .suspended: .inUse
        case .postRun, .stagingOut, .stagedOut: .movingOut
        case .teardown, .deleting, .deleted, .complete: .ending
        case .teardownFail, .allocRevoke, .other: .broken
        }
    }

    /// Order of a life, for sorting: pending first, complete last, unknown ones after it.
    package var rank: Int {
        switch self {
        case .pending: 0
        case .allocating: 1
        case .allocated: 2
        case .stagingIn: 3
        case .stagedIn: 4
        case .preRun: 5
        case .allocRevoke: 6
        case .running: 7
        case .suspended: 8
        case .postRun: 9
        case .stagingOut: 10
        case .stagedOut: 11
        case .teardown: 12
        case .teardownFail: 13
        case .deleting: 14
        case .deleted: 15
        case .complete: 16
        case .other: 17
        }
    }
}
